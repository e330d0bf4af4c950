//! A PostgreSQL cluster of this test process's own.
//!
//! ```text
//! test process ──pipe──► watcher (sh)          the pipe closes however the process ends,
//!      │                    │                  kill -9 included; the watcher then stops
//!      └──initdb, pg_ctl──► postgres ◄──stops── the server and removes its folder
//! ```

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

const MISSING: &str = "PostgreSQL's server programs are neither in PATH nor in /usr/lib/postgresql/*/bin; \
                       install them: apt-get install postgresql";

/// Quick to start and to write, and worth nothing after a power cut.
const SETTINGS: &str = "
    listen_addresses = '127.0.0.1'
    fsync = off
    synchronous_commit = off
    full_page_writes = off
    autovacuum_naptime = 10s
    max_connections = 200
    shared_buffers = 64MB
    max_wal_size = 1GB
    timezone = 'UTC'
    log_min_messages = warning
";

/// How often a port is asked for: another process may take it before the server does.
const PORT_ATTEMPTS: usize = 5;

/// Stops the server and removes its folder when standard input ends. A Ctrl-C is for the tests.
const WATCHER: &str = r#"trap '' INT TERM HUP; read -r _; "$@" >/dev/null 2>&1; rm -rf "$0""#;

/// A cluster that runs until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub struct PostgresCluster {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    watcher: Child,
}

impl PostgresCluster {
    /// The cluster that all tests of this process share, started by the first that asks.
    ///
    /// # Panics
    /// As [`PostgresCluster::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresCluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Makes a cluster and starts it.
    ///
    /// # Panics
    /// PostgreSQL is not installed, with a sentence that says how to get it, or does not start.
    pub fn start() -> Self {
        let programs = programs().expect(MISSING);
        // A socket's path is short: not below a folder that is itself deep.
        let folder = tempfile::Builder::new()
            .prefix("exeat-pg-")
            .tempdir()
            .map(TempDir::keep)
            .expect("a temporary folder");
        let data = folder.join("data");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        run(as_server(&programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--no-sync", "--pgdata"])
            .arg(&data));
        let settings = format!("{SETTINGS}\n unix_socket_directories = '{}'\n", folder.display());
        append(&data.join("postgresql.conf"), &settings);

        let pg_ctl = as_server(&programs.join("pg_ctl"));
        let watcher = Command::new("sh")
            .args(["-c", WATCHER])
            .arg(&folder)
            .arg(pg_ctl.get_program())
            .args(pg_ctl.get_args())
            .args(["stop", "--mode=immediate", "--pgdata"])
            .arg(&data)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut cluster = Self {
            programs,
            folder,
            port: 0,
            databases: AtomicU32::new(0),
            watcher,
        };
        let started = (0..PORT_ATTEMPTS).any(|_| {
            cluster.port = free_port();
            cluster.try_start()
        });
        assert!(started, "PostgreSQL does not start: {}", cluster.log());
        cluster
    }

    /// The cluster's own database, over TCP. Databases for tests: [`PostgresCluster::create_database`].
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same over the Unix socket.
    pub fn socket_url(&self) -> String {
        format!(
            "postgres://postgres@localhost:{}/postgres?host={}",
            self.port,
            self.folder.display()
        )
    }

    /// Creates an empty database that no other test has, and says its URL.
    ///
    /// # Panics
    /// The server refused.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE DATABASE {name}"));
        self.url_of(&name)
    }

    /// Stops the server as a power cut would: no checkpoint, no farewell to clients.
    ///
    /// # Panics
    /// It does not stop.
    pub fn stop_hard(&self) {
        run(self.pg_ctl("stop").arg("--mode=immediate"));
    }

    /// Starts the server after [`PostgresCluster::stop_hard`], on the same port.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&self) {
        assert!(
            self.try_start(),
            "PostgreSQL does not start again: {}",
            self.log()
        );
    }

    /// Ends every client's connection, as an operator or a failover would.
    ///
    /// # Panics
    /// The server refused.
    pub fn disconnect_all(&self) {
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
    }

    /// Runs SQL in the cluster's own database, past every pool of the tests; says what it answers.
    ///
    /// # Panics
    /// The server refused.
    pub fn sql(&self, sql: &str) -> String {
        self.sql_in(&self.url(), sql)
    }

    /// The same in a database that [`PostgresCluster::create_database`] made, by its URL.
    ///
    /// # Panics
    /// The server refused.
    pub fn sql_in(&self, url: &str, sql: &str) -> String {
        let output = run(self.psql(url).args(["--command", sql]));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `psql` on a database, for what takes long: the caller adds what it is to do.
    pub fn psql(&self, url: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ])
        .arg(format!("--dbname={url}"));
        psql
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn try_start(&self) -> bool {
        let mut start = self.pg_ctl("start");
        start
            .args(["--wait", "--timeout=60", "--silent", "--options"])
            .arg(format!("-p {}", self.port))
            .arg("--log")
            .arg(self.folder.join("data/server.log"));
        // The server inherits what pg_ctl has: a pipe would stay open as long as it runs.
        let status = start.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut pg_ctl = as_server(&self.programs.join("pg_ctl"));
        pg_ctl.arg(action).arg("--pgdata").arg(self.folder.join("data"));
        pg_ctl
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("data/server.log")).unwrap_or_default()
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // Nothing is left to do for a watcher that has gone.
        let _ = self.watcher.wait();
    }
}

/// The folder of the server's programs: the first in PATH, else the newest of Debian's.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_all = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres", "psql"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    if let Some(folder) = std::env::split_paths(&path).find(has_all) {
        return Some(folder);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let newest_first = |folder: &PathBuf| {
        let version = folder
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        std::cmp::Reverse(version.and_then(|version| version.parse::<u32>().ok()))
    };
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort_by_key(newest_first);
    folders.into_iter().find(has_all)
}

/// The server refuses to run as root, and so does initdb.
fn as_server(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["--user", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| run(Command::new("id").arg("--user")).stdout == b"0\n")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

fn append(file: &Path, text: &str) {
    use std::io::Write as _;
    std::fs::OpenOptions::new()
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .expect("a configuration file of initdb's");
}

fn run(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
