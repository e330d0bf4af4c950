//! The hostile transform in Rust: what each of its misdeeds comes to.

use std::time::Duration;

use exeat_sandbox::{ChainError, PluginFailure, PluginLimits};
use exeat_tests::stage::{
    NAMES, Stage, batch_of, calm, configured, failure, hasty, job, small_batch, texts, timed,
};

use crate::{SLACK, assert_readable, stage};

/// When a guest is stopped.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// When it is opened.
    Open,
    /// In its first batch.
    Batch,
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
    allocate_for_ever: Batch, "memory", "it was stopped: it asked for more memory than its limit";
    bitmap_too_short: Batch, "guest-fault", "column \"note\" has a validity bitmap of the wrong size";
    credential_in_constant: Open, "guard", "what looks like a credential (OtpUri) in column \"note\"";
    credential_in_output: Batch, "guard", "what looks like a credential (OtpUri) in column \"note\", row 0";
    deep_recursion: Batch, "stack-overflow", "it was stopped: its call stack is exhausted";
    grow_memory_step_by_step: Batch, "deadline", "it was stopped: a call exceeded its deadline";
    huge_name_in_plan: Open, "guard", "output column 1 has a name that is empty, too long, not unique or not";
    invalid_json_in_output: Batch, "guard", "column \"note\", row 0";
    invalid_utf8: Batch, "guest-fault", "column \"note\" holds text that is not UTF-8";
    keep_bitmap_too_short: Batch, "guest-fault", "its keep bitmap has the wrong size";
    missing_column: Batch, "guest-fault", "it returned another number of columns than planned";
    never_name_in_plan: Open, "guard", "the output names \"password_hash\", which is never exported";
    offsets_go_back: Batch, "guest-fault", "column \"note\" has offsets that go back";
    offsets_negative: Batch, "guest-fault", "column \"note\" has offsets that do not begin at 0";
    offsets_past_the_end: Batch, "guest-fault", "has offsets that do not end where its values do";
    plan_passes_unknown_column: Open, "guest-fault", "its plan names a column that is not there";
    plan_reads_twice: Open, "guest-fault", "or reads one twice";
    plan_reads_unknown_column: Open, "guest-fault", "its plan names a column that is not there";
    reject_of_missing_row: Batch, "guest-fault", "it rejects a row that does not exist";
    reject_twice: Batch, "guest-fault", "it rejects a row twice";
    spin_in_open: Open, "deadline", "it was stopped: a call exceeded its deadline";
    spin_in_process: Batch, "deadline", "it was stopped: a call exceeded its deadline";
    thousands_of_columns: Open, "guard", "the output has more than 1000 columns";
    too_few_rows: Batch, "guest-fault", "column \"note\" does not have one value for each row";
    too_many_rows: Batch, "guest-fault", "column \"note\" does not have one value for each row";
    trap_in_open: Open, "trap", "it was stopped: it trapped: wasm `unreachable` instruction executed";
    trap_in_process: Batch, "trap", "it was stopped: it trapped: wasm `unreachable` instruction executed";
    undeclared_column: Batch, "guest-fault", "it returned another number of columns than planned";
    wrong_column_type: Batch, "guest-fault", "column \"note\" has values of another type than planned";
}

fn is_stopped(misdeed: &str, when: When, code: &str, words: &str) {
    let stage = stage();
    let limits = if code == "deadline" { hasty() } else { calm() };
    let (failure, took) = match when {
        When::Open => timed(|| failure(stage.open(stage.transform(), misdeed, limits).expect_err(misdeed))),
        When::Batch => fails_in_batch(&stage, misdeed, limits),
    };
    assert_eq!(failure.cause.code(), code, "{misdeed}: {failure}");
    let message = failure.to_string();
    let place = if when == When::Batch { " in batch 0" } else { "" };
    let begins = format!("plugin hostile {} failed{place}: ", env!("CARGO_PKG_VERSION"));
    assert!(
        message.starts_with(&begins) && message.contains(words),
        "{misdeed}: {message}"
    );
    assert_readable(misdeed, &message);
    // What breaks down over its first batch is tried once more.
    let most = limits.call_deadline * 2 + SLACK;
    assert!(took < most, "{misdeed}: {took:?}");
    stage.still_works();
}

/// How a guest fails in its first batch, and how long that took. From then on it is dead.
fn fails_in_batch(stage: &Stage, misdeed: &str, limits: PluginLimits) -> (PluginFailure, Duration) {
    let mut chain = stage.open_transform(misdeed, limits);
    let batch = small_batch(&chain);
    let (failed, took) = timed(|| chain.process(batch).expect_err(misdeed));
    let batch = small_batch(&chain);
    let again = chain.process(batch).expect_err("a dead guest");
    assert_eq!(again.cause.code(), "dead", "{misdeed}: {again}");
    let taken = chain.recorders()[0].take();
    let expected = u64::from(failed.cause.is_breakdown());
    let counted = taken.figures.traps.get(failed.cause.code()).copied();
    assert_eq!(
        counted.unwrap_or_default(),
        expected * 2,
        "{misdeed}: in both instances"
    );
    (failed, took)
}

#[test]
fn a_million_rejects() {
    let stage = stage();
    let (failure, _) = fails_in_batch(&stage, "a_million_rejects", calm());
    assert_eq!(failure.cause.code(), "memory", "{failure}");
    let roomy = PluginLimits {
        memory_bytes: 160 << 20,
        ..calm()
    };
    let (failure, _) = fails_in_batch(&stage, "a_million_rejects", roomy);
    assert_eq!(failure.cause.code(), "output-too-large", "{failure}");
    stage.still_works();
}

#[test]
fn different_plans() {
    let stage = stage();
    let plugin = stage.transform();
    let columns = |id: &str| -> Result<Vec<String>, ChainError> {
        let chain = stage.open_with(&job(id), plugin, configured("different_plans"), calm())?;
        Ok(chain.schema().iter().map(|spec| spec.name.clone()).collect())
    };
    assert_eq!(columns("exp_1").unwrap(), ["user_id", "note_odd"]);
    assert_eq!(columns("exp_2").unwrap(), ["user_id", "note"]);
    assert_eq!(columns("exp_1").unwrap(), ["user_id", "note_odd"]);
    stage.still_works();
}

#[test]
fn fault_with_huge_text() {
    let stage = stage();
    let mut chain = stage.open_transform("fault_with_huge_text", calm());
    let batch = small_batch(&chain);
    let failure = chain.process(batch).unwrap_err();
    assert_eq!(failure.cause.code(), "guest-error");
    let message = failure.to_string();
    assert!(message.contains("it reports: no"), "{message}");
    assert!(message.len() <= calm().message_bytes + 100, "{}", message.len());
    assert_readable("fault_with_huge_text", &message);
    stage.still_works();
}

#[test]
fn huge_return() {
    let stage = stage();
    let narrow = PluginLimits {
        output_bytes_per_call: 16 << 20,
        ..calm()
    };
    let (failure, _) = fails_in_batch(&stage, "huge_return", narrow);
    assert_eq!(failure.cause.code(), "output-too-large", "{failure}");
    stage.still_works();
}

#[test]
fn leaks_between_batches() {
    let stage = stage();
    let mut chain = stage.open_transform("leaks_between_batches", calm());
    for _ in 0..20 {
        let batch = small_batch(&chain);
        assert_eq!(texts(&chain.process(batch).unwrap().batch, "note"), NAMES);
    }
    let figures = chain.recorders()[0].take().figures;
    assert!((2..10).contains(&figures.retried_batches), "{figures:?}");
    assert_eq!(figures.traps["memory"], figures.retried_batches);
    assert_eq!(figures.instantiations, 1 + figures.retried_batches);
    assert_eq!((figures.batches, figures.rows_in), (20, 60), "each once");
    assert!(figures.peak_memory_bytes <= calm().memory_bytes as u64);
    stage.still_works();
}

#[test]
fn log_control_characters() {
    let stage = stage();
    let mut chain = stage.open_transform("log_control_characters", calm());
    let batch = small_batch(&chain);
    chain.process(batch).unwrap();
    let log = chain.recorders()[0].take().log;
    assert_eq!(log.len(), 1);
    assert!(log[0].text.starts_with("one line  ERROR another"));
    assert_readable("log_control_characters", &log[0].text);
    stage.still_works();
}

#[test]
fn log_flood() {
    let stage = stage();
    let limits = PluginLimits {
        log_job_bytes: 100 << 10,
        ..calm()
    };
    let mut chain = stage.open_transform("log_flood", limits);
    let recorder = chain.recorders().remove(0);
    let mut kept = 0;
    for most in [
        limits.log_call_bytes,
        limits.log_job_bytes - limits.log_call_bytes,
        0,
    ] {
        let batch = small_batch(&chain);
        chain.process(batch).unwrap();
        let record = recorder.take();
        // Each line counts for 64 bytes besides its text.
        let bytes: usize = record.log.iter().map(|line| line.text.len() + 64).sum();
        assert!(bytes <= most && bytes + 200 > most, "{bytes} of {most}");
        assert_eq!(
            record.log.len() as u64 + record.figures.log_lines_dropped,
            100_000,
            "each line is kept or counted"
        );
        kept += bytes;
    }
    assert!(kept <= limits.log_job_bytes);
    stage.still_works();
}

#[test]
fn log_huge_line() {
    let stage = stage();
    let mut chain = stage.open_transform("log_huge_line", calm());
    let batch = small_batch(&chain);
    chain.process(batch).unwrap();
    let log = chain.recorders()[0].take().log;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].text.len(), calm().log_line_bytes);
    stage.still_works();
}

#[test]
fn output_expands() {
    let stage = stage();
    // What is below the floor is nobody's business: a few rows may well become many bytes.
    let mut chain = stage.open_transform("output_expands", calm());
    let batch = small_batch(&chain);
    chain.process(batch).unwrap();
    let names = ["somebody with a name of thirty-two"; 2_048];
    let limits = PluginLimits {
        output_bytes_per_call: PluginLimits::CEILING.output_bytes_per_call,
        memory_bytes: PluginLimits::CEILING.memory_bytes,
        ..calm()
    };
    let mut chain = stage.open_transform("output_expands", limits);
    let batch = batch_of(&chain, &names);
    let failure = chain.process(batch).unwrap_err();
    assert_eq!(failure.cause.code(), "expansion", "{failure}");
    let message = failure.to_string();
    assert!(
        message.contains("it put out too many times what it was given"),
        "{message}"
    );
    let figures = chain.recorders()[0].take().figures;
    assert_eq!(figures.retried_batches, 0, "a fresh instance would do the same");
    stage.still_works();
}

#[test]
fn slow_batch() {
    let stage = stage();
    let limits = PluginLimits {
        job_cpu: Duration::from_millis(500),
        ..calm()
    };
    let mut chain = stage.open_transform("slow_batch", limits);
    let mut done = 0;
    let failure = loop {
        let batch = small_batch(&chain);
        match chain.process(batch) {
            Ok(_) => done += 1,
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.cause.code(), "cpu-budget", "{failure}");
    assert!(done < 10, "{done} batches in half a second");
    let figures = chain.recorders()[0].take().figures;
    assert_eq!(figures.retried_batches, 0, "no fresh instance has a fresh budget");
    stage.still_works();
}

#[test]
fn traps_once_per_instance() {
    let stage = stage();
    let mut chain = stage.open_transform("traps_once_per_instance", calm());
    for _ in 0..10 {
        let batch = small_batch(&chain);
        assert_eq!(texts(&chain.process(batch).unwrap().batch, "note"), NAMES);
    }
    let figures = chain.recorders()[0].take().figures;
    // Each instance does two batches; the third batch is the first of the next.
    assert_eq!(figures.retried_batches, 4);
    assert_eq!(figures.traps["trap"], 4);
    assert_eq!((figures.batches, figures.instantiations), (10, 5));
    stage.still_works();
}
