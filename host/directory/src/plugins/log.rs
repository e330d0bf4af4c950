//! What plugins wrote while they ran, for the tenant whose plugins they are.

use sqlx::Row as _;

use crate::database::text;
use crate::{Directory, DirectoryError, Tenant};

/// Lines that are kept of one plugin of one tenant.
pub const MAX_LOG_LINES: u32 = 5_000;

/// A line to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewLogLine {
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// How severe.
    pub level: &'static str,
    /// What the plugin wrote. It may hold users' values.
    pub text: String,
}

/// Shows no text.
impl std::fmt::Debug for NewLogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewLogLine({}, {} bytes)", self.level, self.text.len())
    }
}

/// A line that was kept.
#[derive(Clone, PartialEq, Eq)]
pub struct PluginLogEntry {
    /// Number, ascending.
    pub log_id: i64,
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// How severe.
    pub level: String,
    /// What the plugin wrote. It may hold users' values.
    pub text: String,
    /// The job in which it did.
    pub job_id: String,
}

/// Shows no text.
impl std::fmt::Debug for PluginLogEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.text.len();
        write!(
            f,
            "PluginLogEntry({}, {}, {bytes} bytes)",
            self.log_id, self.level
        )
    }
}

impl Directory {
    /// Keeps lines of a plugin, oldest first, and drops its oldest beyond [`MAX_LOG_LINES`].
    ///
    /// # Errors
    /// The database refused; then no line is kept.
    pub async fn append_plugin_log(
        &self,
        tenant: &Tenant,
        digest: &str,
        job_id: &str,
        lines: &[NewLogLine],
    ) -> Result<(), DirectoryError> {
        let newest = &lines[lines.len().saturating_sub(MAX_LOG_LINES as usize)..];
        if newest.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin_for(tenant.id).await?;
        for line in newest {
            sqlx::query(
                "INSERT INTO plugin_log (tenant_id, digest, job_id, at, level, text)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(tenant.id)
            .bind(digest)
            .bind(job_id)
            .bind(line.at)
            .bind(line.level)
            .bind(text(&line.text))
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "DELETE FROM plugin_log WHERE tenant_id = $1 AND digest = $2 AND log_id <=
                (SELECT log_id FROM plugin_log WHERE tenant_id = $1 AND digest = $2
                 ORDER BY log_id DESC LIMIT 1 OFFSET $3)",
        )
        .bind(tenant.id)
        .bind(digest)
        .bind(i64::from(MAX_LOG_LINES))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The newest lines of a plugin, oldest first, of those after a line that was seen already.
    ///
    /// # Errors
    /// The database refused.
    pub async fn plugin_log(
        &self,
        tenant: &Tenant,
        digest: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PluginLogEntry>, DirectoryError> {
        let rows = sqlx::query(
            "SELECT log_id, at, level, text, job_id FROM plugin_log
             WHERE tenant_id = $1 AND digest = $2 AND log_id > $3 ORDER BY log_id DESC LIMIT $4",
        )
        .bind(tenant.id)
        .bind(text(digest))
        .bind(after.unwrap_or(0))
        .bind(i64::from(limit))
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter()
            .rev()
            .map(|row| {
                Ok(PluginLogEntry {
                    log_id: row.try_get(0)?,
                    at: row.try_get(1)?,
                    level: row.try_get(2)?,
                    text: row.try_get(3)?,
                    job_id: row.try_get(4)?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_do_not_print_their_text() {
        let line = NewLogLine {
            at: 1,
            level: "info",
            text: "ada@example.com".to_owned(),
        };
        assert_eq!(format!("{line:?}"), "NewLogLine(info, 15 bytes)");
        let entry = PluginLogEntry {
            log_id: 7,
            at: 1,
            level: "info".to_owned(),
            text: line.text,
            job_id: "exp_1".to_owned(),
        };
        assert_eq!(format!("{entry:?}"), "PluginLogEntry(7, info, 15 bytes)");
    }
}
