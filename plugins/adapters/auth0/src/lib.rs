//! Renders users in the import format of Auth0.
//!
//! Rules and limits: Auth0's documentation, "Bulk User Imports" and its "User import schema".
//! A file is a JSON array of users and smaller than 500 KB; unknown keys are refused; there is
//! no password, so that each user sets one at the first sign-in.
//!
//! | here | there |
//! |---|---|
//! | `user_id` | `user_id`, without a leading `auth0\|`, which Auth0 adds itself |
//! | `email`, `email_verified`, `given_name`, `family_name`, `name`, `nickname`, `picture` | the same |
//! | `username` | the same, in lower case, if the configuration asks for it |
//! | `state` suspended | `blocked` |
//! | `state` deleted | not written, counted as dropped |
//! | `custom_attributes` | `user_metadata` |
//! | `app_metadata`, and `keep` (`groups`, `created_at`, …) under the key `exeat` | `app_metadata` |

mod config;
mod files;
mod user;

use exeat_sdk::{Adapter, AdapterPlan, Fault, Job, Outcome, Reject, Row, Sink};

pub use config::Config;
use files::Files;
use user::Columns;

/// The adapter at work.
#[derive(Debug)]
pub struct Auth0 {
    columns: Columns,
    files: Files,
}

impl Adapter for Auth0 {
    type Config = Config;

    fn open(config: Config, _job: &Job, plan: &mut AdapterPlan) -> Result<Self, Fault> {
        config.check()?;
        Ok(Self {
            columns: Columns::plan(&config, plan)?,
            files: Files::new(config.max_file_bytes),
        })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Sink) -> Result<Outcome, Reject> {
        if self.columns.is_deleted(row) {
            return Ok(Outcome::Dropped);
        }
        let user = self.columns.user(row, out)?;
        self.files.write(&user, out)?;
        Ok(Outcome::Written)
    }

    fn finish(&mut self, out: &mut Sink) -> Result<(), Fault> {
        self.files.finish(out);
        Ok(())
    }
}

exeat_sdk::export_adapter!(
    Auth0,
    "Renders users in the import format of Auth0: JSON arrays under 500 KB."
);
