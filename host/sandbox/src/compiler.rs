//! Compiling a stranger's component, in a process of its own with limits of its own: whatever the
//! compiler does with it, the server lives on.
//!
//! The parent starts its own executable with [`COMMAND`] as the first argument, writes the
//! component to its standard input and reads the code from its standard output.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use thiserror::Error;
use wasmtime::Engine;

use crate::engine::code_config;
use crate::store::printable;

/// First argument of a process that compiles.
pub const COMMAND: &str = "compile-component";

/// What compiling one component may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Wall-clock time; the process is killed then.
    pub wall_clock: Duration,
    /// CPU time of all its threads together, to the second.
    pub cpu: Duration,
    /// Address space.
    pub address_space_bytes: u64,
    /// Size of the code.
    pub code_bytes: u64,
}

impl Default for CompileLimits {
    /// Room for a Python guest of 18 MB on a slow machine that does other things as well.
    fn default() -> Self {
        Self {
            wall_clock: Duration::from_secs(300),
            cpu: Duration::from_secs(180),
            address_space_bytes: 4 << 30,
            code_bytes: 256 << 20,
        }
    }
}

/// Starts processes that compile.
#[derive(Clone, Debug)]
pub struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
}

/// A component was not compiled.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The compiler says no.
    #[error("it cannot be compiled: {0}")]
    Refused(String),
    /// It took too long.
    #[error("compiling it took longer than {} s", .0.as_secs())]
    Time(Duration),
    /// It took too much memory, or the compiler broke down.
    #[error("compiling it broke the compiler down ({0}); it may be too complex")]
    BrokeDown(String),
    /// The process could not be started. A host fault.
    #[error("the compiler cannot be started")]
    Start(#[source] io::Error),
}

/// Exit code of a process that says why it does not compile, on standard error.
const REFUSED: u8 = 3;

/// Longest reason that is read.
const MAX_REASON_BYTES: u64 = 4 << 10;

impl Compiler {
    /// One whose processes run `program`, which must be a build of this very version of Exeat: what
    /// it writes is run as it is. It must call [`main`] when its first argument is [`COMMAND`].
    /// For tests, whose own program is another; everybody else takes [`Self::this_program`].
    pub fn new(program: PathBuf, limits: CompileLimits) -> Self {
        Self { program, limits }
    }

    /// One whose processes run this very program, even if another has taken its place on disk.
    pub fn this_program() -> Self {
        Self::new(PathBuf::from("/proc/self/exe"), CompileLimits::default())
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: CompileLimits) -> Self {
        Self::new(self.program.clone(), limits)
    }

    /// Compiles a component. Blocks.
    ///
    /// # Errors
    /// The compiler refuses it, takes too much, or cannot be started.
    pub(crate) fn compile(&self, component: &[u8], metered: bool) -> Result<Vec<u8>, CompileError> {
        let limits = self.limits;
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .args([
                limits.cpu.as_secs().to_string(),
                limits.address_space_bytes.to_string(),
            ])
            .arg(if metered { "metered" } else { "plain" })
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(CompileError::Start)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut input), Some(output), Some(reasons)) = pipes else {
            unreachable!("all three were asked for");
        };
        let watched = Watched::new(child, limits.wall_clock);
        let (code, reason) = std::thread::scope(|scope| {
            // A child that ends early reads no more: that is no error of its own.
            scope.spawn(move || input.write_all(component));
            let reason = scope.spawn(move || {
                let mut reason = Vec::new();
                let read = reasons.take(MAX_REASON_BYTES).read_to_end(&mut reason);
                read.map(|_| String::from_utf8_lossy(&reason).into_owned())
                    .unwrap_or_default()
            });
            let mut code = Vec::new();
            let read = output.take(limits.code_bytes + 1).read_to_end(&mut code);
            if read.is_err() || code.len() as u64 > limits.code_bytes {
                watched.kill();
            }
            (code, reason.join().unwrap_or_default())
        });
        let (status, timed_out) = watched.wait().map_err(CompileError::Start)?;
        if timed_out {
            return Err(CompileError::Time(limits.wall_clock));
        }
        if code.len() as u64 > limits.code_bytes {
            return Err(CompileError::BrokeDown("its code is too large".to_owned()));
        }
        match status.code() {
            Some(0) => Ok(code),
            Some(code) if code == i32::from(REFUSED) => Err(CompileError::Refused(printable(
                reason.trim(),
                MAX_REASON_BYTES as usize,
            ))),
            _ => Err(self.broken_down(status, &reason)),
        }
    }

    fn broken_down(&self, status: std::process::ExitStatus, reason: &str) -> CompileError {
        use std::os::unix::process::ExitStatusExt as _;
        const SIGXCPU: i32 = 24;
        const SIGKILL: i32 = 9;
        match status.signal() {
            Some(SIGXCPU | SIGKILL) => CompileError::Time(self.limits.cpu),
            _ if reason.contains("memory allocation") => CompileError::BrokeDown("out of memory".to_owned()),
            Some(signal) => CompileError::BrokeDown(format!("signal {signal}")),
            None => CompileError::BrokeDown(format!("exit code {}", status.code().unwrap_or_default())),
        }
    }
}

/// A process that is killed when its time is up.
struct Watched {
    child: Arc<Mutex<Child>>,
    done: mpsc::Sender<()>,
    watchdog: std::thread::JoinHandle<bool>,
}

impl Watched {
    fn new(child: Child, wall_clock: Duration) -> Self {
        let child = Arc::new(Mutex::new(child));
        let (done, ended) = mpsc::channel();
        let until = Instant::now() + wall_clock;
        let victim = Arc::clone(&child);
        let watchdog = std::thread::spawn(move || {
            let left = until.saturating_duration_since(Instant::now());
            let timed_out = ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout);
            if timed_out {
                kill(&victim);
            }
            timed_out
        });
        Self {
            child,
            done,
            watchdog,
        }
    }

    fn kill(&self) {
        kill(&self.child);
    }

    /// Its status, and whether its time was up. Called once its output has ended.
    fn wait(self) -> io::Result<(std::process::ExitStatus, bool)> {
        // A process that has closed its output and lives on is ended by its own limits; the
        // watchdog must not need the lock meanwhile, so it is not held while waiting.
        let status = loop {
            let exited = self
                .child
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .try_wait()?;
            match exited {
                Some(status) => break status,
                None => std::thread::park_timeout(Duration::from_millis(2)),
            }
        };
        drop(self.done);
        Ok((status, self.watchdog.join().unwrap_or_default()))
    }
}

fn kill(child: &Mutex<Child>) {
    // One that has ended by itself needs no killing.
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

/// What a process does whose first argument is [`COMMAND`]: limits itself, and compiles.
pub fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (cpu, space) = (args.next(), args.next());
    let limit = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    let (Some(cpu), Some(space)) = (limit(cpu), limit(space)) else {
        eprintln!("this is for Exeat's own use");
        return ExitCode::from(REFUSED);
    };
    let metered = args.next().as_deref() == Some("metered");
    match limit_myself(cpu, space)
        .map_err(|error| error.to_string())
        .and_then(|()| compile(metered))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(REFUSED)
        }
    }
}

/// Before a byte of the component is read.
fn limit_myself(cpu_seconds: u64, address_space_bytes: u64) -> io::Result<()> {
    let most = |value| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(Resource::Cpu, most(cpu_seconds))?;
    setrlimit(Resource::As, most(address_space_bytes))?;
    setrlimit(Resource::Core, most(0))?;
    setrlimit(Resource::Fsize, most(0))?;
    Ok(())
}

fn compile(metered: bool) -> Result<(), String> {
    let mut component = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut component)
        .map_err(|error| error.to_string())?;
    let engine = Engine::new(&code_config(metered)).map_err(|error| format!("{error:#}"))?;
    let code = engine
        .precompile_component(&component)
        .map_err(|error| format!("{error:#}"))?;
    io::stdout()
        .lock()
        .write_all(&code)
        .map_err(|error| error.to_string())
}
