//! Guests in WebAssembly text: what no toolchain would make.

use exeat_sandbox::{Refusal, RefusalCode};
use exeat_tests::hostile;
use exeat_tests::stage::{calm, hasty, timed};

use crate::{SLACK, assert_readable, assert_refused, refusal, stage};

/// Each guest: the code of the refusal, and words of the message.
macro_rules! refused {
    ($($name:ident: $code:ident, $words:literal;)+) => {
        $(
            #[test]
            fn $name() {
                is_refused(stringify!($name), RefusalCode::$code, $words);
            }
        )+
    };
}

refused! {
    a_million_empty_rejects: SmokeRunFailed, "its output exceeded the limit of one call";
    component_in_component_many: TooComplex, "the component takes more instances, memories or tables than a guest may have";
    config_schema_bomb: InvalidConfigSchema, "has more than 262144 bytes";
    config_schema_not_json: InvalidConfigSchema, "the schema of the configuration is not JSON";
    declared_memory_too_large: TooMuchMemory, "needs 1024 MiB of memory at the start; the limit is 64 MiB";
    declared_table_too_large: TooLargeTable, "needs a table of 20000000 elements; the limit is 10000";
    describe_changes: NotReproducible, "describes itself differently each time it is asked";
    describe_invalid_utf8: DescribeFailed, "the component cannot say what it is";
    grow_tables: DescribeFailed, "it asked for a longer table than its limit";
    huge_describe: DescribeFailed, "the component cannot say what it is";
    imports_a_function: ImportNotAllowed, "the component imports now, which plugins do not get";
    imports_http: ImportNotAllowed, "the component imports wasi:http/outgoing-handler@0.2.0";
    imports_sockets: ImportNotAllowed, "the component imports wasi:sockets/tcp@0.2.0";
    imports_unknown_interface: ImportNotAllowed, "the component imports acme:kv/store@1.0.0";
    invalid_config_schema: InvalidConfigSchema, "is not a valid JSON Schema at \"/type\"";
    log_in_realloc: SmokeRunFailed, "it was stopped";
    log_invalid_level: SmokeRunFailed, "failed in batch 0";
    log_out_of_range: SmokeRunFailed, "failed in batch 0";
    many_memories: FeatureNotAllowed, "multiple memories";
    name_not_allowed: InvalidDescription, "its name is not lower-case letters";
    realloc_not_aligned: SmokeRunFailed, "align";
    realloc_out_of_range: SmokeRunFailed, "beyond end of memory";
    return_invalid_variant: SmokeRunFailed, "failed in batch 0";
    return_pointer_not_aligned: DescribeFailed, "align";
    return_pointer_out_of_range: DescribeFailed, "out of bounds";
    same_bytes_many_times: SmokeRunFailed, "its output exceeded the limit of one call";
    spin_in_describe: DescribeFailed, "a call exceeded its deadline";
    spin_in_post_return: SmokeRunFailed, "a call exceeded its deadline";
    spin_in_realloc: SmokeRunFailed, "a call exceeded its deadline";
    spin_in_start: DescribeFailed, "a call exceeded its deadline";
    trap_in_describe: DescribeFailed, "wasm `unreachable` instruction executed";
    trap_in_start: DescribeFailed, "wasm `unreachable` instruction executed";
    uses_exceptions: FeatureNotAllowed, "exceptions";
    uses_gc: FeatureNotAllowed, "gc";
    uses_memory64: FeatureNotAllowed, "memory64";
    uses_relaxed_simd: FeatureNotAllowed, "relaxed";
    uses_tail_calls: FeatureNotAllowed, "tail calls";
    uses_threads: FeatureNotAllowed, "threads";
    version_not_semver: InvalidDescription, "its version is not a semantic version";
}

fn is_refused(name: &str, code: RefusalCode, words: &str) {
    let stage = stage();
    let component = hostile::wat_guest(name);
    let spins = name.starts_with("spin_");
    let limits = if spins { hasty() } else { calm() };
    let (refusal, took): (Refusal, _) = timed(|| refusal(stage.admit(&component, limits)));
    assert_refused(name, &refusal, code, words);
    // Compiling takes its time as well; what breaks down over its first batch is tried once more.
    let most = limits.call_deadline * 2 + SLACK * 2;
    assert!(took < most, "{name}: {took:?}");
    stage.still_works();
}

/// Guests that only harm themselves.
macro_rules! harmless {
    ($($name:ident;)+) => {
        $(
            #[test]
            fn $name() {
                let stage = stage();
                let name = stringify!($name);
                let admitted = stage.admit(&hostile::wat_guest(name), calm()).unwrap();
                assert_eq!(admitted.plugin.name(), "hostile-wat");
                stage.still_works();
            }
        )+
    };
}

harmless! {
    realloc_moves_memory;
    realloc_overlapping;
}

#[test]
fn huge_describe_real() {
    let stage = stage();
    let component = hostile::wat_guest("huge_describe_real");
    let admitted = stage.admit(&component, calm()).unwrap();
    let summary = admitted.plugin.summary();
    assert!(summary.starts_with("It goes on"), "{summary}");
    assert!(summary.len() <= calm().message_bytes);
    assert_readable("huge_describe_real", summary);
    stage.still_works();
}

#[test]
fn tower_of_components() {
    crate::bombs::is_refused(
        "tower_of_components",
        &hostile::wat_guest("tower_of_components"),
        &crate::bombs::TOO_MUCH_TO_COMPILE,
    );
}
