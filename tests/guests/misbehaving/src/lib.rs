//! A transform that misbehaves as its configuration says: for tests of the sandbox.

use exeat_sdk::{Fault, Job, Level, Output, Reject, Row, TextOut, Transform, TransformPlan, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// What to do wrong.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The misdeed.
    pub misdeed: Misdeed,
    /// The row of the first batch at which it is done.
    #[serde(default)]
    pub at_row: usize,
}

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misdeed {
    /// Calculates for ever.
    Spin,
    /// Calculates for ever, before any row.
    SpinInOpen,
    /// Asks for memory without end.
    Allocate,
    /// Panics, quoting a value.
    Panic,
    /// Calls itself without end.
    Recurse,
    /// Puts a credential into the output.
    InventCredential,
    /// Names an output column after something that never leaves.
    NeverName,
    /// Reports an error when it opens.
    SayNo,
    /// Rejects a row.
    Reject,
    /// Drops a row.
    Drop,
    /// Logs without end, with line breaks.
    LogFlood,
    /// Puts out more than the host takes.
    HugeOutput,
}

/// The transform.
#[derive(Debug)]
pub struct Misbehaving {
    misdeed: Misdeed,
    at_row: usize,
    note: TextOut,
    kept: Vec<Vec<u8>>,
}

impl Transform for Misbehaving {
    type Config = Config;

    fn open(config: Config, _job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault> {
        match config.misdeed {
            Misdeed::SpinInOpen => spin(),
            Misdeed::SayNo => return Err(Fault::Internal("not today".to_owned())),
            _ => {}
        }
        plan.pass_selected_except(&[]);
        let name = if config.misdeed == Misdeed::NeverName {
            "password_hash"
        } else {
            "note"
        };
        let note = plan.compute_text(name);
        Ok(Self {
            misdeed: config.misdeed,
            at_row: config.at_row,
            note,
            kept: Vec::new(),
        })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject> {
        if row.index() != self.at_row {
            return Ok(Verdict::Keep);
        }
        match self.misdeed {
            Misdeed::Spin => spin(),
            Misdeed::Allocate => loop {
                self.kept.push(vec![1; 1 << 20]);
            },
            Misdeed::Panic => panic!("anita@example.com is not welcome"),
            Misdeed::Recurse => {
                std::hint::black_box(recurse(0));
            }
            Misdeed::InventCredential => out.text(self.note, "otpauth://totp/Acme?secret=JBSWY3DPEHPK3PXP"),
            Misdeed::Reject => return Err(Reject::new("too_short", "the name is too short").field("name")),
            Misdeed::Drop => return Ok(Verdict::Drop),
            Misdeed::LogFlood => {
                (0..100_000).for_each(|_| exeat_sdk::log(Level::Info, "line\nanother\x1b[31m"))
            }
            Misdeed::HugeOutput => out.text(self.note, &"x".repeat(20 << 20)),
            Misdeed::SpinInOpen | Misdeed::SayNo | Misdeed::NeverName => {}
        }
        Ok(Verdict::Keep)
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return depth;
    }
    recurse(depth + 1) + room[(depth % 64) as usize]
}

exeat_sdk::export_transform!(Misbehaving, "Misbehaves as its configuration says.");
