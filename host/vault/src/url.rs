//! Where a store is, as an operator writes it.

use std::fmt;
use std::path::{Path as FsPath, PathBuf};
use std::str::FromStr;

use object_store::path::Path;
use url::Url;

use crate::error::VaultError;

const WHAT_A_STORE_CAN_BE: &str =
    "a store is a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";

/// Where exports or plugins are kept: a path, `file:///PATH`, `s3://BUCKET/PREFIX`,
/// `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
///
/// Credentials are never part of it. They, and the endpoint of a store that is not the provider's
/// own, are the usual variables of the environment, read when the store is opened:
///
/// | store | variables |
/// |---|---|
/// | `s3:` | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP=true` for an endpoint without TLS, `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`; without any, the machine's own role |
/// | `gs:` | `GOOGLE_SERVICE_ACCOUNT`, `GOOGLE_SERVICE_ACCOUNT_KEY`, `GOOGLE_APPLICATION_CREDENTIALS`; without any, the machine's own account |
/// | `az:` | `AZURE_STORAGE_ACCOUNT_NAME` with `AZURE_STORAGE_ACCOUNT_KEY` or `AZURE_STORAGE_SAS_TOKEN`; `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`, `AZURE_TENANT_ID`; `AZURE_STORAGE_ENDPOINT` |
///
/// Profiles and configuration files of the providers' tools are not read. Every other setting of
/// the `object_store` library can be given in the same way, such as `AWS_CONNECT_TIMEOUT=2s`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    pub(crate) place: Place,
    /// What is used in place of the environment.
    options: Option<Vec<(String, String)>>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    Bucket {
        service: Service,
        bucket: String,
        prefix: Path,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Gcs,
    Azure,
}

impl Service {
    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }

    /// Whether a variable of the environment is a setting of this service.
    fn reads(self, variable: &str) -> bool {
        match self {
            Self::S3 => variable.starts_with("AWS_"),
            Self::Gcs => variable.starts_with("GOOGLE_") || variable == "SERVICE_ACCOUNT",
            Self::Azure => variable.starts_with("AZURE_") || variable == "IDENTITY_ENDPOINT",
        }
    }
}

impl StoreUrl {
    /// A local folder.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::Folder(folder.into()),
            options: None,
        }
    }

    /// The folder, where the store is one.
    pub fn as_folder(&self) -> Option<&FsPath> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Bucket { .. } => None,
        }
    }

    /// The same place with settings of its own, by their names in the environment, which is then
    /// not read.
    #[must_use]
    pub fn with_options<N, V>(self, options: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let options = options
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            options: Some(options.collect()),
            ..self
        }
    }

    /// The settings that were given, or those of the environment, with lower-case names.
    pub(crate) fn options(&self, service: Service) -> Vec<(String, String)> {
        let options = self.options.clone().unwrap_or_else(|| {
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect()
        });
        options
            .into_iter()
            .filter(|(name, _)| service.reads(name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect()
    }
}

impl FromStr for StoreUrl {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let Some(scheme) = scheme(text) else {
            if text.is_empty() {
                return Err(refuse(format!("the store has no name: {WHAT_A_STORE_CAN_BE}")));
            }
            return Ok(Self::folder(text));
        };
        let service = match scheme {
            "file" => return file(text),
            "s3" => Service::S3,
            "gs" => Service::Gcs,
            "az" => Service::Azure,
            other => {
                return Err(refuse(format!(
                    "\"{other}:\" is no kind of store: {WHAT_A_STORE_CAN_BE}"
                )));
            }
        };
        // What is wrong is not quoted: it may hold a password.
        if text.contains(['@', '?', '#']) {
            return Err(refuse(format!(
                "the URL of a store holds a bucket and a prefix, and no credentials or options: \
                 those are variables of the environment, such as {}",
                match service {
                    Service::S3 => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    Service::Gcs => "GOOGLE_SERVICE_ACCOUNT",
                    Service::Azure => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
                }
            )));
        }
        let rest = text
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-$".contains(&b);
        if bucket.is_empty() || !bucket.bytes().all(is_name) {
            return Err(refuse(format!(
                "\"{text}\" names no bucket: {WHAT_A_STORE_CAN_BE}"
            )));
        }
        let prefix = Path::parse(prefix)
            .map_err(|_| refuse(format!("\"{prefix}\" cannot be the prefix of a store's objects")))?;
        Ok(Self {
            place: Place::Bucket {
                service,
                bucket: bucket.to_owned(),
                prefix,
            },
            options: None,
        })
    }
}

/// What stands before the first colon, unless it is a path.
fn scheme(text: &str) -> Option<&str> {
    let (before, after) = text.split_once(':')?;
    let is_scheme = before.len() > 1
        && before.starts_with(|c: char| c.is_ascii_alphabetic())
        && before
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    (is_scheme && after.starts_with('/')).then_some(before)
}

fn file(text: &str) -> Result<StoreUrl, VaultError> {
    Url::parse(text)
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .map(StoreUrl::folder)
        .ok_or_else(|| refuse(format!("\"{text}\" is no folder: write file:///PATH")))
}

fn refuse(reason: String) -> VaultError {
    VaultError::Url(reason)
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Folder(folder) => write!(f, "{}", folder.display()),
            Place::Bucket {
                service,
                bucket,
                prefix,
            } => write!(f, "{}://{bucket}/{prefix}", service.scheme()),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StoreUrl, VaultError> {
        text.parse()
    }

    #[test]
    fn a_path_is_a_folder_and_a_url_is_what_its_scheme_says() {
        for (text, shown) in [
            ("exports", "exports"),
            ("./a:b/c", "./a:b/c"),
            ("/var/lib/exeat", "/var/lib/exeat"),
            ("file:///var/lib/my%20exports", "/var/lib/my exports"),
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/", "s3://bucket/"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("gs://bucket/a", "gs://bucket/a"),
            ("az://container/a", "az://container/a"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_store_is_refused_with_what_one_can_be() {
        for (text, says) in [
            ("", "s3://BUCKET/PREFIX"),
            ("ftp://host/path", "\"ftp:\" is no kind of store"),
            ("https://host/path", "s3://BUCKET/PREFIX"),
            ("s3:/bucket", "names no bucket"),
            ("s3:///prefix", "names no bucket"),
            ("s3://bucket/a//b", "prefix"),
            ("s3://bucket/../a", "prefix"),
            ("file://host/path", "file:///PATH"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn credentials_are_refused_in_a_url_and_shown_nowhere() {
        for text in [
            "s3://key:hunter2@bucket/a",
            "az://container/a?sig=hunter2",
            "gs://bucket/a#hunter2",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let url = parse("s3://bucket/a")
            .unwrap()
            .with_options([("AWS_SECRET_ACCESS_KEY", "hunter2")]);
        assert!(!format!("{url} {url:?}").contains("hunter2"));
    }

    #[test]
    fn settings_of_another_service_are_not_used() {
        let url = parse("gs://bucket")
            .unwrap()
            .with_options([("AWS_REGION", "x"), ("GOOGLE_BEARER_TOKEN", "y")]);
        assert_eq!(
            url.options(Service::Gcs),
            [("google_bearer_token".to_owned(), "y".to_owned())]
        );
    }
}
