//! Where everything lies.

use std::path::PathBuf;

use clap::Args;
use exeat_directory::{DatabaseUrl, Directory};
use exeat_engine::{EngineSettings, JobSettings};
use exeat_vault::StoreUrl;

/// Where everything lies.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// Folder in which everything lies that Exeat keeps, unless the next two say otherwise
    #[arg(
        long,
        global = true,
        env = "EXEAT_DATA",
        default_value = "./exeat-data",
        value_name = "DIR"
    )]
    pub(crate) data: PathBuf,
    /// Users, jobs, tokens, plugins, audit: sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME;
    /// left out, SQLite in the data folder
    #[arg(
        long,
        global = true,
        env = "EXEAT_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<DatabaseUrl>,
    /// Files of exports, and plugins: a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or
    /// az://CONTAINER/PREFIX; left out, the data folder
    #[arg(long, global = true, env = "EXEAT_STORE", value_name = "URL")]
    store: Option<StoreUrl>,
}

impl Place {
    /// The database.
    pub(crate) fn database(&self) -> DatabaseUrl {
        self.database
            .clone()
            .unwrap_or_else(|| Directory::in_folder(&self.data))
    }

    /// Everything, with jobs as they are by default.
    pub(crate) fn settings(&self) -> EngineSettings {
        self.settings_with(JobSettings::default())
    }

    /// Everything.
    pub(crate) fn settings_with(&self, jobs: JobSettings) -> EngineSettings {
        EngineSettings {
            data: self.data.clone(),
            database: self.database(),
            store: self.store.clone(),
            jobs,
        }
    }
}
