//! Many exports, several workers, and one of them killed every second: every export ends completed
//! once, with the bytes of an undisturbed run, and nothing is left over.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exeat_test_servers::s3::Fault;
use exeat_tests::Server;
use exeat_tests::fleet::Fleet;
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

const WORKERS: usize = 3;
const JOBS: usize = 200;
const KILLING: Duration = Duration::from_secs(120);
const ASKED_PER_SECOND: usize = 4;
/// How long the store takes to keep an object: an attempt lasts for a good part of a second.
const STORING: Duration = Duration::from_millis(100);
const TENANTS: [(&str, u64); 4] = [
    ("acme", 20_000),
    ("globex", 10_000),
    ("initech", 3_000),
    ("umbrella", 500),
];

/// What is asked for, and the same for the command line.
const KINDS: [(&str, &[&str]); 4] = [
    (r#"{"format": "csv"}"#, &["--format", "csv"]),
    (
        r#"{"format": "ndjson", "fields": ["user_id", "email", "groups", "identities", "custom_attributes"]}"#,
        &[
            "--format",
            "ndjson",
            "--fields",
            "user_id,email,groups,identities,custom_attributes",
        ],
    ),
    (
        r#"{"format": "csv", "compression": "gzip", "transforms": [{"plugin": "pseudonymize"}]}"#,
        &[
            "--format",
            "csv",
            "--compress",
            "gzip",
            "--transform",
            "pseudonymize",
        ],
    ),
    (
        r#"{"adapter": {"plugin": "auth0"}, "on_reject": "skip"}"#,
        &["--adapter", "auth0", "--on-reject", "skip"],
    ),
];

/// Numbers that follow from a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// An export that was asked for.
struct Asked {
    tenant: usize,
    kind: usize,
    id: String,
}

#[test]
fn exports_survive_workers_that_are_killed_every_second() {
    let seed = std::env::var("EXEAT_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 | 1
    });
    println!("EXEAT_TEST_SEED={seed}");
    let mut dice = Dice(seed);
    let fleet = Fleet::new(EXEAT);
    let tokens: Vec<String> = TENANTS
        .iter()
        .map(|(name, users)| fleet.tenant(name, *users, 7))
        .collect();
    fleet
        .s3()
        .fail(Fault::delay(STORING).method("PUT").containing("exports"));
    let server = fleet.server();
    let args = ["--jobs", "1", "--lease", "3s", "--max-failures", "50"];
    let mut workers: Vec<_> = (0..WORKERS).map(|number| fleet.worker(number, &args)).collect();

    let (mut asked, mut kills): (Vec<Asked>, usize) = (Vec::new(), 0);
    let begun = Instant::now();
    while begun.elapsed() < KILLING {
        for _ in 0..ASKED_PER_SECOND {
            if asked.len() < JOBS {
                let (tenant, kind) = (dice.below(TENANTS.len()), dice.below(KINDS.len()));
                let id = server.create_export(&tokens[tenant], KINDS[kind].0);
                asked.push(Asked { tenant, kind, id });
            }
        }
        let next = Duration::from_secs(kills as u64 + 1);
        std::thread::park_timeout(next.saturating_sub(begun.elapsed()));
        workers[dice.below(WORKERS)].kill_and_restart(&fleet);
        kills += 1;
    }
    assert_eq!(asked.len(), JOBS);
    let waiting = Instant::now();
    let exports: Vec<Value> = asked
        .iter()
        .map(|asked| server.wait_for(&tokens[asked.tenant], &asked.id, "completed"))
        .collect();
    let attempts: i64 = exports
        .iter()
        .map(|export| export["attempt"].as_i64().unwrap())
        .sum();
    println!(
        "{kills} kills, {JOBS} exports, {attempts} attempts, the last export completed {:.1} s after the last kill",
        waiting.elapsed().as_secs_f64()
    );
    assert!(
        attempts > JOBS as i64 + 20,
        "{attempts} attempts: too few of them were killed"
    );
    fleet.s3().heal();

    each_file_is_that_of_an_undisturbed_run(&fleet, &server, &tokens, &asked, &exports);
    each_export_is_recorded_once(&fleet, &asked);
    drop(workers);
    nothing_is_left_over(&fleet, &asked, &exports);
}

fn each_file_is_that_of_an_undisturbed_run(
    fleet: &Fleet,
    server: &Server,
    tokens: &[String],
    asked: &[Asked],
    exports: &[Value],
) {
    let mut undisturbed: BTreeMap<(usize, usize), Vec<Vec<u8>>> = BTreeMap::new();
    for (asked, export) in asked.iter().zip(exports) {
        let expected = undisturbed
            .entry((asked.tenant, asked.kind))
            .or_insert_with(|| export_undisturbed(fleet, asked));
        let files = export["files"].as_array().unwrap();
        assert_eq!(files.len(), expected.len(), "{}", asked.id);
        for (file, expected) in files.iter().zip(expected.iter()) {
            let got = server.get(file["href"].as_str().unwrap(), &tokens[asked.tenant]);
            assert_eq!(got.status, 200, "{}", got.text());
            assert!(got.body == *expected, "{} of {} differs", file["name"], asked.id);
        }
    }
}

/// The files of the same export by the command line, in the order of the manifest.
fn export_undisturbed(fleet: &Fleet, asked: &Asked) -> Vec<Vec<u8>> {
    let name = format!("undisturbed-{}-{}", asked.tenant, asked.kind);
    let path = fleet.house().path(&name);
    let output = path.to_string_lossy().into_owned();
    let args = ["export", "-q", "--tenant", TENANTS[asked.tenant].0, "-o", &output];
    fleet.house().ok(&[&args, KINDS[asked.kind].1].concat());
    if path.is_file() {
        return vec![std::fs::read(path).unwrap()];
    }
    let manifest = std::fs::read(path.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let names = manifest["files"].as_array().unwrap().iter();
    names
        .map(|file| std::fs::read(path.join(file["name"].as_str().unwrap())).unwrap())
        .collect()
}

fn each_export_is_recorded_once(fleet: &Fleet, asked: &[Asked]) {
    let mut recorded: BTreeMap<String, usize> = BTreeMap::new();
    for (tenant, _) in TENANTS {
        for record in fleet.house().audit_of(tenant) {
            let by_command = record["actor"].as_str().unwrap().starts_with("command:");
            if record["action"] == "user.bulk_export" && !by_command {
                *recorded
                    .entry(record["job_id"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
            assert_ne!(record["action"], "user.bulk_export_failed", "{record}");
        }
    }
    assert_eq!(recorded.len(), asked.len());
    assert!(recorded.values().all(|count| *count == 1), "{recorded:?}");
}

fn nothing_is_left_over(fleet: &Fleet, asked: &[Asked], exports: &[Value]) {
    let before = fleet.s3().objects().len();
    fleet.house().ok(&["jobs", "sweep"]);
    let mut expected: Vec<String> = Vec::new();
    for (asked, export) in asked.iter().zip(exports) {
        let tenant = TENANTS[asked.tenant].0;
        let folder = format!("exeat/exports/{tenant}/{}/{}", asked.id, export["attempt"]);
        let files = export["files"].as_array().unwrap().iter();
        expected.extend(files.map(|file| format!("{folder}/{}", file["name"].as_str().unwrap())));
        expected.push(format!("{folder}/manifest.json"));
    }
    expected.sort();
    // What the checks of killed starts left is swept once it is old.
    let mut objects = fleet.s3().objects();
    objects.retain(|object| object.starts_with("exeat/exports/"));
    objects.sort();
    println!("{} objects before the sweep, {} after it", before, objects.len());
    assert_eq!(objects, expected);
    assert!(fleet.s3().incomplete_uploads().is_empty());
}
