//! Promises of `exeat users import`.

use std::io::Write as _;

use exeat_tests::House;
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

#[test]
fn what_was_exported_can_be_imported_and_exported_again_the_same() {
    let house = House::with_users(EXEAT, 1_000, 9);
    let fields = "user_id,email,name,given_name,family_name,state,email_verified,created_at,last_signed_in_at,groups,\
                  username,nickname,locale,updated_at,logins_count,connection,custom_attributes";
    for (name, extra) in [("users.ndjson", None), ("users.csv", Some("off"))] {
        let policy: Vec<&str> = extra
            .into_iter()
            .flat_map(|policy| ["--csv-formulas", policy])
            .collect();
        let first = house.export(name, &[&["--fields", fields], policy.as_slice()].concat());
        let copy = House::new(EXEAT);
        let imported = copy.ok(&["users", "import", "--tenant", "acme", &first.to_string_lossy()]);
        assert!(
            imported.stderr.contains("1,000 users imported"),
            "{}",
            imported.stderr
        );
        let again = copy.export(name, &[&["--fields", fields], policy.as_slice()].concat());
        assert!(
            std::fs::read(&first).unwrap() == std::fs::read(&again).unwrap(),
            "{name}"
        );
        copy.ok(&["users", "import", "--tenant", "acme", &first.to_string_lossy()]);
        let twice = copy.export(
            &format!("twice-{name}"),
            &[&["--fields", fields], policy.as_slice()].concat(),
        );
        assert!(
            std::fs::read(&again).unwrap() == std::fs::read(&twice).unwrap(),
            "{name}: a second import"
        );
    }
}

#[test]
fn a_malformed_line_is_reported_and_the_rest_imported() {
    let house = House::new(EXEAT);
    let id = |last: char| format!("usr_01ARZ3NDEKTSV4RRFFQ69G5FA{last}");
    let lines = [
        format!("{{\"user_id\":\"{}\",\"email\":\"a@example.com\"}}", id('0')),
        "{\"user_id\": not json".to_owned(),
        format!("{{\"user_id\":\"{}\",\"email_verified\":\"maybe\"}}", id('1')),
        String::new(),
        format!(
            "{{\"user_id\":\"{}\",\"password_hash\":\"$2b$10$secret\"}}",
            id('2')
        ),
        "x".repeat(2 << 20),
        format!(
            "{{\"user_id\":\"{}\",\"created_at\":\"2026-01-15T10:00:00Z\",\"state\":\"active\"}}",
            id('3')
        ),
    ];
    let file = house.write("users.ndjson", &lines.join("\n"));
    let ran = house.run(&["users", "import", "--tenant", "acme", &file]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("2 users imported into acme, 4 lines rejected"),
        "{}",
        ran.stderr
    );
    let report = std::fs::read_to_string(house.path("users.ndjson.rejects.ndjson")).unwrap();
    assert!(!report.contains("secret"));
    let report: Vec<Value> = report
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<(u64, Option<&str>)> = report
        .iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["field"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (2, None),
            (3, Some("email_verified")),
            (5, Some("password_hash")),
            (6, None)
        ]
    );
    assert_eq!(
        std::fs::read_to_string(house.export("out.ndjson", &[]))
            .unwrap()
            .lines()
            .count(),
        2
    );
}

#[test]
fn an_auth0_export_is_imported_from_gzip_and_csv() {
    let house = House::new(EXEAT);
    let user = r#"{"user_id":"auth0|5f7c","email":"anita@example.com","email_verified":true,"name":"Anita Singh",
        "created_at":"2026-01-15T10:00:00.000Z","last_login":"2026-05-17T08:00:00.000Z","logins_count":3,"blocked":false,
        "user_metadata":{"country":"DE"},"app_metadata":{"plan":"pro"},"multifactor":[],
        "identities":[{"connection":"db","provider":"auth0","user_id":"5f7c","isSocial":false}]}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(user.replace('\n', " ").as_bytes()).unwrap();
    std::fs::write(house.path("acme.json.gz"), gzip.finish().unwrap()).unwrap();
    house.ok(&["users", "import", "--tenant", "acme", "acme.json.gz"]);
    let csv = "user_id,email,name,user_metadata.country,last_login\r\n\
               \"'google-oauth2|117\",\"'bob@example.com\",\"'Bob, Jr.\",\"'FR\",2026-05-17T08:00:00.000Z\r\n";
    let csv = house.write("acme.csv", csv);
    house.ok(&["users", "import", "--tenant", "acme", &csv]);
    let fields = "user_id,email,name,last_signed_in_at,custom_attributes,identities,connection";
    let text = std::fs::read_to_string(house.export("out.ndjson", &["--fields", fields])).unwrap();
    let mut rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    rows.sort_by_key(|row| row["email"].to_string());
    assert_eq!(rows[0]["custom_attributes"]["country"], "DE");
    assert_eq!(rows[0]["identities"][0]["subject"], "5f7c");
    assert_eq!(rows[0]["connection"], "db");
    assert_eq!(rows[1]["name"], "Bob, Jr.");
    assert_eq!(rows[1]["custom_attributes"]["country"], "FR");
    assert_eq!(rows[1]["identities"][0]["provider"], "google-oauth2");
    assert_eq!(rows[1]["last_signed_in_at"], "2026-05-17T08:00:00Z");
}
