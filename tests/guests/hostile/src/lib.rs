//! A transform that does one thing wrong, as its configuration says, on raw bindings.
//!
//! `{"misdeed": "spin_in_open"}` does what `misdeeds/spin_in_open.rs` says; `{"misdeed": "none"}`
//! behaves. What a misdeed leaves alone is done well: it reads `name`, passes `user_id` on and
//! computes `note`, a copy of `name`.

use std::cell::RefCell;

mod abi;
#[doc(hidden)]
pub mod bindings;
mod common;
mod good;
pub mod misdeeds;

use bindings::exeat::plugin::types::{Batch, ConfigError, Description, Fault, JobContext, OfferedField};
use bindings::exports::exeat::plugin::transform::{Guest, Output, Plan};

/// What a guest does with a job. By default, well.
pub trait Behaviour {
    /// Opens a job.
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        good::plan(input)
    }

    /// Processes a batch.
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        Ok(good::output(batch))
    }
}

/// The guest.
#[derive(Debug)]
pub struct Hostile;

thread_local! {
    static BEHAVIOUR: RefCell<Option<Box<dyn Behaviour>>> = const { RefCell::new(None) };
}

impl Guest for Hostile {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: common::config_schema(misdeeds::NAMES),
        }
    }

    fn open(job: JobContext, input: Vec<OfferedField>, config: String) -> Result<Plan, Fault> {
        let misdeed = common::misdeed(&config).and_then(|name| misdeeds::of(&name));
        let mut behaviour = misdeed.ok_or_else(|| {
            Fault::InvalidConfig(ConfigError {
                pointer: "/misdeed".to_owned(),
                message: "is none of ours".to_owned(),
            })
        })?;
        let plan = behaviour.open(&job, &input)?;
        BEHAVIOUR.set(Some(behaviour));
        Ok(plan)
    }

    fn process(batch: Batch) -> Result<Output, Fault> {
        BEHAVIOUR.with_borrow_mut(|behaviour| match behaviour {
            Some(behaviour) => behaviour.process(batch),
            None => Err(Fault::Internal(
                "the host called before it opened a job".to_owned(),
            )),
        })
    }
}

abi::export_component!(Hostile);
