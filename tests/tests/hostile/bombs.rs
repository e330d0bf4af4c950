//! Components that are small to make and hard to take: whatever the compiler does with them, the
//! process that loads them lives on, and the one that compiles does not.

use std::sync::LazyLock;
use std::time::Duration;

use exeat_sandbox::compiler::CompileLimits;
use exeat_sandbox::{LoadError, RefusalCode};
use exeat_tests::hostile;
use exeat_tests::stage::{Stage, calm, timed};

use crate::{assert_readable, stage};

/// What compiling may take here: enough for a good guest.
const LIMITS: CompileLimits = CompileLimits {
    wall_clock: Duration::from_secs(8),
    cpu: Duration::from_secs(4),
    address_space_bytes: 2 << 30,
    code_bytes: 64 << 20,
};

/// With what the host itself does, on a machine that does other things as well.
const MOST: Duration = Duration::from_secs(8 + 12);

/// How compiling too much ends: which of the limits is met first depends on the machine.
pub(super) const TOO_MUCH_TO_COMPILE: [RefusalCode; 2] =
    [RefusalCode::CompileTime, RefusalCode::CompileBrokeDown];

static STAGE: LazyLock<Stage> =
    LazyLock::new(|| Stage::with_compile_limits(env!("CARGO_BIN_EXE_exeat-under-test"), LIMITS));

/// Each bomb and the codes with which it may be refused; without a code, it is taken.
macro_rules! bombs {
    ($($name:ident: [$($code:ident),*];)+) => {
        $(
            #[test]
            fn $name() {
                let codes: &[RefusalCode] = &[$(RefusalCode::$code),*];
                let name = stringify!($name);
                is_refused(name, &bomb(name), codes);
            }
        )+
    };
}

bombs! {
    hundreds_of_thousands_of_functions: [TooComplex];
    one_enormous_function: [CompileTime, CompileBrokeDown];
    deep_nesting: [CompileTime, CompileBrokeDown];
    // Much data is no crime as long as it fits.
    huge_data_segments: [];
    huge_br_table: [CompileFailed, CompileTime, CompileBrokeDown];
    many_br_tables: [CompileTime, CompileBrokeDown];
    many_locals: [CompileTime, CompileBrokeDown];
    many_types: [TooComplex];
    zero_length: [NotWasm];
    too_large: [TooLarge];
}

fn bomb(name: &str) -> Vec<u8> {
    let found = hostile::bombs::ALL.iter().find(|(found, _)| *found == name);
    let (_, make) = found.expect("a bomb of this name");
    make()
}

pub(super) fn is_refused(name: &str, component: &[u8], codes: &[RefusalCode]) {
    let _together = stage();
    is_refused_here(name, component, codes);
}

/// The same where the caller already has the sandbox.
pub(super) fn is_refused_here(name: &str, component: &[u8], codes: &[RefusalCode]) {
    let (taken, took) = timed(|| STAGE.admit(component, calm()));
    match taken {
        Ok(_) => assert!(codes.is_empty(), "{name} was taken"),
        Err(LoadError::Refused(refusal)) => {
            assert!(
                codes.contains(&refusal.code),
                "{name}: {:?}: {refusal}",
                refusal.code
            );
            assert_readable(name, &refusal.message);
        }
        Err(LoadError::Host(error)) => panic!("{name}: the host failed: {error}"),
    }
    assert!(took < MOST, "{name}: {took:?}");
    let good = STAGE.admit(&hostile::wat_guest("none"), calm());
    good.expect("a good guest, compiled after the bomb");
}
