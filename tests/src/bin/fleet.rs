//! `fleet EXEAT [EXPORTS [USERS]]`: what one, two and three workers of this binary make of so many
//! exports of so many users each, on PostgreSQL and S3 that it starts itself. `cargo xtask fleet`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use exeat_test_servers::postgres::PostgresCluster;
use exeat_tests::fleet::Fleet;

const TENANTS: usize = 5;
const REQUEST: &str = r#"{"format": "csv"}"#;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let binary = args.next().and_then(|path| std::path::absolute(path).ok());
    let Some(binary) = binary else {
        eprintln!("fleet EXEAT [EXPORTS [USERS]]");
        return ExitCode::from(2);
    };
    let binary = binary.to_string_lossy();
    let mut number = || args.next().and_then(|text| text.parse().ok());
    let (exports, users): (u32, u32) = (number().unwrap_or(1_000), number().unwrap_or(1_000));
    println!("workers  seconds  exports/s  users/s");
    for workers in [1, 2, 3] {
        let taken = work_off(&binary, workers, exports, users).as_secs_f64();
        let (exports, users) = (f64::from(exports), f64::from(users));
        println!(
            "{workers:>7}  {taken:>7.1}  {:>9.1}  {:>7.0}",
            exports / taken,
            exports * users / taken
        );
    }
    ExitCode::SUCCESS
}

/// How long so many workers take for a queue that is full when they start.
fn work_off(binary: &str, workers: usize, exports: u32, users: u32) -> Duration {
    let fleet = Fleet::new(binary);
    let tokens: Vec<String> = (0..TENANTS)
        .map(|number| fleet.tenant(&format!("tenant-{number}"), users.into(), number as u64))
        .collect();
    let server = fleet.server();
    for number in 0..exports {
        server.create_export(&tokens[number as usize % TENANTS], REQUEST);
    }
    let begun = Instant::now();
    let args = ["--jobs", "2", "--tenant-running", "10"];
    let _workers: Vec<_> = (0..workers).map(|number| fleet.worker(number, &args)).collect();
    let count = "SELECT count(*) FROM jobs WHERE state = 'completed'";
    while PostgresCluster::shared().sql_in(fleet.database(), count) != exports.to_string() {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    begun.elapsed()
}
