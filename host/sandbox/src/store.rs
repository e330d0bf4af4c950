//! What the host keeps for one guest: its limits, its log, why it was stopped.

use wasmtime::{ResourceLimiter, Store};

use crate::engine::{EPOCH_TICK, Sandbox};
use crate::error::{Cause, TrapKind};
use crate::limits::PluginLimits;

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

/// State of one guest's store.
pub(crate) struct JobState {
    limits: PluginLimits,
    memory_bytes: usize,
    memory_refused: bool,
    lines: Vec<LogLine>,
    call_bytes: usize,
    job_bytes: usize,
    dropped_lines: u64,
}

impl JobState {
    pub(crate) fn log_enabled(&self, level: LogLevel) -> bool {
        level >= LogLevel::Info
    }

    pub(crate) fn log(&mut self, level: LogLevel, message: &str) {
        if !self.log_enabled(level) {
            return;
        }
        let text = printable(message, self.limits.log_line_bytes);
        let fits = self.call_bytes + text.len() <= self.limits.log_call_bytes
            && self.job_bytes + text.len() <= self.limits.log_job_bytes;
        if !fits {
            self.dropped_lines += 1;
            return;
        }
        self.call_bytes += text.len();
        self.job_bytes += text.len();
        self.lines.push(LogLine { level, text });
    }

    pub(crate) fn take_lines(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.lines)
    }

    /// Where the guest panicked, as the SDK's hook reports it in the log: `panicked at
    /// src/lib.rs:19:33`. The panic's own text stays behind.
    fn panic_place(&self) -> Option<String> {
        let line = self
            .lines
            .iter()
            .rev()
            .find(|line| line.text.starts_with("panicked at "))?;
        let place = line.text.split([' ', '\n']).nth(2)?.trim_end_matches(':');
        Some(format!("panicked at {}", printable(place, 200)))
    }
}

/// A text cut to a length in bytes, control characters replaced.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if clean.len() + c.len_utf8() > max_bytes {
            break;
        }
        clean.push(c);
    }
    clean
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
        Ok(desired <= self.limits.table_elements)
    }
}

/// A guest's store. After a trap it is dead.
pub(crate) struct GuestStore {
    pub(crate) store: Store<JobState>,
    limits: PluginLimits,
    dead: bool,
}

impl GuestStore {
    pub(crate) fn new(sandbox: &Sandbox, limits: PluginLimits) -> Self {
        let state = JobState {
            limits,
            memory_bytes: 0,
            memory_refused: false,
            lines: Vec::new(),
            call_bytes: 0,
            job_bytes: 0,
            dropped_lines: 0,
        };
        let mut store = Store::new(&sandbox.engine, state);
        store.limiter(|state| state);
        Self {
            store,
            limits,
            dead: false,
        }
    }

    /// Makes one call under the limits.
    pub(crate) fn call<T>(
        &mut self,
        call: impl FnOnce(&mut Store<JobState>) -> wasmtime::Result<T>,
    ) -> Result<T, Cause> {
        if self.dead {
            return Err(Cause::Trap {
                kind: TrapKind::Dead,
                panic: None,
            });
        }
        let ticks = self
            .limits
            .call_deadline
            .as_millis()
            .div_ceil(EPOCH_TICK.as_millis());
        self.store
            .set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
        self.store.set_hostcall_fuel(self.limits.output_bytes_per_call);
        self.store.data_mut().call_bytes = 0;
        call(&mut self.store).map_err(|error| {
            self.dead = true;
            self.trap(&error)
        })
    }

    fn trap(&self, error: &wasmtime::Error) -> Cause {
        let state = self.store.data();
        let kind = match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) => TrapKind::Deadline,
            Some(wasmtime::Trap::StackOverflow) => TrapKind::StackOverflow,
            _ if state.memory_refused => TrapKind::Memory,
            Some(trap) => {
                let reason = trap.to_string();
                TrapKind::Trapped(reason.strip_prefix("wasm trap: ").unwrap_or(&reason).to_owned())
            }
            None if error.to_string().contains("fuel") => TrapKind::OutputTooLarge,
            None => {
                return Cause::GuestFault(printable(
                    &error.root_cause().to_string(),
                    self.limits.message_bytes,
                ));
            }
        };
        Cause::Trap {
            kind,
            panic: state.panic_place(),
        }
    }
}
