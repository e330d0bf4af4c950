//! An adapter that does one thing wrong, as its configuration says, on raw bindings.
//!
//! As its sister `hostile`: `{"misdeed": "same_file_twice"}` does what
//! `misdeeds/same_file_twice.rs` says. What a misdeed leaves alone is done well: it reads `name`
//! and writes each on a line of `names.txt`.

use std::cell::RefCell;

#[path = "../../hostile/src/abi.rs"]
mod abi;
#[doc(hidden)]
pub mod bindings;
#[path = "../../hostile/src/common.rs"]
mod common;
mod good;
pub mod misdeeds;

use bindings::exeat::plugin::types::{Batch, ConfigError, Description, Fault, JobContext, OfferedField};
use bindings::exports::exeat::plugin::adapter::{Encoded, Guest, Plan};

/// What a guest does with the rows of a job. By default, well.
pub trait Behaviour {
    /// Renders a batch.
    fn process(&mut self, batch: Batch) -> Encoded {
        good::encoded(&batch)
    }

    /// Renders what is left.
    fn finish(&mut self) -> Encoded {
        good::nothing()
    }
}

/// The guest.
#[derive(Debug)]
pub struct HostileAdapter;

thread_local! {
    static BEHAVIOUR: RefCell<Option<Box<dyn Behaviour>>> = const { RefCell::new(None) };
}

impl Guest for HostileAdapter {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: common::config_schema(misdeeds::NAMES),
        }
    }

    fn open(_job: JobContext, input: Vec<OfferedField>, config: String) -> Result<Plan, Fault> {
        let misdeed = common::misdeed(&config).and_then(|name| misdeeds::of(&name));
        let behaviour = misdeed.ok_or_else(|| {
            Fault::InvalidConfig(ConfigError {
                pointer: "/misdeed".to_owned(),
                message: "is none of ours".to_owned(),
            })
        })?;
        BEHAVIOUR.set(Some(behaviour));
        good::plan(&input)
    }

    fn process(batch: Batch) -> Result<Encoded, Fault> {
        with_behaviour(|behaviour| behaviour.process(batch))
    }

    fn finish() -> Result<Encoded, Fault> {
        with_behaviour(|behaviour| behaviour.finish())
    }
}

fn with_behaviour(call: impl FnOnce(&mut dyn Behaviour) -> Encoded) -> Result<Encoded, Fault> {
    BEHAVIOUR.with_borrow_mut(|behaviour| match behaviour {
        Some(behaviour) => Ok(call(behaviour.as_mut())),
        None => Err(Fault::Internal(
            "the host called before it opened a job".to_owned(),
        )),
    })
}

abi::export_component!(HostileAdapter);
