//! Where everything lies.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use exeat_directory::postgres::SourceDefinition;
use exeat_directory::{DatabaseUrl, Directory};
use exeat_engine::webhooks::WebhookTargets;
use exeat_engine::{EngineSettings, JobSettings, SourceSettings};
use exeat_vault::StoreUrl;

/// Where everything lies.
///
/// URLs may hold passwords. They are texts here, because what clap cannot parse it prints.
#[derive(Clone, Args)]
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
    database: Option<String>,
    /// Files of exports, and plugins: a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or
    /// az://CONTAINER/PREFIX; left out, the data folder
    #[arg(long, global = true, env = "EXEAT_STORE", value_name = "URL")]
    store: Option<String>,
    /// Where users are read from, if not from the database: keycloak, supabase, or a file like
    /// those (exeat source show keycloak)
    #[arg(long, global = true, env = "EXEAT_SOURCE", value_name = "NAME|FILE")]
    source: Option<String>,
    /// The platform's PostgreSQL database; left out, it is that of --database
    #[arg(
        long,
        global = true,
        env = "EXEAT_SOURCE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    source_url: Option<String>,
}

/// Shows no URL.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// The database.
    pub(crate) fn database(&self) -> Result<DatabaseUrl> {
        match &self.database {
            Some(url) => url.parse().context("--database or EXEAT_DATABASE is no URL"),
            None => Ok(Directory::in_folder(&self.data)),
        }
    }

    /// The store, if it is not the data folder.
    fn store(&self) -> Result<Option<StoreUrl>> {
        let parsed = self.store.as_ref().map(|url| url.parse());
        parsed
            .transpose()
            .context("--store or EXEAT_STORE cannot be used")
    }

    /// Everything, with jobs as they are by default.
    pub(crate) fn settings(&self) -> Result<EngineSettings> {
        self.settings_with(JobSettings::default())
    }

    /// Everything.
    pub(crate) fn settings_with(&self, jobs: JobSettings) -> Result<EngineSettings> {
        Ok(EngineSettings {
            webhooks: WebhookTargets::default(),
            data: self.data.clone(),
            database: self.database()?,
            store: self.store()?,
            source: self.source()?,
            jobs,
        })
    }

    /// Says so where a database for many machines has its files on one of them.
    pub(crate) fn warn_of_local_files(&self) {
        if self.store.is_none() && matches!(self.database(), Ok(DatabaseUrl::Postgres(_))) {
            eprintln!(
                "warning: files of exports are kept in {} on this machine; --store names a place for all of them",
                self.data.display()
            );
        }
    }

    /// The platform's database, if users are read from there.
    pub(crate) fn source(&self) -> Result<Option<SourceSettings>> {
        let Some(name) = &self.source else {
            return Ok(None);
        };
        let definition = match SourceDefinition::preset(name) {
            Some(preset) => preset,
            None => {
                let text = std::fs::read_to_string(name).with_context(|| {
                    format!("--source is keycloak, supabase or a file, and {name} cannot be read")
                })?;
                SourceDefinition::parse(&text).with_context(|| format!("{name} is no source definition"))?
            }
        };
        let url = match (&self.source_url, self.database()?) {
            (Some(url), _) => url.clone(),
            (None, DatabaseUrl::Postgres(url)) => url,
            (None, DatabaseUrl::Sqlite(_)) => {
                bail!(
                    "--source-url says where the platform's database is: postgres://USER:PASSWORD@HOST/NAME"
                )
            }
        };
        Ok(Some(SourceSettings { definition, url }))
    }
}

/// Where a tenant is: in a data folder, or behind a server.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct HouseArgs {
    /// Tenant, in the data folder
    #[arg(long, conflicts_with = "server")]
    pub(crate) tenant: Option<String>,
    /// URL of a server; the token says which tenant
    #[arg(long, env = "EXEAT_SERVER", value_name = "URL", requires = "token")]
    pub(crate) server: Option<String>,
    /// Token for the server
    #[arg(long, env = "EXEAT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// The same; without either, what ships.
#[derive(Debug, Args)]
pub(crate) struct OptionalHouseArgs {
    /// Tenant whose plugins are listed beside those that ship
    #[arg(long, conflicts_with = "server")]
    pub(crate) tenant: Option<String>,
    /// URL of a server; the token says which tenant
    #[arg(long, env = "EXEAT_SERVER", value_name = "URL", requires = "token")]
    pub(crate) server: Option<String>,
    /// Token for the server
    #[arg(long, env = "EXEAT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}
