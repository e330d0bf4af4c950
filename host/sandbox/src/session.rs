//! One plugin opened for one job: an instance, and a fresh one when the first breaks down.

use crate::abi::Fault;
use crate::abi::v0_1::{Guest, Job};
use crate::chain::{PluginUse, plugin_key};
use crate::engine::Sandbox;
use crate::error::{Cause, OpenError, PluginFailure};
use crate::figures::Recorder;
use crate::limits::PluginLimits;
use crate::plugin::Plugin;
use crate::store::{GuestStore, JobState, printable};
use crate::wasi::Surroundings;
use crate::{JobContext, OfferedColumn};

/// How a guest is opened: the question that every instance of the session is asked.
type Open<P> = fn(
    &Guest,
    &mut wasmtime::Store<JobState>,
    &Job<'_>,
    &[OfferedColumn],
    &str,
) -> wasmtime::Result<Result<P, Fault>>;

/// A plugin at work on a job. `P` is the plan that it answers with when it is opened.
pub(crate) struct Session<P> {
    sandbox: Sandbox,
    used: PluginUse,
    job: JobContext,
    offered: Vec<OfferedColumn>,
    open: Open<P>,
    plan: P,
    store: GuestStore,
    guest: Guest,
    recorder: Recorder,
    batches: u64,
}

impl<P: PartialEq> Session<P> {
    pub(crate) fn start(
        sandbox: &Sandbox,
        used: &PluginUse,
        job: &JobContext,
        offered: &[OfferedColumn],
        open: Open<P>,
    ) -> Result<Self, OpenError> {
        let recorder = Recorder::new(&used.plugin);
        recorder.note(|figures| match used.plugin.compiled_in() {
            Some(time) => {
                figures.compilations += 1;
                figures.compile_ns += time.as_nanos() as u64;
            }
            None => figures.cache_hits += 1,
        });
        let surroundings = Surroundings::new(job.snapshot_at_us, job.seed);
        let mut store = GuestStore::new(sandbox, used.limits, surroundings, &recorder);
        let opened = ask(&mut store, used, job, offered, open);
        if let Err(OpenError::Failed(failure)) = &opened {
            note_breakdown(&recorder, failure);
        }
        let (guest, plan) = opened?;
        Ok(Self {
            sandbox: sandbox.clone(),
            used: used.clone(),
            job: job.clone(),
            offered: offered.to_vec(),
            open,
            plan,
            store,
            guest,
            recorder,
            batches: 0,
        })
    }

    /// A session of the same plugin for the same job, on an instance of its own, which must plan as
    /// this one's did. Both note what they do in one place.
    pub(crate) fn twin(&self) -> Result<Self, PluginFailure>
    where
        P: Clone,
    {
        let surroundings = Surroundings::new(self.job.snapshot_at_us, self.job.seed);
        let mut store = GuestStore::new(&self.sandbox, self.used.limits, surroundings, &self.recorder);
        let guest = self.reopened(&mut store).map_err(|cause| {
            self.note_trap(&cause);
            self.used.plugin.failure(None, None, cause)
        })?;
        Ok(Self {
            sandbox: self.sandbox.clone(),
            used: self.used.clone(),
            job: self.job.clone(),
            offered: self.offered.clone(),
            open: self.open,
            plan: self.plan.clone(),
            store,
            guest,
            recorder: self.recorder.clone(),
            batches: 0,
        })
    }

    pub(crate) fn plan(&self) -> &P {
        &self.plan
    }

    pub(crate) fn plugin(&self) -> &Plugin {
        &self.used.plugin
    }

    pub(crate) fn limits(&self) -> PluginLimits {
        self.used.limits
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Whether no batch is behind it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.batches == 0
    }

    pub(crate) fn store(&mut self) -> &mut GuestStore {
        &mut self.store
    }

    /// Makes one call. What the guest says no to is a guest error.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&Guest, &mut wasmtime::Store<JobState>) -> wasmtime::Result<Result<T, Fault>>,
    ) -> Result<T, Cause> {
        let guest = &self.guest;
        let answer = self.store.call(|store| call(guest, store))?;
        answer.map_err(|fault| Cause::GuestError(fault_text(fault, self.used.limits)))
    }

    /// Does the work of one batch; once more on a fresh instance, if the first breaks down over
    /// it and what earlier batches left in it does not matter.
    pub(crate) fn batch<T>(
        &mut self,
        sequence: u64,
        stateless: bool,
        mut work: impl FnMut(&mut Self) -> Result<T, Cause>,
    ) -> Result<T, PluginFailure> {
        let mut done = work(self);
        let fresh = self.is_fresh();
        if let Err(cause) = &done
            && cause.is_worth_a_retry()
        {
            self.note_trap(cause);
            if stateless || fresh {
                done = self.renew().and_then(|()| {
                    self.recorder.note(|figures| figures.retried_batches += 1);
                    work(self)
                });
                if let Err(cause) = &done {
                    self.note_trap(cause);
                }
            }
        } else if let Err(cause) = &done {
            self.note_trap(cause);
        }
        self.batches += 1;
        done.map_err(|cause| {
            self.store.condemn();
            self.used.plugin.failure(Some(sequence), None, cause)
        })
    }

    fn note_trap(&self, cause: &Cause) {
        if cause.is_breakdown() {
            self.recorder.note(|figures| figures.count_trap(cause.code()));
        }
    }

    /// A fresh instance in the place of the one at hand, which must plan as that one did.
    fn renew(&mut self) -> Result<(), Cause> {
        let surroundings = Surroundings::new(self.job.snapshot_at_us, self.job.seed);
        self.store.renew(&self.sandbox, surroundings);
        let opened = ask(&mut self.store, &self.used, &self.job, &self.offered, self.open);
        self.guest = self.same_plan(opened)?;
        Ok(())
    }

    /// Opens the job once more, in a store of its own.
    fn reopened(&self, store: &mut GuestStore) -> Result<Guest, Cause> {
        self.same_plan(ask(store, &self.used, &self.job, &self.offered, self.open))
    }

    fn same_plan(&self, opened: Result<(Guest, P), OpenError>) -> Result<Guest, Cause> {
        match opened {
            Ok((guest, plan)) if plan == self.plan => Ok(guest),
            Err(OpenError::Failed(failure)) => Err(*failure.cause),
            _ => Err(different_answer()),
        }
    }
}

fn different_answer() -> Cause {
    Cause::GuestFault("it plans differently each time it is opened for the same job".to_owned())
}

fn note_breakdown(recorder: &Recorder, failure: &PluginFailure) {
    if failure.cause.is_breakdown() {
        recorder.note(|figures| figures.count_trap(failure.cause.code()));
    }
}

/// Instantiates the plugin and opens the job.
fn ask<P>(
    store: &mut GuestStore,
    used: &PluginUse,
    job: &JobContext,
    offered: &[OfferedColumn],
    open: Open<P>,
) -> Result<(Guest, P), OpenError> {
    let plugin = &used.plugin;
    let guest = plugin.instantiate(store)?;
    let key = plugin_key(job, plugin);
    let job = Job::of(job, &key);
    let plan = store
        .call(|store| open(&guest, store, &job, offered, &used.config))
        .map_err(|cause| plugin.failure(None, None, cause))?
        .map_err(|fault| open_fault(plugin, fault, used.limits))?;
    Ok((guest, plan))
}

fn open_fault(plugin: &Plugin, fault: Fault, limits: PluginLimits) -> OpenError {
    let cut = |text: String| printable(&text, limits.message_bytes);
    let label = plugin.label();
    match fault {
        Fault::Config { pointer, message } => OpenError::Config {
            plugin: label,
            pointer: cut(pointer),
            message: cut(message),
        },
        Fault::Schema { field, message } => OpenError::Schema {
            plugin: label,
            field: cut(field),
            message: cut(message),
        },
        Fault::Internal(message) => plugin.failure(None, None, Cause::GuestError(cut(message))).into(),
    }
}

fn fault_text(fault: Fault, limits: PluginLimits) -> String {
    let text = match fault {
        Fault::Config { pointer, message } => format!("{message} (configuration, {pointer})"),
        Fault::Schema { field, message } => format!("{field} {message}"),
        Fault::Internal(message) => message,
    };
    printable(&text, limits.message_bytes)
}
