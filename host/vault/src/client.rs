//! Clients of the object stores: how long they wait, how often they try, and what they make of an
//! answer that says no.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use thiserror::Error;

use crate::error::VaultError;
use crate::url::{Service, StoreUrl};

/// How long connecting may take (`AWS_CONNECT_TIMEOUT` and its like change it).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the store may keep silent: until its answer begins, sending the request included, and
/// between two pieces of it (`AWS_READ_TIMEOUT` and its like change it). A download as a whole has
/// no limit, since its reader sets the pace.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// A request is tried at most six times, and not again once 45 seconds have passed. A store that
/// says no at once is given up after 13 seconds at most, one that never answers after 70.
const RETRIES: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(45);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where machines of the providers ask for their own credentials.
pub(crate) const METADATA_HOST: &str = "169.254.169.254";

/// Longest error code that is believed to be one.
const LONGEST_CODE: usize = 64;

/// Objects and multipart uploads of a bucket.
pub(crate) type Bucket = (Arc<dyn ObjectStore>, Arc<dyn MultipartStore>);

/// Makes a client; nothing is asked of the store yet.
pub(crate) fn connect(
    url: &StoreUrl,
    service: Service,
    bucket: &str,
    prefix: &Path,
) -> Result<Bucket, VaultError> {
    let options = url.options(service);
    let transport = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT);
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: FIRST_PAUSE,
            max_backoff: LONGEST_PAUSE,
            base: 3.0,
        },
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    };
    match service {
        Service::S3 => {
            refuse_plain_http(&options)?;
            let defaults = AmazonS3Builder::new()
                .with_client_options(transport)
                // Not every store that speaks S3 deletes in bulk, and a bulk is not tried again.
                .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true");
            let client = configured(defaults, options, AmazonS3Builder::with_config)
                .with_bucket_name(bucket)
                .with_retry(retry)
                .with_http_connector(Telling)
                .build();
            Ok(prefixed(client.map_err(unusable)?, prefix))
        }
        Service::Gcs => {
            let defaults = GoogleCloudStorageBuilder::new().with_client_options(transport);
            let client = configured(defaults, options, GoogleCloudStorageBuilder::with_config)
                .with_bucket_name(bucket)
                .with_retry(retry)
                .with_http_connector(Telling)
                .build();
            Ok(prefixed(client.map_err(unusable)?, prefix))
        }
        Service::Azure => {
            let defaults = MicrosoftAzureBuilder::new().with_client_options(transport);
            let client = configured(defaults, options, MicrosoftAzureBuilder::with_config)
                .with_container_name(bucket)
                .with_retry(retry)
                .with_http_connector(Telling)
                .build();
            Ok(prefixed(client.map_err(unusable)?, prefix))
        }
    }
}

/// A client with those of the options that it knows.
fn configured<B, K: FromStr>(
    defaults: B,
    options: impl IntoIterator<Item = (String, String)>,
    with_config: impl Fn(B, K, String) -> B,
) -> B {
    options
        .into_iter()
        .fold(defaults, |builder, (name, value)| match name.parse() {
            Ok(key) => with_config(builder, key, value),
            Err(_) => builder,
        })
}

fn prefixed<S: ObjectStore + MultipartStore>(client: S, prefix: &Path) -> Bucket {
    let store = Arc::new(PrefixStore::new(client, prefix.clone()));
    (Arc::clone(&store) as _, store)
}

/// The client would refuse it too, with a word about URL schemes at the first request.
fn refuse_plain_http(options: &[(String, String)]) -> Result<(), VaultError> {
    let is_set = |names: [&str; 3], holds: fn(&str) -> bool| {
        options
            .iter()
            .any(|(name, value)| names.contains(&name.as_str()) && holds(value))
    };
    let endpoints = ["aws_endpoint_url", "aws_endpoint_url_s3", "aws_endpoint"];
    let plain = is_set(endpoints, |value| value.starts_with("http://"));
    let allowed = is_set(["aws_allow_http"; 3], |value| {
        ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str())
    });
    if plain && !allowed {
        return Err(VaultError::settings(
            "its endpoint is http:, which sends exports unencrypted; set AWS_ALLOW_HTTP=true if that is meant",
        ));
    }
    Ok(())
}

fn unusable(error: object_store::Error) -> VaultError {
    let mut cause: &dyn std::error::Error = &error;
    loop {
        if cause.is::<serde_json::Error>() {
            // It would quote the key that it could not read.
            return VaultError::settings("its credentials are not the JSON that they should be");
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return VaultError::settings(cause.to_string()),
        }
    }
}

/// A refusal of the store's.
#[derive(Debug, Error)]
#[error("the store answered {status}{}", .code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
}

/// The code in an error of S3's form, which the other services share.
pub(crate) fn error_code(body: &str) -> Option<String> {
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code = code.len() <= LONGEST_CODE && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

/// Makes refusals errors of a type, with their status and code. The library would keep them as
/// text alone, body included, and some stores put request and signature into that.
#[derive(Debug)]
struct Telling;

impl HttpConnector for Telling {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(TellingClient(client)))
    }
}

#[derive(Debug)]
struct TellingClient(HttpClient);

#[async_trait]
impl HttpService for TellingClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_metadata = request.uri().host() == Some(METADATA_HOST);
        let response = self.0.execute(request).await?;
        let status = response.status().as_u16();
        // The library acts on these two, and on what it hears from the machine about credentials.
        if status < 400 || matches!(status, 409 | 412) || is_metadata {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let body = body.bytes().await.unwrap_or_default();
        let code = error_code(&String::from_utf8_lossy(&body));
        let no_bucket = matches!(code.as_deref(), Some("ContainerNotFound" | "NoSuchBucket"));
        if status == 404 && !no_bucket {
            return Ok(HttpResponse::from_parts(head, body.into()));
        }
        let kind = match status {
            // The kind that is tried again, as such an answer is.
            408 | 429 | 500.. => HttpErrorKind::Request,
            _ => HttpErrorKind::Unknown,
        };
        Err(HttpError::new(kind, Answered { status, code }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StoreFault;
    use crate::vault::Vault;

    fn open(url: &str, options: &[(&str, &str)]) -> Result<Vault, VaultError> {
        Vault::open(
            &url.parse::<StoreUrl>()
                .unwrap()
                .with_options(options.iter().copied()),
        )
    }

    #[tokio::test]
    async fn every_kind_of_store_can_be_opened() {
        open(
            "s3://bucket/a",
            &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")],
        )
        .unwrap();
        open("gs://bucket/a", &[("GOOGLE_BEARER_TOKEN", "a")]).unwrap();
        open(
            "az://container/a",
            &[
                ("AZURE_STORAGE_ACCOUNT_NAME", "a"),
                ("AZURE_STORAGE_ACCOUNT_KEY", "YQ=="),
            ],
        )
        .unwrap();
    }

    #[tokio::test]
    async fn settings_that_cannot_be_used_are_refused_without_quoting_them() {
        for (url, options) in [
            ("gs://bucket", [("GOOGLE_SERVICE_ACCOUNT_KEY", "hunter2")]),
            ("gs://bucket", [("GOOGLE_SERVICE_ACCOUNT_KEY", "\"hunter2\"")]),
            (
                "s3://bucket",
                [("AWS_ENDPOINT_URL", "http://localhost:1/hunter2")],
            ),
        ] {
            let error = open(url, &options).unwrap_err();
            assert_eq!(error.fault(), StoreFault::Settings);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_code_is_taken_from_an_answer_and_nothing_else() {
        let body = "<Error><Code>SlowDown</Code><StringToSign>x</StringToSign></Error>";
        assert_eq!(error_code(body).as_deref(), Some("SlowDown"));
        assert_eq!(error_code("<Code>a person's name</Code>"), None);
        assert_eq!(error_code("<html>"), None);
    }
}
