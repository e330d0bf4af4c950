//! Where a tenant is: in a data folder, or behind a server.

use anyhow::{Result, bail};
use exeat_directory::Tenant;
use exeat_engine::Engine;

use super::client::Client;
use crate::cli::{HouseArgs, Place};

/// One of the two.
pub(super) enum House {
    /// A data folder, without a server.
    Folder { engine: Box<Engine>, tenant: Tenant },
    /// A server, over HTTP.
    Server(Client),
}

impl House {
    /// The one that the flags name.
    pub(super) async fn open(place: &Place, args: &HouseArgs) -> Result<Self> {
        if let Some(client) = server(args)? {
            return Ok(Self::Server(client));
        }
        let engine = Box::new(Engine::open(place.settings()?).await?);
        let tenant = engine
            .directory()
            .tenant(args.tenant.as_deref().unwrap_or_default())
            .await?;
        Ok(Self::Folder { engine, tenant })
    }
}

/// The server that the flags name, if they name one.
pub(super) fn server(args: &HouseArgs) -> Result<Option<Client>> {
    match (&args.tenant, &args.server, &args.token) {
        (Some(_), _, _) => Ok(None),
        (None, Some(url), Some(token)) => Ok(Some(Client::new(url, token))),
        _ => {
            bail!("--tenant names a tenant of the data folder; --server and EXEAT_TOKEN lead to a server")
        }
    }
}

/// Asks a server away from the runtime's threads.
pub(super) async fn ask<T: Send + 'static>(
    client: Client,
    question: impl FnOnce(&Client) -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(move || question(&client)).await?
}
