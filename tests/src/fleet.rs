//! A server and workers that share a database and a store: PostgreSQL and S3, each started for the
//! test. Every process has a data folder of its own, as if it were on a machine of its own.

use std::process::{Child, Stdio};

use exeat_test_servers::postgres::PostgresCluster;
use exeat_test_servers::s3::S3Server;

use crate::house::House;
use crate::server::Server;

/// A database and a store, and the processes that work on them.
#[derive(Debug)]
pub struct Fleet {
    house: House,
    s3: S3Server,
    database: String,
}

/// A worker of a fleet, killed when dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    args: Vec<String>,
    data: String,
}

impl Fleet {
    /// An empty database and an empty store. `binary` is `env!("CARGO_BIN_EXE_exeat-under-test")`.
    pub fn new(binary: &str) -> Self {
        Self::on(PostgresCluster::shared(), binary)
    }

    /// The same on a cluster of the test's own, which it may stop.
    pub fn on(cluster: &PostgresCluster, binary: &str) -> Self {
        let (database, s3) = (cluster.create_database(), S3Server::start());
        let mut env = s3.env();
        env.push(("EXEAT_DATABASE".to_owned(), database.clone()));
        env.push(("EXEAT_STORE".to_owned(), s3.url("exeat")));
        Self {
            house: House::new(binary).with_env(env),
            s3,
            database,
        }
    }

    /// The folder and the binary, set up to work on the database and the store.
    pub fn house(&self) -> &House {
        &self.house
    }

    /// The store.
    pub fn s3(&self) -> &S3Server {
        &self.s3
    }

    /// URL of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Generates users of a tenant, and makes a token for it.
    pub fn tenant(&self, name: &str, users: u64, seed: u64) -> String {
        let (users, seed) = (users.to_string(), seed.to_string());
        self.house.ok(&[
            "users", "generate", "--tenant", name, "--count", &users, "--seed", &seed,
        ]);
        self.token(name)
    }

    /// Makes a token for a tenant.
    pub fn token(&self, tenant: &str) -> String {
        let made = self
            .house
            .ok(&["token", "create", "--tenant", tenant, "--name", "test"]);
        made.stdout.trim().to_owned()
    }

    /// A server that runs no exports itself.
    pub fn server(&self) -> Server {
        Server::start_with(&self.house, &["--workers", "0"])
    }

    /// A worker with these arguments. `number` tells its data folder from others'.
    pub fn worker(&self, number: usize, args: &[&str]) -> Worker {
        let data = self.house.path(&format!("worker-{number}"));
        let args: Vec<String> = ["work"].iter().chain(args).map(|&arg| arg.to_owned()).collect();
        let data = data.to_string_lossy().into_owned();
        Worker {
            child: spawn(&self.house, &args, &data),
            args,
            data,
        }
    }
}

impl Worker {
    /// Kills the worker as `kill -9` does, and starts it again.
    ///
    /// # Panics
    /// It cannot be killed or started.
    pub fn kill_and_restart(&mut self, fleet: &Fleet) {
        self.child.kill().expect("a worker can be killed");
        self.child.wait().expect("a killed worker ends");
        self.child = spawn(&fleet.house, &self.args, &self.data);
    }

    /// Sends a signal, such as `TERM`.
    ///
    /// # Panics
    /// It cannot be sent.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits until it has ended; says its exit code.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("a worker can be waited for").code()
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// It cannot be asked.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a worker can be asked").is_some()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
///
/// # Panics
/// It cannot be sent.
pub fn signal(process: u32, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([format!("-{name}"), process.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "SIG{name} can be sent");
}

fn spawn(house: &House, args: &[String], data: &str) -> Child {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let log = match std::env::var_os("EXEAT_TEST_LOG") {
        Some(_) => Stdio::inherit(),
        None => Stdio::null(),
    };
    let mut command = house.command(&args);
    command.env("EXEAT_DATA", data).stderr(log);
    command.spawn().expect("a worker can be started")
}
