//! The hostile adapter in Rust: what each of its misdeeds comes to.

use std::time::Duration;

use exeat_sandbox::{AdapterSession, EncodedBatch, PluginFailure};
use exeat_tests::stage::{NAMES, Stage, calm, hasty, small_batch, timed};

use crate::{SLACK, assert_readable, stage};

/// When a guest is stopped.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// In its first batch.
    Batch,
    /// After the last one.
    Finish,
}

/// Each misdeed: when it is stopped, the code of the cause, and words of the message.
macro_rules! stopped {
    ($($name:ident: $when:ident, $code:literal, $words:literal;)+) => {
        $(
            #[test]
            fn $name() {
                is_stopped(stringify!($name), When::$when, $code, $words);
            }
        )+
    };
}

stopped! {
    bytes_before_file: Batch, "guest-fault", "it writes before it begins a file";
    counts_do_not_add_up: Batch, "guest-fault", "accounts for 3 written, 1 dropped and 0 rejected";
    credential_across_chunks: Batch, "guard", "what looks like a credential (OtpUri) in the file names.txt";
    file_name_escapes: Batch, "guest-fault", "it begins a file whose name or media type cannot be";
    file_name_is_manifest: Batch, "guest-fault", "it begins a file whose name or media type cannot be";
    line_break_in_side_line: Batch, "guest-fault", "it writes a line with a line break to the actions";
    never_finishes: Finish, "deadline", "it was stopped: a call exceeded its deadline";
    same_file_twice: Batch, "guest-fault", "it begins the file names.txt twice";
    too_many_chunks: Batch, "guest-fault", "it returns its output in too many pieces";
    trap_in_finish: Finish, "trap", "it was stopped: it trapped: wasm `unreachable` instruction executed";
}

fn is_stopped(misdeed: &str, when: When, code: &str, words: &str) {
    let stage = stage();
    let limits = if code == "deadline" { hasty() } else { calm() };
    let (mut chain, mut adapter) = stage.open_adapter(misdeed, limits);
    let batch = small_batch(&chain);
    let shaped = chain.process(batch).expect("there is no transform");
    let (failed, took) = match when {
        When::Batch => timed(|| adapter.process(0, &shaped.batch).expect_err(misdeed)),
        When::Finish => {
            adapter
                .process(0, &shaped.batch)
                .expect("a misdeed that is done later");
            timed(|| adapter.finish(1).expect_err(misdeed))
        }
    };
    assert_eq!(failed.cause.code(), code, "{misdeed}: {failed}");
    let message = failed.to_string();
    let begins = format!(
        "plugin hostile-adapter {} failed in batch ",
        env!("CARGO_PKG_VERSION")
    );
    assert!(
        message.starts_with(&begins) && message.contains(words),
        "{misdeed}: {message}"
    );
    assert_readable(misdeed, &message);
    let most: Duration = limits.call_deadline * 2 + SLACK;
    assert!(took < most, "{misdeed}: {took:?}");
    assert_dead(adapter.finish(2));
    still_adapts(&stage);
}

fn assert_dead(done: Result<EncodedBatch, PluginFailure>) {
    assert_eq!(done.expect_err("a dead guest").cause.code(), "dead");
}

/// An adapter that behaves, in the same sandbox.
fn still_adapts(stage: &Stage) {
    let (mut chain, mut adapter) = stage.open_adapter("none", calm());
    let batch = small_batch(&chain);
    let shaped = chain.process(batch).expect("there is no transform");
    let encoded = adapter.process(0, &shaped.batch).expect("a guest that behaves");
    assert_eq!((encoded.written, encoded.chunks.len()), (NAMES.len() as u64, 2));
    finish(&mut adapter);
}

fn finish(adapter: &mut AdapterSession) {
    let rest = adapter.finish(1).expect("a guest that behaves");
    assert!(rest.chunks.is_empty());
}

#[test]
fn a_million_losses() {
    let stage = stage();
    let (mut chain, mut adapter) = stage.open_adapter("a_million_losses", calm());
    let batch = small_batch(&chain);
    let shaped = chain.process(batch).unwrap();
    let encoded = adapter.process(0, &shaped.batch).unwrap();
    assert_eq!(encoded.losses.len(), calm().rejects_per_batch);
    assert_eq!(encoded.written, 3, "the rest is as it should be");
    let cramped = exeat_sandbox::PluginLimits {
        memory_bytes: 32 << 20,
        ..calm()
    };
    let (mut chain, mut adapter) = stage.open_adapter("a_million_losses", cramped);
    let batch = small_batch(&chain);
    let shaped = chain.process(batch).unwrap();
    let failure = adapter.process(0, &shaped.batch).unwrap_err();
    assert_eq!(failure.cause.code(), "memory", "{failure}");
    still_adapts(&stage);
}
