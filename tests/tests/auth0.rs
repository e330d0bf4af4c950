//! Promises of the door that is like Auth0's.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::Read as _;
use std::time::{Duration, Instant};

use exeat_tests::{House, Server, secrets};
use serde_json::{Value, json};

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");
const CREATE: &str = "/api/v2/jobs/users-exports";

struct Stage {
    house: House,
    server: Server,
    token: String,
}

impl Stage {
    fn new(users: u64) -> Self {
        let house = House::with_users(EXEAT, users, 7);
        let token = [
            "token",
            "create",
            "--tenant",
            "acme",
            "--name",
            "auth0",
            "--scope",
            "read:users",
            "--scope",
            "export:sensitive",
        ];
        let token = house.ok(&token).stdout.trim().to_owned();
        let server = Server::start(&house);
        Self { house, server, token }
    }

    /// A finished job.
    fn export(&self, body: &Value) -> Value {
        let created = self.server.post(CREATE, &self.token, &body.to_string());
        assert_eq!(created.status, 200, "{}", created.text());
        let created = created.json();
        assert_eq!(
            (&created["status"], &created["type"]),
            (&json!("pending"), &json!("users_export"))
        );
        let begun = Instant::now();
        loop {
            let job = self.server.get(
                &format!("/api/v2/jobs/{}", created["id"].as_str().unwrap()),
                &self.token,
            );
            let job = job.json();
            for key in ["id", "created_at", "format", "limit", "fields"] {
                assert_eq!(job[key], created[key], "{key} stays");
            }
            match job["status"].as_str().unwrap() {
                "completed" => return job,
                "pending" | "processing" => assert_eq!(job["location"], Value::Null),
                other => panic!("{other}: {job}"),
            }
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// What lies behind a job's location, and what it is called.
    fn fetch(&self, job: &Value) -> (String, String) {
        let location = job["location"].as_str().unwrap();
        let path = location.strip_prefix(self.server.url()).unwrap();
        let file = self.server.get(path, "");
        assert_eq!(file.status, 200, "{}", file.text());
        assert_eq!(file.header("content-type"), Some("application/gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(file.body.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        (text, file.header("content-disposition").unwrap().to_owned())
    }

    fn refused(&self, body: &str) -> Value {
        let refused = self.server.post(CREATE, &self.token, body);
        assert_eq!(refused.status, 400, "{body}: {}", refused.text());
        let error = refused.json();
        assert_eq!(
            (&error["statusCode"], &error["error"]),
            (&json!(400), &json!("Bad Request"))
        );
        assert_eq!(error["errorCode"], "invalid_body");
        error
    }
}

#[test]
fn fields_have_the_names_and_the_order_that_were_asked_for() {
    let stage = Stage::new(1_000);
    let job = stage.export(&json!({
        "format": "csv",
        "fields": [
            {"name": "email", "export_as": "E-mail"},
            {"name": "user_id"},
            {"name": "user_metadata.department", "export_as": "dept"},
            {"name": "identities[0].connection", "export_as": "provider"},
            {"name": "blocked"},
            {"name": "last_password_reset"},
        ],
    }));
    assert_eq!(
        job["summary"],
        json!({"failed": 0, "updated": 0, "inserted": 0, "total": 1_000})
    );
    assert_eq!(job["percentage_done"], 100);
    let (text, called) = stage.fetch(&job);
    assert_eq!(called, "attachment; filename=\"acme.csv.gz\"");
    let mut lines = text.split("\r\n");
    let header = "\"E-mail\",\"user_id\",\"dept\",\"provider\",\"blocked\",\"last_password_reset\"";
    assert_eq!(lines.next(), Some(header));
    let row = lines.next().unwrap();
    assert!(
        row.starts_with("\"'") && row.contains(",\"'usr_"),
        "every text has its apostrophe: {row}"
    );
    let blocked = |word: &str| {
        text.split("\r\n")
            .filter(|row| row.contains(&format!(",{word},")))
            .count()
    };
    assert!(
        blocked("true") > 0 && blocked("true") + blocked("false") == 1_000,
        "{row}"
    );
    secrets(1_000, 7).assert_absent("the file", text.as_bytes());
}

#[test]
fn without_fields_there_are_some_and_a_limit_is_kept() {
    let stage = Stage::new(500);
    let (text, called) = stage.fetch(&stage.export(&json!({"format": "json", "limit": 5})));
    assert_eq!(called, "attachment; filename=\"acme.json.gz\"");
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 5);
    assert!(
        rows[0]["user_id"].is_string() && rows[0]["last_login"].is_string() | rows[0]["last_login"].is_null()
    );

    // In JSON, naming the root brings all that is in it.
    let fields = json!([{"name": "user_metadata", "export_as": "meta"}, {"name": "user_id"}]);
    let (text, _) = stage.fetch(&stage.export(&json!({"format": "json", "fields": fields})));
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<Value>(line).unwrap()["meta"].is_object())
    );
    assert_eq!(text.lines().count(), 500);
}

#[test]
fn what_cannot_be_is_refused_as_auth0_refuses() {
    let stage = Stage::new(10);
    let cases = [
        (r#"{"format": "xml"}"#, "format"),
        (r#"{"limit": 0}"#, "limit"),
        (r#"{"colour": "red"}"#, "colour"),
        (r#"{"connection_id": "con_0000000000000000"}"#, "connection_id"),
        (r#"{"fields": []}"#, "fields"),
        (r#"{"fields": [{"name": "shoe_size"}]}"#, "shoe_size"),
        (r#"{"fields": [{"name": "password_hash"}]}"#, "never exported"),
        (r#"{"fields": [{"name": "phone_number"}]}"#, "never exported"),
        (
            r#"{"format": "csv", "fields": [{"name": "app_metadata"}]}"#,
            "one by one",
        ),
        (
            r#"{"fields": [{"name": "email", "export_as": "password_hash"}]}"#,
            "password_hash",
        ),
        ("{", "EOF"),
    ];
    for (body, word) in cases {
        let message = stage.refused(body)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{body}: {message}");
    }
    let many: Vec<Value> = (0..31)
        .map(|n| json!({"name": "email", "export_as": format!("e{n}")}))
        .collect();
    stage.refused(&json!({"format": "csv", "fields": many}).to_string());

    let nobody = stage.server.post(CREATE, "exeat_no", "{}");
    assert_eq!(
        (nobody.status, &nobody.json()["errorCode"]),
        (401, &json!("invalid_token"))
    );
    let token = [
        "token",
        "create",
        "--tenant",
        "acme",
        "--name",
        "w",
        "--scope",
        "read:exports",
    ];
    let without = stage.house.ok(&token).stdout.trim().to_owned();
    let refused = stage.server.post(CREATE, &without, "{}");
    assert_eq!(
        (refused.status, &refused.json()["errorCode"]),
        (403, &json!("insufficient_scope"))
    );
    for id in ["job_0000000000000000", "exp_1", "x"] {
        let absent = stage.server.get(&format!("/api/v2/jobs/{id}"), &stage.token);
        assert_eq!(
            (absent.status, &absent.json()["errorCode"]),
            (404, &json!("inexistent_job"))
        );
    }
}

#[test]
fn a_job_has_no_errors_of_single_users_and_belongs_to_its_tenant() {
    let stage = Stage::new(10);
    let job = stage.export(&json!({"format": "csv"}));
    let id = job["id"].as_str().unwrap();
    let errors = stage
        .server
        .get(&format!("/api/v2/jobs/{id}/errors"), &stage.token);
    assert_eq!((errors.status, errors.body.len()), (204, 0));
    stage
        .house
        .ok(&["users", "generate", "--tenant", "globex", "--count", "1"]);
    let other = stage
        .house
        .ok(&["token", "create", "--tenant", "globex", "--name", "other"]);
    let foreign = stage
        .server
        .get(&format!("/api/v2/jobs/{id}"), other.stdout.trim());
    assert_eq!(foreign.status, 404);
}
