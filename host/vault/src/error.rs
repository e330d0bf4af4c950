//! What can go wrong, told apart so that a caller knows whether to try again.

use std::error::Error;
use std::io::ErrorKind;
use std::path::PathBuf;

use object_store::client::{HttpError, HttpErrorKind};
use thiserror::Error;

use crate::client::{Answered, METADATA_HOST, error_code};

/// The vault cannot keep or give what it was asked.
///
/// No message holds credentials, a signed URL or an answer's body: what a store says is reduced to
/// its status and error code.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The folder cannot be used.
    #[error("the folder {} cannot be used: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store did not do what it was asked.
    #[error("{task}: {reason}")]
    Store {
        /// What could not be done, such as "the export cannot be stored".
        task: String,
        /// What kind of failure it is.
        fault: StoreFault,
        /// Why, in a few words.
        reason: String,
    },
    /// The text is no URL of a store.
    #[error("{0}")]
    Url(String),
    /// A path segment is none.
    #[error("\"{0}\" cannot be a name in the vault")]
    Name(String),
    /// The range lies outside the file, or is empty.
    #[error("the range is not in the file, which has {file_bytes} bytes")]
    Range {
        /// Size of the whole file in bytes.
        file_bytes: u64,
    },
    /// The target holds something else.
    #[error("{} {reason}", .path.display())]
    Target {
        /// The target.
        path: PathBuf,
        /// What is in the way, and what to do.
        reason: String,
    },
    /// The manifest cannot be written as JSON.
    #[error("the manifest cannot be written")]
    Manifest(#[from] serde_json::Error),
}

/// Kinds of failures of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// There is no space left, or a quota or the largest size of a file is reached. It stays so
    /// until an operator makes room.
    NoSpace,
    /// Credentials are missing or wrong, or do not permit it; a folder is not ours to write.
    Refused,
    /// The store cannot be reached, is too slow, or is asking for patience, and was so for all the
    /// tries that the client makes. Later it may work.
    Unavailable,
    /// The bucket, the container or the folder does not exist.
    Missing,
    /// The settings cannot be used.
    Settings,
    /// Something else.
    Other,
}

impl VaultError {
    pub(crate) fn settings(reason: impl Into<String>) -> Self {
        Self::Store {
            task: "the store cannot be opened".to_owned(),
            fault: StoreFault::Settings,
            reason: reason.into(),
        }
    }

    /// What kind of failure it is.
    pub fn fault(&self) -> StoreFault {
        match self {
            Self::Folder { source, .. } => fault_of_kind(source.kind()),
            Self::Store { fault, .. } => *fault,
            Self::Url(_) => StoreFault::Settings,
            Self::Name(_) | Self::Range { .. } | Self::Target { .. } | Self::Manifest(_) => StoreFault::Other,
        }
    }

    /// Whether the same may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        self.fault() == StoreFault::Unavailable
    }
}

/// What an error of the store's means to a caller who wanted `task` done.
pub(crate) fn failed(task: &str) -> impl Fn(object_store::Error) -> VaultError + Clone + 'static {
    let task = task.to_owned();
    move |error| {
        let (fault, reason) = explain(&error);
        VaultError::Store {
            task: task.clone(),
            fault,
            reason,
        }
    }
}

/// Whether the folder of a file vanished while it was being written.
pub(crate) fn lost_its_folder(error: &object_store::Error) -> bool {
    chain(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::NotFound)
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

fn explain(error: &object_store::Error) -> (StoreFault, String) {
    if chain(error).any(|cause| cause.to_string().contains(METADATA_HOST)) {
        return (
            StoreFault::Refused,
            "no credentials are set, and the machine has none of its own".to_owned(),
        );
    }
    for cause in chain(error) {
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return explain_http(http);
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return (fault_of_kind(io.kind()), io.to_string());
        }
    }
    // An answer of status 200 that tells of a failure is an error by its text alone.
    if let Some(code) = chain(error).find_map(|cause| error_code(&cause.to_string())) {
        let fault = fault_of_code(&code).unwrap_or(StoreFault::Other);
        return (fault, format!("the store answered {code}"));
    }
    match error {
        object_store::Error::NotFound { .. } => {
            (StoreFault::Missing, "there is no such object any more".to_owned())
        }
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            (StoreFault::Refused, "the store refuses access".to_owned())
        }
        // Their innermost reason would be the body of an answer.
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => (
            StoreFault::Other,
            "somebody else is writing the same object".to_owned(),
        ),
        _ => (StoreFault::Other, innermost(error)),
    }
}

fn explain_http(http: &HttpError) -> (StoreFault, String) {
    if let Some(answered) = http.source().and_then(|source| source.downcast_ref::<Answered>()) {
        let fault = answered
            .code
            .as_deref()
            .and_then(fault_of_code)
            .unwrap_or_else(|| fault_of_status(answered.status));
        return (fault, answered.to_string());
    }
    match http.kind() {
        HttpErrorKind::Timeout => (
            StoreFault::Unavailable,
            "the store did not answer in time".to_owned(),
        ),
        HttpErrorKind::Connect => (
            StoreFault::Unavailable,
            format!("the store cannot be reached: {}", innermost(http)),
        ),
        HttpErrorKind::Request | HttpErrorKind::Interrupted => (
            StoreFault::Unavailable,
            "the store cut the connection off".to_owned(),
        ),
        _ => (StoreFault::Other, innermost(http)),
    }
}

/// The innermost reason: "Connection refused" and not the library's name for it.
fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn fault_of_kind(kind: ErrorKind) -> StoreFault {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreFault::NoSpace,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreFault::Refused,
        ErrorKind::TimedOut | ErrorKind::StaleNetworkFileHandle | ErrorKind::HostUnreachable => {
            StoreFault::Unavailable
        }
        ErrorKind::NotFound => StoreFault::Missing,
        _ => StoreFault::Other,
    }
}

fn fault_of_status(status: u16) -> StoreFault {
    match status {
        401 | 403 => StoreFault::Refused,
        404 => StoreFault::Missing,
        507 => StoreFault::NoSpace,
        408 | 429 | 500.. => StoreFault::Unavailable,
        _ => StoreFault::Other,
    }
}

/// Error codes that say more than their status does, or come with none.
fn fault_of_code(code: &str) -> Option<StoreFault> {
    Some(match code {
        "InternalError" | "OperationTimedOut" | "RequestTimeout" | "ServerBusy" | "ServiceUnavailable"
        | "SlowDown" => StoreFault::Unavailable,
        "EntityTooLarge" | "QuotaExceeded" | "XMinioStorageFull" => StoreFault::NoSpace,
        "AccessDenied" | "ExpiredToken" | "InvalidAccessKeyId" | "InvalidToken" | "SignatureDoesNotMatch" => {
            StoreFault::Refused
        }
        "ContainerNotFound" | "NoSuchBucket" => StoreFault::Missing,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_forbidden_folder() {
        for (kind, fault) in [
            (ErrorKind::StorageFull, StoreFault::NoSpace),
            (ErrorKind::PermissionDenied, StoreFault::Refused),
            (ErrorKind::TimedOut, StoreFault::Unavailable),
            (ErrorKind::Other, StoreFault::Other),
        ] {
            let error = failed("the export cannot be stored")(object_store::Error::Generic {
                store: "LocalFileSystem",
                source: Box::new(std::io::Error::from(kind)),
            });
            assert_eq!(error.fault(), fault, "{error}");
            assert_eq!(error.is_transient(), fault == StoreFault::Unavailable);
            assert!(
                error.to_string().starts_with("the export cannot be stored: "),
                "{error}"
            );
        }
    }

    #[test]
    fn a_machine_without_credentials_is_told_so_and_no_answer_is_quoted() {
        let text = format!("Error performing PUT http://{METADATA_HOST}/latest/api/token: 403: hunter2");
        let error = failed("the export cannot be stored")(object_store::Error::Generic {
            store: "S3",
            source: text.into(),
        });
        assert_eq!(error.fault(), StoreFault::Refused);
        assert_eq!(
            error.to_string(),
            "the export cannot be stored: no credentials are set, and the machine has none of its own"
        );
        let error = failed("the export cannot be stored")(object_store::Error::AlreadyExists {
            path: String::new(),
            source: "409 Conflict: hunter2".into(),
        });
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn a_failure_that_an_answer_of_success_tells_is_told_by_its_code() {
        let body = "Server returned error response: <Error><Code>SlowDown</Code><Key>users.csv</Key></Error>";
        let error = failed("the export cannot be stored")(object_store::Error::Generic {
            store: "S3",
            source: body.into(),
        });
        assert_eq!(
            error.to_string(),
            "the export cannot be stored: the store answered SlowDown"
        );
        assert!(error.is_transient());
    }
}
