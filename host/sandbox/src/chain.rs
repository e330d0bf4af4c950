//! The plugins of one job, one after the other: a released batch in, a shaped batch out.

use std::sync::Arc;

use exeat_gate::{ColumnSpec, ReleasedBatch, ShapedBatch};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;

use crate::adapter::AdapterSession;
use crate::engine::Sandbox;
use crate::error::{OpenError, PluginFailure};
use crate::figures::Recorder;
use crate::limits::PluginLimits;
use crate::places::TakenPlaces;
use crate::plugin::{Plugin, PluginKind};
use crate::transform::{Reject, TransformSession};
use crate::{JobContext, KeyMaterial, OfferedColumn};

/// A plugin and how a job wants to use it.
#[derive(Clone, Debug)]
pub struct PluginUse {
    /// The plugin.
    pub plugin: Plugin,
    /// Its configuration: JSON, or nothing for `{}`.
    pub config: String,
    /// Its limits.
    pub limits: PluginLimits,
}

/// A plugin of the chain could not be opened.
#[derive(Debug, Error)]
pub enum ChainError {
    /// It says no, or fails.
    #[error("{source}")]
    Open {
        /// Place in the chain, from 0; an adapter comes after the transforms.
        step: usize,
        /// Why.
        source: OpenError,
    },
    /// It is of the other kind.
    #[error("{plugin} is {}", match .kind { PluginKind::Transform => "a transform, not an adapter", PluginKind::Adapter => "an adapter, not a transform" })]
    WrongKind {
        /// Place in the chain, from 0.
        step: usize,
        /// Name and version.
        plugin: String,
        /// What it is.
        kind: PluginKind,
    },
}

impl ChainError {
    /// Place in the chain, from 0; an adapter comes after the transforms.
    pub fn step(&self) -> usize {
        match self {
            Self::Open { step, .. } | Self::WrongKind { step, .. } => *step,
        }
    }
}

/// Transforms, opened for one job, with an adapter at the end or without.
#[derive(Debug)]
pub struct Chain {
    needs: Vec<ColumnSpec>,
    transforms: Vec<TransformSession>,
    adapter: Option<AdapterSession>,
    sequence: u64,
    places: Arc<TakenPlaces>,
}

/// What the chain made of a batch.
#[derive(Debug)]
pub struct Shaped {
    /// Number of the batch, from 0.
    pub sequence: u64,
    /// The rows that are left.
    pub batch: ShapedBatch,
    /// Rows that transforms dropped.
    pub dropped: u64,
    /// Rows that transforms rejected, as far as they are kept.
    pub rejects: Vec<Reject>,
    /// How many rows transforms rejected.
    pub rejected: u64,
}

impl Chain {
    /// Opens every plugin of a job. The first is offered the columns of the export; each of the
    /// others what the one before puts out.
    ///
    /// # Errors
    /// A plugin that says no, fails or is of the wrong kind, with its place in the chain.
    pub fn open(
        sandbox: &Sandbox,
        job: &JobContext,
        offered: &[OfferedColumn],
        transforms: &[PluginUse],
        adapter: Option<&PluginUse>,
    ) -> Result<Self, ChainError> {
        let guests = transforms.len() + usize::from(adapter.is_some());
        let places = sandbox.places.take(guests).ok_or(ChainError::Open {
            step: 0,
            source: OpenError::Busy,
        })?;
        let mut input = offered.to_vec();
        let mut sessions: Vec<TransformSession> = Vec::with_capacity(transforms.len());
        for (step, used) in transforms.iter().enumerate() {
            check_kind(step, used, PluginKind::Transform)?;
            let narrowed = step == 0;
            let opened = TransformSession::open(sandbox, used, job, &input, narrowed);
            let session = opened.map_err(|source| ChainError::Open { step, source })?;
            input = session
                .schema()
                .iter()
                .map(|spec| OfferedColumn {
                    spec: spec.clone(),
                    selected: true,
                })
                .collect();
            sessions.push(session);
        }
        let adapter = adapter.map(|used| {
            let step = transforms.len();
            check_kind(step, used, PluginKind::Adapter)?;
            let narrowed = step == 0;
            AdapterSession::open(sandbox, used, job, &input, narrowed)
                .map_err(|source| ChainError::Open { step, source })
        });
        let adapter = adapter.transpose()?;
        let needs = match (sessions.first(), &adapter) {
            (Some(first), _) => first.needs().to_vec(),
            (None, Some(adapter)) => adapter.needs().to_vec(),
            (None, None) => input
                .iter()
                .filter(|column| column.selected)
                .map(|column| column.spec.clone())
                .collect(),
        };
        Ok(Self {
            needs,
            transforms: sessions,
            adapter,
            sequence: 0,
            places: Arc::new(places),
        })
    }

    /// The columns that a released batch must hold, in order: all that any plugin reads or passes on.
    pub fn needs(&self) -> &[ColumnSpec] {
        &self.needs
    }

    /// The columns that come out.
    pub fn schema(&self) -> &[ColumnSpec] {
        self.transforms.last().map_or(&self.needs, |last| last.schema())
    }

    /// Each plugin with the names of the columns that it is given.
    pub fn plugins(&self) -> Vec<(&Plugin, Vec<&str>)> {
        let transforms = self
            .transforms
            .iter()
            .map(|session| (session.plugin(), session.reads()));
        let adapter = self
            .adapter
            .iter()
            .map(|session| (session.plugin(), session.reads()));
        transforms.chain(adapter).collect()
    }

    /// Takes the adapter out, to be run where its bytes are written.
    pub fn take_adapter(&mut self) -> Option<AdapterSession> {
        let mut adapter = self.adapter.take()?;
        // It may outlive the chain; its place must live as long.
        adapter.keep(Arc::clone(&self.places));
        Some(adapter)
    }

    /// Runs a batch through every transform.
    ///
    /// # Errors
    /// A plugin traps, breaks the contract, says no, or puts out what may not leave.
    pub fn process(&mut self, released: ReleasedBatch) -> Result<Shaped, PluginFailure> {
        self.process_numbered(self.sequence, released)
    }

    /// The same, for a batch of this number: [twins](Self::twin) share the batches of a job.
    ///
    /// # Errors
    /// As for [`Self::process`].
    pub fn process_numbered(
        &mut self,
        sequence: u64,
        released: ReleasedBatch,
    ) -> Result<Shaped, PluginFailure> {
        self.sequence = sequence + 1;
        let mut shaped = Shaped {
            sequence,
            batch: ShapedBatch::untouched(released),
            dropped: 0,
            rejects: Vec::new(),
            rejected: 0,
        };
        for transform in &mut self.transforms {
            let transformed = transform.process(sequence, &shaped.batch)?;
            shaped.batch = transformed.batch;
            shaped.dropped += transformed.dropped;
            shaped.rejects.extend(transformed.rejects);
            shaped.rejected += transformed.rejected;
        }
        Ok(shaped)
    }

    /// Another chain of the same transforms, without the adapter, that makes of any batch what this
    /// one does; nothing if one of them keeps state, or if there is no place free at the moment.
    ///
    /// # Errors
    /// A plugin fails, or plans differently than before.
    pub fn twin(&self, sandbox: &Sandbox) -> Result<Option<Self>, PluginFailure> {
        if !self.transforms.iter().all(TransformSession::is_stateless) {
            return Ok(None);
        }
        let Some(places) = sandbox.places.take_now(self.transforms.len()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            needs: self.needs.clone(),
            transforms: self
                .transforms
                .iter()
                .map(TransformSession::twin)
                .collect::<Result<_, _>>()?,
            adapter: None,
            sequence: 0,
            places: Arc::new(places),
        }))
    }

    /// Where it is noted what each plugin does, in order. They live on when the chain has died.
    pub fn recorders(&self) -> Vec<Recorder> {
        let transforms = self.transforms.iter().map(TransformSession::recorder);
        let adapter = self.adapter.iter().map(AdapterSession::recorder);
        transforms.chain(adapter).cloned().collect()
    }
}

fn check_kind(step: usize, used: &PluginUse, wanted: PluginKind) -> Result<(), ChainError> {
    let kind = used.plugin.kind();
    if kind == wanted {
        return Ok(());
    }
    Err(ChainError::WrongKind {
        step,
        plugin: used.plugin.label(),
        kind,
    })
}

/// The key that a plugin gets: the tenant's, bound to the plugin's name, so that no plugin can
/// make another's pseudonyms.
pub(crate) fn plugin_key(job: &JobContext, plugin: &Plugin) -> [u8; 32] {
    let tenant_key = match &job.keys {
        KeyMaterial::Given(key) => return *key,
        KeyMaterial::Tenant(key) => key,
    };
    let mut mac = <Hmac<Sha256>>::new_from_slice(tenant_key).expect("HMAC takes a key of any length");
    mac.update(b"exeat plugin pseudonym key\0");
    mac.update(plugin.name().as_bytes());
    mac.finalize().into_bytes().into()
}
