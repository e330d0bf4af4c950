//! Between the contract and the traits: what the export macros call, on wasm and in tests alike.

use crate::bindings::adapter::exports::exeat::plugin::adapter as wit_adapter;
use crate::bindings::transform::exports::exeat::plugin::transform as wit_transform;
use crate::bindings::types;
use crate::config;
use crate::error::Fault;
use crate::input::{Row, View};
use crate::logging::report_panics;
use crate::output::{Output, set_bit};
use crate::plan::{AdapterPlan, TransformPlan};
use crate::plugin::{Adapter, Outcome, Transform, Verdict};
use crate::sink::{Counts, Sink};

/// What a plugin with this configuration says of itself.
pub fn describe<C: schemars::JsonSchema>(name: &str, version: &str, summary: &str) -> types::Description {
    report_panics();
    types::Description {
        name: name.to_owned(),
        version: version.to_owned(),
        summary: summary.to_owned(),
        config_schema: config::schema::<C>(),
    }
}

/// A transform at work on a job.
#[derive(Debug)]
pub struct TransformRun<T> {
    transform: T,
    computed: Vec<types::Field>,
}

impl<T: Transform> TransformRun<T> {
    /// Opens a job.
    pub fn open(
        job: types::JobContext,
        input: Vec<types::OfferedField>,
        config: &str,
    ) -> Result<(Self, wit_transform::Plan), types::Fault> {
        report_panics();
        let mut plan = TransformPlan::new(input);
        let transform = T::open(config::parse(config)?, &job.try_into()?, &mut plan)?;
        let computed = plan.computed().to_vec();
        Ok((Self { transform, computed }, plan.into_wit(T::STATELESS)))
    }

    /// Processes a batch.
    pub fn process(&mut self, batch: &types::Batch) -> wit_transform::Output {
        let rows = batch.rows as usize;
        let columns: Vec<View<'_>> = batch.columns.iter().map(View::of).collect();
        let mut out = Output::new(&self.computed, rows);
        let mut keep = None;
        let mut rejects = Vec::new();
        for index in 0..rows {
            let stays = match self.transform.row(Row::new(&columns, index), &mut out) {
                Ok(verdict) => verdict == Verdict::Keep,
                Err(reject) => {
                    out.abandon_row();
                    rejects.push(reject.at(index as u32));
                    false
                }
            };
            out.end_row();
            if !stays {
                let keep = keep.get_or_insert_with(|| vec![0xff; rows.div_ceil(8)]);
                set_bit(keep, index, false);
            }
        }
        wit_transform::Output {
            columns: out.into_columns(),
            keep,
            rejects,
        }
    }
}

/// An adapter at work on a job.
#[derive(Debug)]
pub struct AdapterRun<A> {
    adapter: A,
}

impl<A: Adapter> AdapterRun<A> {
    /// Opens a job.
    pub fn open(
        job: types::JobContext,
        input: Vec<types::OfferedField>,
        config: &str,
    ) -> Result<(Self, wit_adapter::Plan), types::Fault> {
        report_panics();
        let mut plan = AdapterPlan::new(input);
        let adapter = A::open(config::parse(config)?, &job.try_into()?, &mut plan)?;
        Ok((Self { adapter }, wit_adapter::Plan { reads: plan.reads() }))
    }

    /// Processes a batch.
    pub fn process(&mut self, batch: &types::Batch) -> wit_adapter::Encoded {
        let columns: Vec<View<'_>> = batch.columns.iter().map(View::of).collect();
        let mut sink = Sink::new();
        let mut counts = Counts::default();
        for index in 0..batch.rows {
            match self.adapter.row(Row::new(&columns, index as usize), &mut sink) {
                Ok(Outcome::Written) => counts.written += 1,
                Ok(Outcome::Dropped) => counts.dropped += 1,
                Err(reject) => counts.rejects.push(reject.at(index)),
            }
        }
        sink.into_encoded(counts)
    }

    /// Writes what is left.
    pub fn finish(&mut self) -> Result<wit_adapter::Encoded, types::Fault> {
        let mut sink = Sink::new();
        self.adapter.finish(&mut sink)?;
        Ok(sink.into_encoded(Counts::default()))
    }
}

/// A call out of order: the host's fault.
pub fn not_open() -> types::Fault {
    Fault::Internal("the host called before it opened a job".to_owned()).into()
}

/// Exports a [`Transform`](crate::Transform) as a plugin. Takes the type and a sentence on what
/// it does; name and version are the crate's.
#[macro_export]
macro_rules! export_transform {
    ($transform:ty, $summary:expr) => {
        #[cfg(target_arch = "wasm32")]
        #[expect(unsafe_code, reason = "the ABI of a component's exports")]
        const _: () = {
            use $crate::bindings::transform::exports::exeat::plugin::transform as wit;
            use $crate::bindings::types;
            type Run = $crate::export::TransformRun<$transform>;
            type Config = <$transform as $crate::Transform>::Config;
            struct Component;
            std::thread_local! {
                static RUN: std::cell::RefCell<Option<Run>> = const { std::cell::RefCell::new(None) };
            }
            impl wit::Guest for Component {
                fn describe() -> types::Description {
                    $crate::export::describe::<Config>(
                        env!("CARGO_PKG_NAME"),
                        env!("CARGO_PKG_VERSION"),
                        $summary,
                    )
                }
                fn open(
                    job: types::JobContext,
                    input: Vec<types::OfferedField>,
                    config: String,
                ) -> Result<wit::Plan, types::Fault> {
                    let (run, plan) = Run::open(job, input, &config)?;
                    RUN.set(Some(run));
                    Ok(plan)
                }
                fn process(batch: types::Batch) -> Result<wit::Output, types::Fault> {
                    RUN.with_borrow_mut(|run| {
                        let run = run.as_mut().ok_or_else($crate::export::not_open)?;
                        Ok(run.process(&batch))
                    })
                }
            }
    $crate::bindings::transform::export!(Component with_types_in $crate::bindings::transform);
        };
    };
}

/// Exports an [`Adapter`](crate::Adapter) as a plugin. Takes the type and a sentence on what it
/// does; name and version are the crate's.
#[macro_export]
macro_rules! export_adapter {
    ($adapter:ty, $summary:expr) => {
        #[cfg(target_arch = "wasm32")]
        #[expect(unsafe_code, reason = "the ABI of a component's exports")]
        const _: () = {
            use $crate::bindings::adapter::exports::exeat::plugin::adapter as wit;
            use $crate::bindings::types;
            type Run = $crate::export::AdapterRun<$adapter>;
            type Config = <$adapter as $crate::Adapter>::Config;
            struct Component;
            std::thread_local! {
                static RUN: std::cell::RefCell<Option<Run>> = const { std::cell::RefCell::new(None) };
            }
            impl wit::Guest for Component {
                fn describe() -> types::Description {
                    $crate::export::describe::<Config>(
                        env!("CARGO_PKG_NAME"),
                        env!("CARGO_PKG_VERSION"),
                        $summary,
                    )
                }
                fn open(
                    job: types::JobContext,
                    input: Vec<types::OfferedField>,
                    config: String,
                ) -> Result<wit::Plan, types::Fault> {
                    let (run, plan) = Run::open(job, input, &config)?;
                    RUN.set(Some(run));
                    Ok(plan)
                }
                fn process(batch: types::Batch) -> Result<wit::Encoded, types::Fault> {
                    RUN.with_borrow_mut(|run| {
                        let run = run.as_mut().ok_or_else($crate::export::not_open)?;
                        Ok(run.process(&batch))
                    })
                }
                fn finish() -> Result<wit::Encoded, types::Fault> {
                    RUN.with_borrow_mut(|run| run.as_mut().ok_or_else($crate::export::not_open)?.finish())
                }
            }
    $crate::bindings::adapter::export!(Component with_types_in $crate::bindings::adapter);
        };
    };
}
