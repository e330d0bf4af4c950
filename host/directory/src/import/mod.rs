//! Imports users from NDJSON, CSV, or what Auth0 exports: streamed, repeatable, and no line lost
//! without a word.
//!
//! A line that cannot be imported is rejected with its number, the field and the reason; the
//! others are imported. Users are matched by `user_id`, so a second run changes nothing. Ids of
//! other platforms (`auth0|…`) become `usr_` ids that are always the same for the same id.

mod lines;
mod user;

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use serde::Serialize;
use thiserror::Error;

use crate::{Directory, DirectoryError, Tenant};
use lines::{Line, Lines};

/// How the users are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// One JSON object a line: ours, or Auth0's export in its `json` format.
    Ndjson,
    /// RFC 4180 with a header: ours, or Auth0's export in its `csv` format.
    Csv,
}

/// A line that was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedLine {
    /// Number of the line on which the record begins, from 1.
    pub line: u64,
    /// The field that is wrong, where one is.
    pub field: Option<String>,
    /// What is wrong, without the value.
    pub reason: String,
}

/// How far an import is, or what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes read, of the file as it is (compressed, if it is).
    pub bytes: u64,
    /// Users imported.
    pub imported: u64,
    /// Lines rejected.
    pub rejected: u64,
}

/// An import cannot go on.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
    /// The header names something that users do not have.
    #[error("the CSV header has a column \"{0}\", which users do not have")]
    UnknownColumn(String),
    /// The header lacks the key.
    #[error("the CSV header has no column user_id, by which a repeated import finds its users")]
    NoUserId,
    /// The directory refused.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Counts the bytes that go through it.
struct Counted<R> {
    inner: R,
    bytes: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes
            .fetch_add(read as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(read)
    }
}

/// How many lines lie between two reports of progress.
const REPORT_EVERY: u64 = 1_000;

impl Directory {
    /// Imports users into a tenant. `format`: nothing to tell by the first byte. gzip is undone.
    /// `rejected` is told of every line that is not imported, `progress` now and then.
    ///
    /// # Errors
    /// The file cannot be read, its header is wrong, or the database refused. What was imported
    /// before stays.
    pub async fn import_users(
        &self,
        tenant: &Tenant,
        file: impl Read + Send + 'static,
        format: Option<ImportFormat>,
        mut rejected: impl FnMut(RejectedLine) -> io::Result<()> + Send + 'static,
        mut progress: impl FnMut(ImportProgress) + Send + 'static,
    ) -> Result<ImportProgress, ImportError> {
        self.write_users(tenant, move |writer| {
            let bytes = std::sync::Arc::default();
            let counted = Counted {
                inner: file,
                bytes: std::sync::Arc::clone(&bytes),
            };
            let mut lines = Lines::open(unzipped(counted)?, format)?;
            let mut done = ImportProgress::default();
            while let Some(line) = lines.next_line()? {
                let Line { number, members } = line;
                match members.and_then(user::from_members) {
                    Ok(user) => {
                        writer.write(&user)?;
                        done.imported += 1;
                    }
                    Err(refusal) => {
                        done.rejected += 1;
                        rejected(RejectedLine {
                            line: number,
                            field: refusal.field,
                            reason: refusal.reason,
                        })?;
                    }
                }
                done.bytes = bytes.load(std::sync::atomic::Ordering::Relaxed);
                if (done.imported + done.rejected) % REPORT_EVERY == 0 {
                    progress(done);
                }
            }
            done.bytes = bytes.load(std::sync::atomic::Ordering::Relaxed);
            progress(done);
            Ok(done)
        })
        .await
    }
}

/// The file itself, or what is in it if it is gzip (RFC 1952).
fn unzipped(file: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(BufReader::with_capacity(
            1 << 16,
            MultiGzDecoder::new(file),
        )));
    }
    Ok(Box::new(file))
}

/// Why a line is not imported.
pub(crate) struct Refusal {
    pub(crate) field: Option<String>,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn line(reason: impl Into<String>) -> Self {
        Self {
            field: None,
            reason: reason.into(),
        }
    }

    pub(crate) fn field(field: &str, reason: impl Into<String>) -> Self {
        Self {
            field: Some(field.to_owned()),
            reason: reason.into(),
        }
    }
}
