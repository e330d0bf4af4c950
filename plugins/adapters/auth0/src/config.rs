//! What the owner of a job may set.

use exeat_sdk::Fault;
use schemars::JsonSchema;
use serde::Deserialize;

/// Auth0's limit is 500 KB a file; whether that is 500,000 or 512,000 bytes is not said.
const MAX_FILE_BYTES: usize = 500_000;
const MIN_FILE_BYTES: usize = 20_000;

/// Fields that Auth0 has no place for.
const KEEPABLE: [&str; 8] = [
    "groups",
    "created_at",
    "updated_at",
    "last_signed_in_at",
    "locale",
    "connection",
    "logins_count",
    "identities",
];

/// How users are rendered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Largest file, in bytes: 20,000 to 500,000.
    pub max_file_bytes: usize,
    /// Whether to write usernames: only for a connection that requires them.
    pub usernames: bool,
    /// Fields that Auth0 has no place for, kept in `app_metadata` under the key `exeat`: any of
    /// groups, created_at, updated_at, last_signed_in_at, locale, connection, logins_count, identities.
    pub keep: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let keep = ["groups", "created_at", "last_signed_in_at"]
            .map(str::to_owned)
            .to_vec();
        Self {
            max_file_bytes: MAX_FILE_BYTES,
            usernames: false,
            keep,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if !(MIN_FILE_BYTES..=MAX_FILE_BYTES).contains(&self.max_file_bytes) {
            let message = format!("a file may have {MIN_FILE_BYTES} to {MAX_FILE_BYTES} bytes");
            return Err(Fault::config("/max_file_bytes", message));
        }
        match self
            .keep
            .iter()
            .position(|field| !KEEPABLE.contains(&field.as_str()))
        {
            Some(index) => {
                let message = format!("only these can be kept: {}", KEEPABLE.join(", "));
                Err(Fault::config(format!("/keep/{index}"), message))
            }
            None => Ok(()),
        }
    }
}
