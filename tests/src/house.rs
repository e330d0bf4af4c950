//! A data folder and the binary that works on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder with a data folder in it, gone when dropped.
#[derive(Debug)]
pub struct House {
    folder: TempDir,
    binary: PathBuf,
    env: Vec<(String, String)>,
}

/// A command that has run.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl House {
    /// A new, empty one. `binary` is `env!("CARGO_BIN_EXE_exeat-under-test")`.
    ///
    /// # Panics
    /// There is no room for a temporary folder.
    pub fn new(binary: &str) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            binary: binary.into(),
            env: Vec::new(),
        }
    }

    /// The same, with more variables in the environment of the binary.
    #[must_use]
    pub fn with_env(mut self, env: Vec<(String, String)>) -> Self {
        self.env.extend(env);
        self
    }

    /// One with a tenant `acme` of so many generated users.
    pub fn with_users(binary: &str, count: u64, seed: u64) -> Self {
        let house = Self::new(binary);
        let (count, seed) = (count.to_string(), seed.to_string());
        house.ok(&[
            "users", "generate", "--tenant", "acme", "--count", &count, "--seed", &seed,
        ]);
        house
    }

    /// A path in the folder, outside the data folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The binary, set up to work on the data folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.folder.path())
            .env("EXEAT_DATA", self.data())
            .env("USER", "tester")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .args(args);
        command.stdin(Stdio::null());
        command
    }

    /// Runs the binary.
    ///
    /// # Panics
    /// The binary cannot be started.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().expect("the binary can be started");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs the binary, which must succeed.
    ///
    /// # Panics
    /// It fails.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        ran
    }

    /// Exports the users of `acme` to a file of this name.
    pub fn export(&self, name: &str, args: &[&str]) -> PathBuf {
        let path = self.path(name);
        let output = path.to_string_lossy().into_owned();
        self.ok(&[&["export", "--tenant", "acme", "--output", &output], args].concat());
        path
    }

    /// Writes a file into the folder.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.to_string_lossy().into_owned()
    }

    /// The audit records of `acme`, newest first.
    ///
    /// # Panics
    /// They are no JSON.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        self.audit_of("acme")
    }

    /// The audit records of a tenant, newest first.
    ///
    /// # Panics
    /// They are no JSON.
    pub fn audit_of(&self, tenant: &str) -> Vec<serde_json::Value> {
        let listed = self
            .ok(&["audit", "list", "--tenant", tenant, "--limit", "10000"])
            .stdout;
        listed
            .lines()
            .map(|line| serde_json::from_str(line).expect("a record is JSON"))
            .collect()
    }

    /// Every file in the folder and below, but not the database: what could be taken away.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(self.folder.path(), &mut files);
        files.retain(|file| !file.to_string_lossy().contains("exeat.db"));
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path => files.push(path),
        }
    }
}
