//! Keys under which download links are signed, and links that were used up.

use std::time::Duration;

use sqlx::Row as _;
use ulid::Ulid;

use crate::{Directory, DirectoryError, now_us};

/// Bytes of a key: as many as the hash has.
const KEY_BYTES: usize = 32;

/// A key for links. Every server of a database has the same.
#[derive(Clone)]
pub struct LinkKey {
    /// What links name it by.
    pub key_id: String,
    /// For HMAC-SHA-256.
    pub key: Vec<u8>,
}

/// Shows no key.
impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkKey({})", self.key_id)
    }
}

/// What becomes of links that were signed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldLinks {
    /// They stay good for as long as they said.
    Expire,
    /// They are good no more.
    Revoke,
}

impl Directory {
    /// The key that signs; made if there is none.
    ///
    /// # Errors
    /// The database refused, or there is no randomness.
    pub async fn link_key(&self) -> Result<LinkKey, DirectoryError> {
        match self.signing_key().await? {
            Some(key) => Ok(key),
            None => self.rotate_link_key(OldLinks::Expire).await,
        }
    }

    async fn signing_key(&self) -> Result<Option<LinkKey>, DirectoryError> {
        let row = sqlx::query(
            "SELECT key_id, key FROM link_keys WHERE retired_at IS NULL ORDER BY key_id DESC LIMIT 1",
        )
        .fetch_optional(&self.database.pool)
        .await?;
        row.as_ref().map(key_of).transpose()
    }

    /// The key of this name, if a link that it signed may still be alive; links live for `longest` at
    /// most.
    ///
    /// # Errors
    /// The database refused.
    pub async fn accepted_link_key(
        &self,
        key_id: &str,
        longest: Duration,
    ) -> Result<Option<LinkKey>, DirectoryError> {
        let longest = i64::try_from(longest.as_micros()).unwrap_or(i64::MAX / 2);
        let row = sqlx::query(
            "SELECT key_id, key FROM link_keys WHERE key_id = $1 AND (retired_at IS NULL OR retired_at > $2)",
        )
        .bind(crate::database::text(key_id))
        .bind(now_us() - longest)
        .fetch_optional(&self.database.pool)
        .await?;
        row.as_ref().map(key_of).transpose()
    }

    /// Makes a new key, which signs from now on.
    ///
    /// # Errors
    /// The database refused, or there is no randomness.
    pub async fn rotate_link_key(&self, old: OldLinks) -> Result<LinkKey, DirectoryError> {
        let mut key = vec![0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|_| DirectoryError::Random)?;
        let key_id = format!("key_{}", Ulid::new());
        let now = now_us();
        let mut transaction = self.database.pool.begin().await?;
        let (retire, retired_at) = match old {
            OldLinks::Expire => (
                "UPDATE link_keys SET retired_at = $1 WHERE retired_at IS NULL",
                now,
            ),
            OldLinks::Revoke => ("UPDATE link_keys SET retired_at = $1", 0),
        };
        sqlx::query(retire)
            .bind(retired_at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO link_keys (key_id, key, created_at) VALUES ($1, $2, $3)")
            .bind(&key_id)
            .bind(key.as_slice())
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(LinkKey { key_id, key })
    }

    /// Uses a link up; false if it was before. `expires_at` is in microseconds: after that instant
    /// nobody needs to remember it.
    ///
    /// # Errors
    /// The database refused.
    pub async fn use_link_up(&self, link_id: &str, expires_at: i64) -> Result<bool, DirectoryError> {
        sqlx::query("DELETE FROM used_links WHERE expires_at < $1")
            .bind(now_us())
            .execute(&self.database.pool)
            .await?;
        let used = sqlx::query(
            "INSERT INTO used_links (link_id, expires_at) VALUES ($1, $2) ON CONFLICT (link_id) DO NOTHING",
        )
        .bind(crate::database::text(link_id))
        .bind(expires_at)
        .execute(&self.database.pool)
        .await?;
        Ok(used.rows_affected() == 1)
    }
}

fn key_of(row: &sqlx::any::AnyRow) -> Result<LinkKey, DirectoryError> {
    Ok(LinkKey {
        key_id: row.try_get(0)?,
        key: row.try_get(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_retired_key_is_accepted_for_as_long_as_its_links_live() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&Directory::in_folder(folder.path()))
            .await
            .unwrap();
        let hour = Duration::from_secs(3_600);
        let first = directory.link_key().await.unwrap();
        assert_eq!(directory.link_key().await.unwrap().key_id, first.key_id);
        let second = directory.rotate_link_key(OldLinks::Expire).await.unwrap();
        assert_eq!(directory.link_key().await.unwrap().key_id, second.key_id);
        assert_ne!(first.key, second.key);
        let accepted = async |key: &LinkKey, longest| {
            let found = directory.accepted_link_key(&key.key_id, longest).await.unwrap();
            found.is_some_and(|found| found.key == key.key)
        };
        assert!(accepted(&first, hour).await);
        assert!(!accepted(&first, Duration::ZERO).await);
        assert!(accepted(&second, Duration::ZERO).await);
        let third = directory.rotate_link_key(OldLinks::Revoke).await.unwrap();
        assert!(!accepted(&first, hour).await);
        assert!(!accepted(&second, hour).await);
        assert!(accepted(&third, hour).await);
    }

    #[tokio::test]
    async fn a_link_is_used_up_once() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&Directory::in_folder(folder.path()))
            .await
            .unwrap();
        let later = now_us() + 60_000_000;
        assert!(directory.use_link_up("a", later).await.unwrap());
        assert!(!directory.use_link_up("a", later).await.unwrap());
        assert!(directory.use_link_up("b", now_us() - 1).await.unwrap());
        // Nobody could come with it now, and it is forgotten.
        assert!(directory.use_link_up("b", later).await.unwrap());
    }
}
