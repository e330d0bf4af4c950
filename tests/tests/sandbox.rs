//! Promises of the sandbox: a guest that misbehaves fails its job with a message, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, StringArray};
use exeat_gate::{ColumnSpec, ColumnType, Field, Gate, RawBatch, ReleasedBatch, Schema, catalog};
use exeat_sandbox::{Chain, JobContext, OfferedColumn, Plugin, PluginLimits, PluginUse, Sandbox};
use exeat_tests::MISBEHAVING;

struct Stage {
    sandbox: Sandbox,
    plugin: Plugin,
}

impl Stage {
    fn new() -> Self {
        let sandbox = Sandbox::new().expect("a sound stage");
        let plugin = Plugin::load(&sandbox, MISBEHAVING, PluginLimits::default()).expect("a sound stage");
        Self { sandbox, plugin }
    }

    fn open(&self, misdeed: &str) -> Result<Chain, String> {
        let job = JobContext {
            job_id: "exp_1".to_owned(),
            snapshot_at_us: 0,
            seed: 1,
            tenant_key: [7; 32],
        };
        let limits = PluginLimits {
            call_deadline: Duration::from_millis(200),
            ..PluginLimits::default()
        };
        let config = format!("{{\"misdeed\": \"{misdeed}\", \"at_row\": 1}}");
        let used = PluginUse {
            plugin: self.plugin.clone(),
            config,
            limits,
        };
        Chain::open(&self.sandbox, &job, &offered(), &[used], None).map_err(|error| error.to_string())
    }

    fn fails(&self, misdeed: &str) -> String {
        match self.open(misdeed) {
            Err(error) => error,
            Ok(mut chain) => chain.process(batch()).expect_err("a misdeed").to_string(),
        }
    }
}

fn fields() -> Vec<&'static Field> {
    ["user_id", "name"]
        .iter()
        .map(|name| catalog().field(name).expect("a sound stage"))
        .collect()
}

fn offered() -> Vec<OfferedColumn> {
    fields()
        .into_iter()
        .map(|field| OfferedColumn {
            spec: field.spec(),
            selected: true,
        })
        .collect()
}

fn batch() -> ReleasedBatch {
    let texts = |values: [&str; 3]| Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
    let columns = vec![texts(["usr_1", "usr_2", "usr_3"]), texts(["Anita", "Bob", "Cho"])];
    let spec = |name: &str| ColumnSpec {
        name: name.to_owned(),
        column_type: ColumnType::Utf8,
        nullable: true,
    };
    let schema: Schema = [spec("user_id"), spec("name")].into();
    Gate::new(fields(), false)
        .release(RawBatch::new(schema, columns, 3).expect("a sound stage"))
        .expect("a sound batch")
}

#[test]
fn each_misdeed_fails_with_a_message_that_names_plugin_and_batch() {
    let stage = Stage::new();
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
    let stage = Stage::new();
    let mut chain = stage.open("spin").unwrap();
    let begun = Instant::now();
    chain.process(batch()).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let again = chain.process(batch()).unwrap_err().to_string();
    assert!(again.contains("it had been stopped before"), "{again}");
    assert_eq!(
        stage.open("drop").unwrap().process(batch()).unwrap().dropped,
        1,
        "others work on"
    );
}

#[test]
fn dropped_and_rejected_rows_are_counted() {
    let stage = Stage::new();
    let dropped = stage.open("drop").unwrap().process(batch()).unwrap();
    assert_eq!(
        (dropped.batch.rows(), dropped.dropped, dropped.rejected),
        (2, 1, 0)
    );
    let mut rejected = stage.open("reject").unwrap().process(batch()).unwrap();
    assert_eq!(
        (rejected.batch.rows(), rejected.dropped, rejected.rejected),
        (2, 0, 1)
    );
    assert_eq!(
        rejected.rejects.remove(0).into_failure().to_string(),
        "plugin misbehaving 0.1.0 failed in batch 0, row 1: it rejects the row for its name: the name is too short (too_short)"
    );
}

#[test]
fn a_log_flood_is_cut_and_harmless() {
    let stage = Stage::new();
    let mut chain = stage.open("log_flood").unwrap();
    chain.process(batch()).unwrap();
    let lines = chain.take_log();
    let bytes: usize = lines.iter().map(|(_, line)| line.text.len()).sum();
    assert!(!lines.is_empty() && bytes <= PluginLimits::default().log_call_bytes);
    assert!(
        lines
            .iter()
            .all(|(_, line)| !line.text.contains(char::is_control))
    );
}

#[test]
fn output_beyond_the_limit_is_refused() {
    let stage = Stage::new();
    let job = JobContext {
        job_id: "exp_1".to_owned(),
        snapshot_at_us: 0,
        seed: 1,
        tenant_key: [7; 32],
    };
    let limits = PluginLimits {
        output_bytes_per_call: 1 << 20,
        ..PluginLimits::default()
    };
    let config = r#"{"misdeed": "huge_output"}"#.to_owned();
    let used = PluginUse {
        plugin: stage.plugin.clone(),
        config,
        limits,
    };
    let mut chain = Chain::open(&stage.sandbox, &job, &offered(), &[used], None).unwrap();
    let failure = chain.process(batch()).unwrap_err().to_string();
    assert!(
        failure.contains("its output exceeded the limit of one call"),
        "{failure}"
    );
}

#[test]
fn what_is_no_plugin_is_refused_with_a_sentence() {
    let sandbox = Sandbox::new().unwrap();
    let core_module = b"\0asm\x01\0\0\0";
    let empty_component = b"\0asm\x0d\0\x01\0";
    let cases: [(&[u8], &str); 4] = [
        (b"", "this is not a WebAssembly component"),
        (b"#!/bin/sh", "this is not a WebAssembly component"),
        (core_module, "this is not a WebAssembly component"),
        (
            empty_component,
            "this component exports neither exeat:plugin/transform nor exeat:plugin/adapter",
        ),
    ];
    for (bytes, message) in cases {
        let error = Plugin::load(&sandbox, bytes, PluginLimits::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn shipped_plugins_load_describe_themselves_and_import_no_wasi() {
    let sandbox = Sandbox::new().unwrap();
    for shipped in exeat_shipped::PLUGINS {
        let plugin = Plugin::load(&sandbox, shipped.component, PluginLimits::default()).unwrap();
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
