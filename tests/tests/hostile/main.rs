//! Guests that mean harm: each is refused or stopped, in time and with a sentence, and harms nobody
//! else. One test for each guest, under the guest's name.

use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use exeat_sandbox::{LoadError, Refusal, RefusalCode};
use exeat_tests::stage::Stage;

mod adapter_guests;
mod alone;
mod bombs;
mod component_texts;
mod damage;
mod roll_call;
mod rust_guests;
mod wat_guests;

/// All guests meet in one sandbox: what one of them breaks, the others notice.
static STAGE: LazyLock<RwLock<Stage>> =
    LazyLock::new(|| RwLock::new(Stage::new(env!("CARGO_BIN_EXE_exeat-under-test"))));

/// How much later than its deadline a guest may be stopped on a machine that does other things as well.
const SLACK: Duration = Duration::from_secs(2);

/// The sandbox, together with other tests.
fn stage() -> RwLockReadGuard<'static, Stage> {
    STAGE.read().unwrap_or_else(PoisonError::into_inner)
}

/// The sandbox, for a test that measures and must be alone.
fn stage_alone() -> RwLockWriteGuard<'static, Stage> {
    STAGE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Why a component is not taken.
fn refusal<T: std::fmt::Debug>(taken: Result<T, LoadError>) -> Refusal {
    match taken.expect_err("a component that is refused") {
        LoadError::Refused(refusal) => refusal,
        LoadError::Host(error) => panic!("the host failed, and no guest was to blame: {error}"),
    }
}

/// A refusal has a code, and its message is one sentence that says what is wrong.
fn assert_refused(name: &str, refusal: &Refusal, code: RefusalCode, sentence: &str) {
    assert_eq!(refusal.code, code, "{name}: {refusal}");
    assert!(refusal.message.contains(sentence), "{name}: {refusal}");
    assert_readable(name, &refusal.message);
}

/// A message fits on a screen and does nothing to it, whatever the guest put into it.
fn assert_readable(name: &str, message: &str) {
    assert!(message.len() < 2_000, "{name}: {} bytes", message.len());
    assert!(
        !message.contains(|c: char| c.is_control() || is_deceptive(c)),
        "{name}: {message:?}"
    );
}

/// Line separators, and marks that turn the direction of what follows.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}
