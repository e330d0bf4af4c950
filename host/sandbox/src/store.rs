//! What the host keeps for one guest: its limits, its log, why it was stopped.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{ResourceLimiter, Store};

use crate::engine::{EPOCH_TICK, Sandbox};
use crate::error::{Cause, TrapKind};
use crate::figures::Recorder;
use crate::limits::{EXPANSION_FLOOR_BYTES, PluginLimits};
use crate::wasi::Surroundings;

/// What a log line costs of its limits besides its text.
const LINE_OVERHEAD_BYTES: usize = 64;

/// Severity of a line, least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// As it stands in answers and lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A line that a guest wrote, cut to size and without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Severity.
    pub level: LogLevel,
    /// Text. It may quote a user's values: it is the tenant's to see, and nobody else's.
    pub text: String,
}

/// Shows the length, not the text.
impl std::fmt::Debug for LogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogLine")
            .field("level", &self.level)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// What a session's instances have used up together: a fresh instance begins where the last ended.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    cpu: Duration,
    log_bytes: usize,
    bytes_in: u64,
    bytes_out: u64,
}

/// State of one guest's store.
pub(crate) struct JobState {
    limits: PluginLimits,
    pub(crate) surroundings: Surroundings,
    memory_bytes: usize,
    memory_refused: bool,
    table_refused: bool,
    lines: Vec<LogLine>,
    call_log_bytes: usize,
    dropped_lines: u64,
    panic_place: Option<String>,
    entered_at: Option<Instant>,
    inside: Duration,
    used: Used,
}

impl JobState {
    fn new(limits: PluginLimits, surroundings: Surroundings, used: Used) -> Self {
        Self {
            limits,
            surroundings,
            memory_bytes: 0,
            memory_refused: false,
            table_refused: false,
            lines: Vec::new(),
            call_log_bytes: 0,
            dropped_lines: 0,
            panic_place: None,
            entered_at: None,
            inside: Duration::ZERO,
            used,
        }
    }

    pub(crate) fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    pub(crate) fn log_enabled(&self, level: LogLevel) -> bool {
        level >= LogLevel::Info
    }

    pub(crate) fn log(&mut self, level: LogLevel, message: &str) {
        if !self.log_enabled(level) {
            return;
        }
        let text = printable(message, self.limits.log_line_bytes);
        if let Some(place) = panic_place(&text) {
            self.panic_place = Some(place);
        }
        // A line takes memory besides its text.
        let cost = text.len() + LINE_OVERHEAD_BYTES;
        let fits = self.call_log_bytes + cost <= self.limits.log_call_bytes
            && self.used.log_bytes + cost <= self.limits.log_job_bytes;
        if !fits {
            self.dropped_lines += 1;
            return;
        }
        self.call_log_bytes += cost;
        self.used.log_bytes += cost;
        self.lines.push(LogLine { level, text });
    }
}

/// Where the guest panicked, as the SDK's hook reports it in the log: `panicked at
/// src/lib.rs:19:33`. The panic's own text stays behind.
fn panic_place(line: &str) -> Option<String> {
    let place = line
        .strip_prefix("panicked at ")?
        .split(' ')
        .next()?
        .trim_end_matches(':');
    let (file, position) = place.rsplit_once(".rs:")?;
    let plain = file
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    let numbers = position.bytes().all(|b| b.is_ascii_digit() || b == b':');
    (plain && numbers).then(|| format!("panicked at {}", printable(place, 200)))
}

/// A text cut to a length in bytes, without what does something to a terminal or a page.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars().map(|c| if acts_up(c) { ' ' } else { c }) {
        if clean.len() + c.len_utf8() > max_bytes {
            break;
        }
        clean.push(c);
    }
    clean
}

/// Control characters, line separators, and marks that turn the direction of what follows.
fn acts_up(c: char) -> bool {
    let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
    c.is_control() || marks.contains(&c) || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl ResourceLimiter for JobState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes + desired.saturating_sub(current);
        if wanted > self.limits.memory_bytes {
            self.memory_refused = true;
            return Ok(false);
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.limits.table_elements;
        self.table_refused |= !fits;
        Ok(fits)
    }
}

/// A guest's store. After a trap it is dead.
pub(crate) struct GuestStore {
    store: Store<JobState>,
    limits: PluginLimits,
    recorder: Recorder,
    dead: bool,
}

impl GuestStore {
    pub(crate) fn new(
        sandbox: &Sandbox,
        limits: PluginLimits,
        surroundings: Surroundings,
        recorder: &Recorder,
    ) -> Self {
        Self::with(sandbox, limits, surroundings, recorder, Used::default())
    }

    /// A fresh store in the place of this one, with no more of the budgets than is left.
    pub(crate) fn renew(&mut self, sandbox: &Sandbox, surroundings: Surroundings) {
        let used = self.store.data().used;
        *self = Self::with(sandbox, self.limits, surroundings, &self.recorder.clone(), used);
    }

    fn with(
        sandbox: &Sandbox,
        limits: PluginLimits,
        surroundings: Surroundings,
        recorder: &Recorder,
        used: Used,
    ) -> Self {
        let mut store = Store::new(&sandbox.engine, JobState::new(limits, surroundings, used));
        store.limiter(|state| state);
        store.call_hook(|mut store, hook| {
            let state = store.data_mut();
            if hook.exiting_host() {
                state.entered_at = Some(Instant::now());
            } else if let Some(entered_at) = state.entered_at.take() {
                state.inside += entered_at.elapsed();
            }
            Ok(())
        });
        recorder.note(|figures| figures.instantiations += 1);
        Self {
            store,
            limits,
            recorder: recorder.clone(),
            dead: false,
        }
    }

    /// Makes one call under the limits.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&mut Store<JobState>) -> wasmtime::Result<T>,
    ) -> Result<T, Cause> {
        if self.dead {
            return Err(TrapKind::Dead.into());
        }
        let budget = self.limits.job_cpu.saturating_sub(self.store.data().used.cpu);
        if budget.is_zero() {
            return self.die(TrapKind::CpuBudget.into());
        }
        let ticks = self
            .limits
            .call_deadline
            .min(budget)
            .as_millis()
            .div_ceil(EPOCH_TICK.as_millis());
        self.store
            .set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
        self.store.set_hostcall_fuel(self.limits.output_bytes_per_call);
        let metered = self.store.set_fuel(u64::MAX).is_ok();
        self.store.data_mut().call_log_bytes = 0;
        let (cpu_before, inside_before) = (thread_cpu(), self.store.data().inside);
        let called = call(&mut self.store);
        let cpu = thread_cpu().saturating_sub(cpu_before);
        self.note_call(cpu, inside_before, metered);
        called.or_else(|error| {
            let cause = self.trap(&error, budget);
            self.die(cause)
        })
    }

    fn note_call(&mut self, cpu: Duration, inside_before: Duration, metered: bool) {
        let fuel = metered.then(|| u64::MAX - self.store.get_fuel().unwrap_or(u64::MAX));
        let state = self.store.data_mut();
        state.end_stderr_line();
        state.used.cpu += cpu;
        let inside = state.inside.saturating_sub(inside_before);
        let (memory, dropped) = (
            state.memory_bytes as u64,
            std::mem::take(&mut state.dropped_lines),
        );
        let lines = std::mem::take(&mut state.lines);
        self.recorder.log(lines);
        self.recorder.note(|figures| {
            figures.guest_cpu_ns += nanoseconds(cpu);
            figures.inside_ns += nanoseconds(inside);
            figures.peak_memory_bytes = figures.peak_memory_bytes.max(memory);
            figures.log_lines_dropped += dropped;
            if let Some(fuel) = fuel {
                *figures.fuel.get_or_insert(0) += fuel;
            }
        });
    }

    /// Notes what a batch brought in and put out: a plugin may not make much of little for ever.
    pub(crate) fn note_bytes(&mut self, bytes_in: u64, bytes_out: u64) -> Result<(), Cause> {
        let used = &mut self.store.data_mut().used;
        used.bytes_in += bytes_in;
        used.bytes_out += bytes_out;
        let most = used.bytes_in.saturating_mul(self.limits.expansion_ratio) + EXPANSION_FLOOR_BYTES;
        let too_much = used.bytes_out > most;
        self.recorder.note(|figures| {
            figures.bytes_in += bytes_in;
            figures.bytes_out += bytes_out;
        });
        if too_much {
            return self.die(TrapKind::Expansion.into());
        }
        Ok(())
    }

    /// From here on no call is made.
    fn die<T>(&mut self, cause: Cause) -> Result<T, Cause> {
        self.dead = true;
        Err(cause)
    }

    /// After a broken contract, nobody knows in which state the guest is.
    pub(crate) fn condemn(&mut self) {
        self.dead = true;
    }

    fn trap(&self, error: &wasmtime::Error, budget: Duration) -> Cause {
        let state = self.store.data();
        let kind = match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) if budget < self.limits.call_deadline => TrapKind::CpuBudget,
            Some(wasmtime::Trap::Interrupt) => TrapKind::Deadline,
            Some(wasmtime::Trap::StackOverflow) => TrapKind::StackOverflow,
            _ if state.memory_refused => TrapKind::Memory,
            _ if state.table_refused => TrapKind::Table,
            Some(trap) => {
                let reason = trap.to_string();
                TrapKind::Trapped(reason.strip_prefix("wasm trap: ").unwrap_or(&reason).to_owned())
            }
            // wasmtime has no type for this error.
            None if error.to_string().contains("fuel allocated for hostcalls") => TrapKind::OutputTooLarge,
            None => {
                let reason = error.root_cause().to_string();
                return Cause::GuestFault(printable(&reason, self.limits.message_bytes));
            }
        };
        Cause::Trap {
            kind,
            panic: state.panic_place.clone(),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of this thread so far: what a guest used, whatever else the machine does.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
