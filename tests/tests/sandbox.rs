//! Promises of the sandbox: a guest that misbehaves fails its job with a message, and nothing else.

use std::sync::LazyLock;
use std::time::Duration;

use exeat_sandbox::{Chain, LoadError, Plugin, PluginLimits, RefusalCode};
use exeat_tests::MISBEHAVING;
use exeat_tests::stage::{Stage, hasty, job, small_batch, timed};

/// A sandbox with the plugin that misbehaves as it is told.
struct Misbehaving {
    stage: Stage,
    plugin: Plugin,
}

/// All tests share it: a guest's misdeeds are nobody else's.
static MISBEHAVING_STAGE: LazyLock<Misbehaving> = LazyLock::new(|| {
    let stage = Stage::new(env!("CARGO_BIN_EXE_exeat-under-test"));
    let plugin = stage.load(MISBEHAVING).expect("it looks harmless");
    Misbehaving { stage, plugin }
});

impl Misbehaving {
    fn open(&self, misdeed: &str) -> Result<Chain, String> {
        self.open_within(misdeed, hasty())
    }

    fn open_within(&self, misdeed: &str, limits: PluginLimits) -> Result<Chain, String> {
        // In the middle of the batch.
        let config = format!("{{\"misdeed\": \"{misdeed}\", \"at_row\": 1}}");
        let opened = self.stage.open_with(&job("exp_1"), &self.plugin, config, limits);
        opened.map_err(|error| error.to_string())
    }

    fn fails(&self, misdeed: &str) -> String {
        match self.open(misdeed) {
            Err(error) => error,
            Ok(mut chain) => {
                let batch = small_batch(&chain);
                chain.process(batch).expect_err("a misdeed").to_string()
            }
        }
    }
}

#[test]
fn each_misdeed_fails_with_a_message_that_names_plugin_and_batch() {
    let stage = &*MISBEHAVING_STAGE;
    let cases = [
        (
            "spin",
            "plugin misbehaving 0.1.0 failed in batch 0: it was stopped: a call exceeded its deadline",
        ),
        (
            "spin_in_open",
            "plugin misbehaving 0.1.0 failed: it was stopped: a call exceeded its deadline",
        ),
        (
            "allocate",
            "plugin misbehaving 0.1.0 failed in batch 0: it was stopped: it asked for more memory than its limit",
        ),
        (
            "recurse",
            "plugin misbehaving 0.1.0 failed in batch 0: it was stopped: it trapped: out of bounds memory access",
        ),
        (
            "panic",
            "plugin misbehaving 0.1.0 failed in batch 0: it was stopped: it trapped: wasm `unreachable` instruction executed (panicked at tests/guests/misbehaving/src/lib.rs:",
        ),
        (
            "invent_credential",
            "plugin misbehaving 0.1.0 failed in batch 0: the output holds what looks like a credential (OtpUri) in column \"note\", row 1 of the batch",
        ),
        (
            "never_name",
            "plugin misbehaving 0.1.0 failed: the output names \"password_hash\", which is never exported",
        ),
        ("say_no", "plugin misbehaving 0.1.0 failed: it reports: not today"),
    ];
    for (misdeed, message) in cases {
        let failure = stage.fails(misdeed);
        assert!(failure.starts_with(message), "{misdeed}: {failure}");
        assert!(
            !failure.contains("anita@example.com"),
            "a panic's text stays behind: {failure}"
        );
    }
}

#[test]
fn a_runaway_guest_is_stopped_soon_after_its_deadline_and_stays_dead() {
    let stage = &*MISBEHAVING_STAGE;
    let mut chain = stage.open("spin").unwrap();
    let batch = small_batch(&chain);
    let (failed, took) = timed(|| chain.process(batch));
    failed.unwrap_err();
    // It is tried once more on a fresh instance.
    let most = hasty().call_deadline * 2 + Duration::from_secs(2);
    assert!(took < most, "{took:?}");
    let batch = small_batch(&chain);
    let again = chain.process(batch).unwrap_err().to_string();
    assert!(again.contains("it had been stopped before"), "{again}");
    let mut others = stage.open("drop").unwrap();
    let batch = small_batch(&others);
    assert_eq!(others.process(batch).unwrap().dropped, 1, "others work on");
}

#[test]
fn a_batch_that_breaks_a_plugin_down_is_tried_once_more_on_a_fresh_instance() {
    let stage = &*MISBEHAVING_STAGE;
    let mut chain = stage.open("panic").unwrap();
    let batch = small_batch(&chain);
    chain.process(batch).unwrap_err();
    let figures = chain.recorders()[0].take().figures;
    assert_eq!((figures.retried_batches, figures.instantiations), (1, 2));
    assert_eq!(figures.traps["trap"], 2);
}

#[test]
fn dropped_and_rejected_rows_are_counted() {
    let stage = &*MISBEHAVING_STAGE;
    let mut chain = stage.open("drop").unwrap();
    let batch = small_batch(&chain);
    let dropped = chain.process(batch).unwrap();
    assert_eq!(
        (dropped.batch.rows(), dropped.dropped, dropped.rejected),
        (2, 1, 0)
    );
    let mut chain = stage.open("reject").unwrap();
    let batch = small_batch(&chain);
    let mut rejected = chain.process(batch).unwrap();
    assert_eq!(
        (rejected.batch.rows(), rejected.dropped, rejected.rejected),
        (2, 0, 1)
    );
    assert_eq!(
        rejected.rejects.remove(0).into_failure().to_string(),
        "plugin misbehaving 0.1.0 failed in batch 0, row 1: it rejects the row for its name: the name is too short (too_short)"
    );
    let figures = chain.recorders()[0].take().figures;
    assert_eq!((figures.rows_in, figures.rows_out), (3, 2));
    assert_eq!(figures.rejected["too_short"], 1);
}

#[test]
fn a_log_flood_is_cut_and_harmless() {
    let stage = &*MISBEHAVING_STAGE;
    let mut chain = stage.open_within("log_flood", PluginLimits::CEILING).unwrap();
    let batch = small_batch(&chain);
    chain.process(batch).unwrap();
    let record = chain.recorders()[0].take();
    let bytes: usize = record.log.iter().map(|line| line.text.len()).sum();
    assert!(!record.log.is_empty() && bytes <= PluginLimits::CEILING.log_call_bytes);
    assert!(
        record
            .log
            .iter()
            .all(|line| !line.text.contains(char::is_control))
    );
    assert_eq!(
        record.log.len() as u64 + record.figures.log_lines_dropped,
        100_000
    );
}

#[test]
fn output_beyond_the_limit_is_refused() {
    let stage = &*MISBEHAVING_STAGE;
    let limits = PluginLimits {
        output_bytes_per_call: 1 << 20,
        ..PluginLimits::CEILING
    };
    let mut chain = stage.open_within("huge_output", limits).unwrap();
    let batch = small_batch(&chain);
    let failure = chain.process(batch).unwrap_err().to_string();
    assert!(
        failure.contains("its output exceeded the limit of one call"),
        "{failure}"
    );
}

#[test]
fn what_is_no_plugin_is_refused_with_a_sentence() {
    let stage = &MISBEHAVING_STAGE.stage;
    let core_module = b"\0asm\x01\0\0\0";
    let empty_component = b"\0asm\x0d\0\x01\0";
    let cases: [(&[u8], RefusalCode, &str); 4] = [
        (b"", RefusalCode::NotWasm, "this is not a WebAssembly component"),
        (
            b"#!/bin/sh",
            RefusalCode::NotWasm,
            "this is not a WebAssembly component",
        ),
        (
            core_module,
            RefusalCode::CoreModule,
            "this is a core module, not a component",
        ),
        (
            empty_component,
            RefusalCode::NoWorld,
            "the component exports neither exeat:plugin/transform nor exeat:plugin/adapter",
        ),
    ];
    for (bytes, code, message) in cases {
        let LoadError::Refused(refusal) = stage.load(bytes).unwrap_err() else {
            panic!("the host failed");
        };
        assert_eq!(refusal.code, code);
        assert!(refusal.message.starts_with(message), "{refusal}");
    }
}

#[test]
fn code_is_compiled_once_where_it_is_kept() {
    let stage = Stage::with_cache(env!("CARGO_BIN_EXE_exeat-under-test"));
    assert!(stage.load(MISBEHAVING).unwrap().compiled_in().is_some());
    let again = stage.load(MISBEHAVING).unwrap();
    assert!(again.compiled_in().is_none());
    let mut chain = stage.open(&again, "drop", hasty()).unwrap();
    let batch = small_batch(&chain);
    assert_eq!(chain.process(batch).unwrap().dropped, 1, "it runs as well");
    assert_eq!(chain.recorders()[0].take().figures.cache_hits, 1);
}

#[test]
fn shipped_plugins_load_describe_themselves_and_import_no_wasi() {
    let stage = &MISBEHAVING_STAGE.stage;
    for shipped in exeat_shipped::PLUGINS {
        let plugin = stage.load(shipped.component).unwrap();
        assert_eq!(plugin.name(), shipped.name);
        assert!(
            plugin
                .config_schema()
                .contains("https://json-schema.org/draft/2020-12/schema")
        );
        let text = String::from_utf8_lossy(shipped.component);
        assert!(!text.contains("wasi:"), "{}", shipped.name);
    }
}
