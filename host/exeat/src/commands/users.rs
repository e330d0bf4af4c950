//! `exeat users import | generate`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use exeat_directory::import::{ImportFormat, RejectedLine};
use exeat_directory::{Directory, DirectoryError, Tenant};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::cli::{ImportFormatArg, Place, UsersCommand};

/// Exit code of an import that rejected lines.
const SOME_REJECTED: u8 = 3;
/// Rejected lines that are shown; all are in the file.
const SHOWN: u64 = 10;
const REDRAW_EVERY: u64 = 1_000;

/// Runs the command.
pub(crate) async fn run(place: &Place, command: UsersCommand) -> Result<ExitCode> {
    let directory = Directory::open(&place.database()?).await?;
    let done = match command {
        UsersCommand::Import {
            tenant,
            format,
            rejects,
            file,
        } => {
            let tenant = ensure(&directory, &tenant).await?;
            let format = format.map(|format| match format {
                ImportFormatArg::Ndjson => ImportFormat::Ndjson,
                ImportFormatArg::Csv => ImportFormat::Csv,
            });
            import(&directory, &tenant, &file, format, rejects).await?
        }
        UsersCommand::Generate { tenant, count, seed } => {
            let tenant = ensure(&directory, &tenant).await?;
            generate(&directory, &tenant, count, seed).await?;
            ExitCode::SUCCESS
        }
    };
    directory.close().await;
    Ok(done)
}

async fn ensure(directory: &Directory, name: &str) -> Result<Tenant> {
    let (tenant, created) = directory.ensure_tenant(name).await?;
    if created {
        eprintln!("created the tenant {name}");
    }
    Ok(tenant)
}

/// Generates users, with progress on the terminal.
pub(super) async fn generate(directory: &Directory, tenant: &Tenant, count: u64, seed: u64) -> Result<()> {
    let style = ProgressStyle::with_template(
        "{bar:30} {percent:>3} %  {human_pos} of {human_len} users  {eta} left",
    )?;
    let bar = ProgressBar::new(count).with_style(style);
    let drawn = bar.clone();
    let generated = directory.write_users(tenant, move |writer| {
        for user in exeat_directory::generate::users(count, seed) {
            writer.write(&user)?;
            if writer.written().users.is_multiple_of(REDRAW_EVERY) {
                drawn.set_position(writer.written().users);
            }
        }
        Ok::<_, DirectoryError>(writer.written())
    });
    let generated = generated.await?;
    bar.finish_and_clear();
    eprintln!(
        "{} users generated for {}",
        HumanCount(generated.users),
        tenant.name()
    );
    Ok(())
}

async fn import(
    directory: &Directory,
    tenant: &Tenant,
    path: &Path,
    format: Option<ImportFormat>,
    rejects: Option<PathBuf>,
) -> Result<ExitCode> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}  {msg}  {eta} left")?;
    let bar = ProgressBar::new(file.metadata()?.len()).with_style(style);
    let drawn = bar.clone();
    let rejects = rejects.unwrap_or_else(|| default_rejects(path));
    let report = Arc::new(Mutex::new(RejectReport {
        path: rejects,
        file: None,
        shown: 0,
    }));
    let reported = Arc::clone(&report);
    let imported = directory.import_users(
        tenant,
        file,
        format,
        move |line| {
            reported
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .add(&line)
        },
        move |progress| {
            drawn.set_position(progress.bytes);
            drawn.set_message(format!(
                "{} imported, {} rejected",
                progress.imported, progress.rejected
            ));
        },
    );
    let imported = imported.await?;
    bar.finish_and_clear();
    eprintln!(
        "{} users imported into {}, {} lines rejected",
        HumanCount(imported.imported),
        tenant.name(),
        HumanCount(imported.rejected)
    );
    if imported.rejected == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let report = report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    eprintln!("rejected lines: {}", report.path.display());
    Ok(ExitCode::from(SOME_REJECTED))
}

/// Beside the file that was imported.
fn default_rejects(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".rejects.ndjson");
    name.into()
}

/// Where rejected lines are listed; the file is made when there is a first one.
struct RejectReport {
    path: PathBuf,
    file: Option<File>,
    shown: u64,
}

impl RejectReport {
    fn add(&mut self, line: &RejectedLine) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.path)?),
        };
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        file.write_all(&json)?;
        if self.shown < SHOWN {
            let field = line
                .field
                .as_ref()
                .map(|field| format!(", {field}"))
                .unwrap_or_default();
            eprintln!("line {}{field}: {}", line.line, line.reason);
        } else if self.shown == SHOWN {
            eprintln!(
                "more lines are rejected; all are listed in {}",
                self.path.display()
            );
        }
        self.shown += 1;
        Ok(())
    }
}
