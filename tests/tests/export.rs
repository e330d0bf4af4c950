//! Promises of `exeat export`.

use std::collections::BTreeSet;
use std::io::Read as _;

use exeat_tests::{House, persons, secrets};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");
const EVERYTHING: &str = "user_id,email,name,given_name,family_name,state,email_verified,created_at,last_signed_in_at,\
                          groups,username,nickname,picture,locale,phone_verified,updated_at,last_ip,logins_count,\
                          connection,custom_attributes,app_metadata,phone_last_four,mfa_factor_count,identities";

fn rows(ndjson: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(ndjson).expect("NDJSON");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("NDJSON"))
        .collect()
}

#[test]
fn csv_and_ndjson_have_the_promised_header_and_every_user() {
    let house = House::with_users(EXEAT, 3_000, 7);
    let csv = std::fs::read_to_string(house.export("users.csv", &[])).unwrap();
    let header = csv.split("\r\n").next().unwrap();
    assert_eq!(
        header,
        "user_id,email,name,given_name,family_name,state,email_verified,created_at,last_signed_in_at,groups"
    );
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let from_csv: Vec<String> = reader
        .records()
        .map(|record| record.unwrap()[0].to_owned())
        .collect();
    let from_ndjson: Vec<String> = rows(&house.export("users.ndjson", &[]))
        .iter()
        .map(|row| row["user_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(from_csv.len(), 3_000);
    assert_eq!(from_csv, from_ndjson);
    assert!(from_csv.is_sorted());
}

#[test]
fn the_output_says_exactly_what_the_directory_holds() {
    let house = House::with_users(EXEAT, 500, 3);
    let exported = rows(&house.export("all.ndjson", &["--fields", EVERYTHING]));
    let people: Vec<_> = exeat_directory::generate::users(500, 3).collect();
    for (row, person) in exported.iter().zip(&people) {
        assert_eq!(row["user_id"], person.user_id.as_str());
        assert_eq!(row["email"].as_str(), person.email.as_deref());
        assert_eq!(row["name"].as_str(), person.name.as_deref());
        assert_eq!(row["state"], person.state.name());
        assert_eq!(row["connection"].as_str(), person.connection.as_deref());
        let groups: Vec<&str> = row["groups"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(groups, *person.groups.as_ref().unwrap());
        let factors = person.secrets.as_ref().unwrap().factors.len();
        assert_eq!(row["mfa_factor_count"], factors);
        let last_four = person
            .phone_number
            .as_ref()
            .map(|number| &number[number.len() - 4..]);
        assert_eq!(row["phone_last_four"].as_str(), last_four);
        let identities = row["identities"].as_array().unwrap();
        assert_eq!(identities.len(), person.identities.as_ref().unwrap().len());
        for (identity, planted) in identities.iter().zip(person.identities.as_ref().unwrap()) {
            assert_eq!(identity["subject"], planted.subject.as_str());
            assert_eq!(identity.as_object().unwrap().len(), 3);
        }
    }
}

#[test]
fn no_secret_leaves_by_any_file_manifest_or_record() {
    let (count, seed) = (1_500, 7);
    let house = House::with_users(EXEAT, count, seed);
    let needles = secrets(count, seed);
    assert!(needles.count() > 3_000);
    let map = house.write(
        "map.json",
        r#"{"columns": [{"from": "user_id"}, {"from": "user_metadata"}, {"from": "app_metadata"}, {"from": "identities"},
                        {"from": "user_metadata.legacy"}, {"from": "user_metadata.note"},
                        {"concat": [{"from": "app_metadata"}, {"from": "phone_last_four"}], "as": "mixed"}]}"#,
    );
    house.export("all.csv", &["--fields", EVERYTHING, "--csv-formulas", "off"]);
    house.export("all.ndjson", &["--fields", EVERYTHING]);
    house.export("mapped.ndjson", &["--transform", "field-map", "--config", &map]);
    house.export(
        "pseudonyms.ndjson",
        &["--fields", EVERYTHING, "--transform", "pseudonymize"],
    );
    house.export("auth0", &["--adapter", "auth0"]);
    let all = std::fs::read_to_string(house.path("all.ndjson")).unwrap();
    assert!(all.contains("phone_last_four") && all.contains("\"imported\":true"));
    let files = house.files();
    assert!(files.len() > 8);
    files.iter().for_each(|file| needles.assert_absent_from(file));
    let audit = house.ok(&["audit", "list", "--tenant", "acme"]);
    needles.assert_absent("the audit trail", audit.stdout.as_bytes());
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(house.path("all.ndjson.manifest.json")).unwrap()).unwrap();
    let suppressed = &manifest["policy"]["suppressed"];
    assert!(
        suppressed["credential_keys"].as_u64().unwrap() > 0,
        "{suppressed}"
    );
    assert!(
        suppressed["credential_values"].as_u64().unwrap() > 0,
        "{suppressed}"
    );
}

#[test]
fn an_anonymized_export_names_nobody_in_any_byte() {
    let (count, seed) = (1_500, 7);
    let house = House::with_users(EXEAT, count, seed);
    let needles = persons(count, seed);
    let plain = house.export("plain.ndjson", &["--fields", EVERYTHING]);
    assert!(
        needles.found_in(&std::fs::read(&plain).unwrap()).is_some(),
        "the search finds what is there"
    );
    for (name, fields) in [
        ("some.csv", None),
        ("all.csv", Some(EVERYTHING)),
        ("all.ndjson", Some(EVERYTHING)),
    ] {
        let fields: Vec<&str> = fields
            .into_iter()
            .flat_map(|fields| ["--fields", fields])
            .collect();
        let file = house.export(name, &[&["--anonymize"], fields.as_slice()].concat());
        needles.assert_absent_from(&file);
    }
    let row = &rows(&house.path("all.ndjson"))[0];
    assert_eq!(row["email"], "[redacted]");
    assert!(row["user_id"].as_str().unwrap().starts_with("usr_"));
}

#[test]
fn the_same_export_twice_is_the_same_byte_for_byte() {
    let house = House::with_users(EXEAT, 2_500, 7);
    let map = house.write(
        "map.json",
        r#"{"columns": [{"from": "user_id", "as": "id"}, {"from": "user_metadata.country"},
                        {"concat": [{"from": "family_name"}, {"text": ", "}, {"from": "given_name"}], "as": "name"}]}"#,
    );
    let variants: [(&str, &[&str]); 4] = [
        ("map.csv", &["--transform", "field-map", "--config", &map]),
        ("pseudonyms.ndjson", &["--transform", "pseudonymize"]),
        (
            "both.ndjson.gz",
            &[
                "--transform",
                "pseudonymize",
                "--transform",
                "field-map",
                "--config",
                &map,
            ],
        ),
        ("plain.csv.zst", &[]),
    ];
    for (name, args) in variants {
        // `field-map` after `pseudonymize` sees only what that one puts out.
        let args = if name.starts_with("both") {
            &args[..2]
        } else {
            args
        };
        let first = std::fs::read(house.export(name, args)).unwrap();
        let second = std::fs::read(house.export(&format!("again-{name}"), args)).unwrap();
        assert!(first == second, "{name}");
    }
}

#[test]
fn a_pseudonym_is_stable_in_a_tenant_and_another_in_the_next() {
    let house = House::with_users(EXEAT, 50, 7);
    let first = rows(&house.export("first.ndjson", &["--transform", "pseudonymize"]));
    house.ok(&[
        "users", "generate", "--tenant", "other", "--count", "50", "--seed", "7",
    ]);
    let path = house.path("other.ndjson").to_string_lossy().into_owned();
    house.ok(&[
        "export",
        "--tenant",
        "other",
        "--transform",
        "pseudonymize",
        "-o",
        &path,
    ]);
    let other = rows(&house.path("other.ndjson"));
    for (here, there) in first.iter().zip(&other) {
        assert_eq!(here["user_id"], there["user_id"]);
        assert_ne!(here["email"], there["email"]);
    }
    let distinct: BTreeSet<&str> = first.iter().filter_map(|row| row["email"].as_str()).collect();
    assert_eq!(distinct.len(), 50);
}

#[test]
fn auth0_files_are_json_arrays_under_500_kb_of_keys_that_auth0_takes() {
    let house = House::with_users(EXEAT, 3_000, 7);
    let folder = house.export("auth0", &["--adapter", "auth0"]);
    let taken = [
        "email",
        "email_verified",
        "user_id",
        "username",
        "given_name",
        "family_name",
        "name",
        "nickname",
        "picture",
        "blocked",
        "app_metadata",
        "user_metadata",
    ];
    let (mut files, mut users) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("manifest.json") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() < 500_000, "{}", path.display());
        let array: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&bytes).unwrap();
        for user in &array {
            let unknown: Vec<&String> = user.keys().filter(|key| !taken.contains(&key.as_str())).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
            assert!(user["email"].as_str().unwrap().contains('@'));
        }
        files += 1;
        users += array.len();
    }
    assert!(files > 2);
    let deleted = exeat_directory::generate::users(3_000, 7)
        .filter(|user| user.state.name() == "deleted")
        .count();
    assert_eq!(users + deleted, 3_000);
}

#[test]
fn compressed_exports_hold_what_the_plain_one_holds() {
    let house = House::with_users(EXEAT, 2_000, 1);
    let plain = std::fs::read(house.export("users.csv", &[])).unwrap();
    let gzip = std::fs::read(house.export("users.csv.gz", &[])).unwrap();
    let zstd = std::fs::read(house.export("other-name", &["--format", "csv", "--compress", "zstd"])).unwrap();
    let mut unzipped = Vec::new();
    flate2::read::GzDecoder::new(gzip.as_slice())
        .read_to_end(&mut unzipped)
        .unwrap();
    assert!(unzipped == plain);
    assert!(zstd::decode_all(zstd.as_slice()).unwrap() == plain);
}

/// Whether a user meets a filter.
type Meets = Box<dyn Fn(&exeat_directory::UserRecord) -> bool>;

#[test]
fn filters_let_through_exactly_who_meets_them() {
    let house = House::with_users(EXEAT, 2_000, 5);
    let people: Vec<_> = exeat_directory::generate::users(2_000, 5).collect();
    let after = exeat_directory::parse_instant("2023-06-01").unwrap();
    let cases: [(&[&str], Meets); 5] = [
        (&["state=active"], Box::new(|user| user.state.name() == "active")),
        (
            &["state=invited,suspended"],
            Box::new(|user| ["invited", "suspended"].contains(&user.state.name())),
        ),
        (
            &["created_after=2023-06-01", "email_verified=true"],
            Box::new(move |user| user.created_at >= after && user.email_verified),
        ),
        (
            &["group=Legal"],
            Box::new(|user| user.groups.as_ref().unwrap().iter().any(|group| group == "Legal")),
        ),
        (
            &["q=SINGH"],
            Box::new(|user| user.email.as_ref().unwrap().contains("singh")),
        ),
    ];
    for (index, (conditions, meets)) in cases.iter().enumerate() {
        let args: Vec<&str> = conditions
            .iter()
            .flat_map(|condition| ["--filter", condition])
            .collect();
        let exported = rows(&house.export(&format!("{index}.ndjson"), &args));
        let ids: Vec<&str> = exported
            .iter()
            .filter_map(|row| row["user_id"].as_str())
            .collect();
        let wanted: Vec<&str> = people
            .iter()
            .filter(|user| meets(user))
            .map(|user| user.user_id.as_str())
            .collect();
        assert!(!wanted.is_empty());
        assert_eq!(ids, wanted, "{conditions:?}");
    }
}

#[test]
fn a_wrong_request_is_refused_with_a_sentence_and_nothing_is_written() {
    let house = House::with_users(EXEAT, 10, 1);
    let config = house.write(
        "config.json",
        r#"{"columns": [{"from": "user_id"}, {"from": "shoe_size"}]}"#,
    );
    let never = house.write(
        "never.json",
        r#"{"columns": [{"from": "email", "as": "password"}]}"#,
    );
    let not_json = house.write("not.json", "{");
    let cases: [(&[&str], &str); 15] = [
        (
            &["--fields", "emial"],
            "there is no field \"emial\"; did you mean \"email\"? (at /fields/0)",
        ),
        (
            &["--fields", "user_id,password_hash"],
            "\"password_hash\" is never exported: a password hash",
        ),
        (&["--fields", "phone_number"], "ask for phone_last_four"),
        (
            &["--filter", "state=alive"],
            "a state is invited, active, suspended or deleted",
        ),
        (
            &["--filter", "created_after=soon"],
            "--filter created_after=soon\n                         ^",
        ),
        (
            &["--filter", "totp_secret=x"],
            "never exported, so nobody may filter by it",
        ),
        (&["--transform", "shout"], "there is no plugin \"shout\""),
        (&["--transform", "auth0"], "auth0 0.1.0 is an adapter"),
        (
            &["--transform", "field-map"],
            "missing field `columns` (at /transforms/0/config)",
        ),
        (
            &["--transform", "field-map", "--config", &config],
            "(at /transforms/0/config/columns/1/from)",
        ),
        (
            &["--transform", "field-map", "--config", &not_json],
            "not.json is not JSON",
        ),
        (
            &["--transform", "field-map", "--config", &never],
            "the output names \"password\", which is never exported",
        ),
        (&["--config", &config], "--config stands after"),
        (
            &["--adapter", "auth0", "--format", "csv"],
            "an adapter has a format of its own",
        ),
        (
            &["--format", "ndjson", "--csv-formulas", "off"],
            "only CSV has cells",
        ),
    ];
    for (args, message) in cases {
        let output = house.path("out.x").to_string_lossy().into_owned();
        let ran = house.run(&[&["export", "--tenant", "acme", "-o", &output], args].concat());
        assert_eq!(ran.code, Some(1), "{args:?}");
        assert!(ran.stderr.contains(message), "{args:?}: {}", ran.stderr);
        assert!(!house.path("out.x").exists(), "{args:?}");
    }
    let refused = house.audit();
    let refused: Vec<&Value> = refused
        .iter()
        .filter(|record| record["action"] == "user.bulk_export_refused")
        .collect();
    let never = refused
        .iter()
        .filter(|record| record["detail"]["code"] == "never-exported");
    assert_eq!(never.count(), 4, "two fields, a filter and a column");
    let unknown = house.run(&["export", "--tenant", "nobody", "-o", "x.csv"]);
    assert!(unknown.stderr.contains("there is no tenant \"nobody\"") && unknown.stderr.contains("hint:"));
}

#[test]
fn a_completed_export_is_audited_with_its_digests() {
    let house = House::with_users(EXEAT, 100, 1);
    let file = house.export(
        "active users.ndjson",
        &["--filter", "state=active", "--transform", "pseudonymize"],
    );
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(format!("{}.manifest.json", file.display())).unwrap()).unwrap();
    let records = house.audit();
    let exports: Vec<&Value> = records
        .iter()
        .filter(|record| record["action"] == "user.bulk_export")
        .collect();
    assert_eq!(exports.len(), 1);
    let record = exports[0];
    assert_eq!(record["actor"], "command:tester");
    assert_eq!(record["job_id"], manifest["job_id"]);
    assert_eq!(record["detail"]["filter"]["state"], "active");
    assert_eq!(record["detail"]["row_count"], rows(&file).len());
    assert_eq!(
        record["detail"]["files"]["active users.ndjson"],
        manifest["files"][0]["sha256"]
    );
    assert_eq!(
        record["detail"]["plugins"]["exeat/pseudonymize"],
        manifest["plugins"][0]["digest"]
    );
    let rows = &manifest["rows"];
    assert_eq!(rows["read"], rows["written"]);
}

#[test]
fn rows_that_an_adapter_rejects_fail_the_export_or_are_listed() {
    let house = House::new(EXEAT);
    let users = house.write(
        "users.ndjson",
        concat!(
            "{\"user_id\":\"usr_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"email\":\"anita@example.com\"}\n",
            "{\"user_id\":\"usr_01ARZ3NDEKTSV4RRFFQ69G5FAW\",\"name\":\"No Address\"}\n",
        ),
    );
    house.ok(&["users", "import", "--tenant", "acme", &users]);
    let output = house.path("auth0").to_string_lossy().into_owned();
    let failed = house.run(&["export", "--tenant", "acme", "--adapter", "auth0", "-o", &output]);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed
            .stderr
            .contains("plugin auth0 0.1.0 failed in batch 0, row 1"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("--on-reject skip"), "{}", failed.stderr);
    assert!(!house.path("auth0").exists());
    let folder = house.export("auth0", &["--adapter", "auth0", "--on-reject", "skip"]);
    let rejects = rows(&folder.join("rejects.ndjson"));
    assert_eq!(rejects.len(), 1);
    assert_eq!(
        (&rejects[0]["row"], &rejects[0]["code"]),
        (&Value::from(1), &Value::from("missing"))
    );
}
