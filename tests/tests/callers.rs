//! Promises to those who call the API again and again: keys of repeated requests, presets, dry runs,
//! lists, events, limits.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use exeat_tests::{Answer, House, Server};
use serde_json::{Value, json};

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

fn token(house: &House, args: &[&str]) -> String {
    let created = house.ok(&[&["token", "create", "--tenant", "acme", "--name", "test"], args].concat());
    created.stdout.trim().to_owned()
}

fn acme(users: u64) -> (House, Server, String) {
    let house = House::with_users(EXEAT, users, 7);
    let (token, server) = (token(&house, &[]), Server::start(&house));
    (house, server, token)
}

fn code(answer: &Answer) -> (u16, String) {
    (
        answer.status,
        answer.json()["code"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn a_request_that_is_repeated_under_its_key_makes_one_export() {
    let (_house, server, token) = acme(50);
    let create =
        |key: &str, body: &str| server.post_with("/v1/exports", &token, &[("Idempotency-Key", key)], body);
    let body = r#"{"format": "csv"}"#;
    let ids: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| create("k1", body).json()))
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().unwrap()["id"].clone())
            .collect()
    });
    assert!(ids.iter().all(|id| id.is_string() && id == &ids[0]), "{ids:?}");
    let again = create("k1", body);
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (202, Some("true"))
    );
    let refused = create("k1", r#"{"format": "ndjson"}"#);
    assert_eq!(code(&refused), (422, "idempotency-key-used".to_owned()));
    assert_ne!(create("k2", body).json()["id"], ids[0]);
    assert_eq!(create("", body).status, 400);
    let exports = server.get("/v1/exports", &token).json();
    assert_eq!(exports["exports"].as_array().unwrap().len(), 2);
}

#[test]
fn a_deleted_export_is_shown_to_nobody_and_its_trail_stays() {
    let (house, server, token) = acme(50);
    let id = server.create_export(&token, r#"{"format": "csv"}"#);
    server.wait_for(&token, &id, "completed");
    let path = format!("/v1/exports/{id}");
    server.put(&format!("{path}/hold"), &token, "");
    assert_eq!(code(&server.delete(&path, &token)), (409, "held".to_owned()));
    server.delete(&format!("{path}/hold"), &token);
    assert_eq!(server.delete(&path, &token).status, 204);
    for gone in [
        path.clone(),
        format!("{path}/manifest"),
        format!("{path}/files/users.csv"),
    ] {
        assert_eq!(server.get(&gone, &token).status, 404, "{gone}");
    }
    assert_eq!(server.delete(&path, &token).status, 404);
    assert_eq!(server.get("/v1/exports", &token).json()["exports"], json!([]));
    assert!(
        !house
            .files()
            .iter()
            .any(|file| file.to_string_lossy().contains(&id))
    );
    let trail = house.audit();
    let kept = trail.iter().filter(|record| record["job_id"] == json!(id));
    let kept: Vec<&str> = kept.map(|record| record["action"].as_str().unwrap()).collect();
    assert!(kept.contains(&"user.bulk_export") && kept.contains(&"user.bulk_export_record_deleted"));
}

#[test]
fn a_preset_is_a_request_that_is_made_again_with_changes() {
    let (_house, server, token) = acme(200);
    let preset = json!({"format": "csv", "fields": ["user_id", "state"], "filter": {"state": "active"}});
    let written = server.put("/v1/presets/active", &token, &preset.to_string());
    assert_eq!(written.status, 201, "{}", written.text());
    assert_eq!(
        server
            .put("/v1/presets/active", &token, &preset.to_string())
            .status,
        200
    );
    let made = server.post("/v1/presets/active/exports", &token, "{}");
    assert_eq!(made.status, 202, "{}", made.text());
    let changes = r#"{"format": "ndjson", "filter": null, "limit": 3}"#;
    let changed = server.post("/v1/presets/active/exports", &token, changes).json();
    let changed = server.wait_for(&token, changed["id"].as_str().unwrap(), "completed");
    assert_eq!(changed["rows"]["written"], 3);
    assert_eq!(changed["request"]["fields"], json!(["user_id", "state"]));
    let made = server.wait_for(&token, made.json()["id"].as_str().unwrap(), "completed");
    assert_eq!(made["files"][0]["name"], "users.csv");

    let wrong = server.put("/v1/presets/wrong", &token, r#"{"fields": ["password_hash"]}"#);
    assert_eq!(code(&wrong), (422, "never-exported".to_owned()));
    let wrong = server.post("/v1/presets/active/exports", &token, r#"{"colour": "red"}"#);
    assert_eq!(code(&wrong), (400, "invalid-json".to_owned()));
    assert_eq!(server.put("/v1/presets/a%2Fb", &token, "{}").status, 422);
    assert_eq!(server.delete("/v1/presets/active", &token).status, 204);
    assert_eq!(server.get("/v1/presets", &token).json()["presets"], json!([]));
}

#[test]
fn a_dry_run_is_the_export_of_a_few_users_and_makes_none() {
    let (house, server, token) = acme(2_000);
    let request = json!({
        "format": "csv", "filter": {"state": "active"},
        "transforms": [{"plugin": "exeat/pseudonymize", "config": {"fields": ["email"]}}],
    });
    let tried = server.post("/v1/exports/dry-run?rows=5", &token, &request.to_string());
    assert_eq!(tried.status, 200, "{}", tried.text());
    let tried = tried.json();
    assert_eq!(tried["rows"]["written"], 5);
    let sample = tried["files"][0]["text"].as_str().unwrap();
    let id = server.create_export(&token, &request.to_string());
    server.wait_for(&token, &id, "completed");
    let whole = server
        .get(&format!("/v1/exports/{id}/files/users.csv"), &token)
        .text();
    assert!(whole.starts_with(sample), "{sample}");

    let adapted = r#"{"adapter": {"plugin": "exeat/auth0"}, "on_reject": "skip"}"#;
    let adapted = server.post("/v1/exports/dry-run", &token, adapted).json();
    assert_eq!(adapted["files"][0]["name"], "users-0001.json");
    assert_eq!(adapted["rows"]["read"], 10);
    assert_eq!(
        server.get("/v1/exports", &token).json()["exports"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let audited = house
        .audit()
        .iter()
        .filter(|record| record["action"] == "user.preview")
        .count();
    assert_eq!(audited, 2);
}

#[test]
fn users_are_listed_and_counted_by_the_filters_of_exports() {
    let (_house, server, token) = acme(500);
    let filter = "filter=state=active&filter=email_verified=true";
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.get(
            &format!("/v1/users?{filter}&fields=email&limit=40{after}"),
            &token,
        );
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        listed.extend(page["users"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        after = format!("&after={cursor}");
    }
    let streamed = server
        .get(&format!("/v1/users/stream?{filter}&fields=email,user_id"), &token)
        .text();
    let streamed: Vec<Value> = streamed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed, streamed);
    let counted = server.get(&format!("/v1/users/count?{filter}"), &token).json();
    assert_eq!(counted["users"], listed.len());
    let body = r#"{"filter": {"state": "active", "email_verified": true}}"#;
    assert_eq!(server.post("/v1/users/count", &token, body).json(), counted);
    assert_eq!(server.get("/v1/users?limit=201", &token).status, 400);
    let refused = server.get("/v1/users?filter=phone_number%20pr", &token);
    assert_eq!(code(&refused), (422, "never-exported".to_owned()));
}

#[test]
fn sensitive_fields_need_a_scope_of_their_own_whatever_the_door() {
    let (house, server, all) = acme(50);
    let scopes = [
        "--scope",
        "read:users",
        "--scope",
        "create:exports",
        "--scope",
        "read:exports",
    ];
    let plain = token(&house, &scopes);
    let selected = r#"{"fields": ["user_id", "last_ip"]}"#;
    let asked = r#"{"filter": "last_ip sw \"10.\""}"#;
    let missing = (403, "missing-scope".to_owned());
    for path in [
        "/v1/exports",
        "/v1/exports/dry-run",
        "/v1/users/stream",
        "/v1/users/count",
    ] {
        for body in [selected, asked] {
            assert_eq!(code(&server.post(path, &plain, body)), missing, "{path} {body}");
            assert!(server.post(path, &all, body).status < 300, "{path} {body}");
        }
    }
    assert_eq!(code(&server.get("/v1/users?fields=last_ip", &plain)), missing);
    // A plugin gets no more than whoever asked may have.
    let adapted =
        r#"{"adapter": {"plugin": "exeat/auth0"}, "on_reject": "skip", "filter": {"state": "active"}}"#;
    let of = |token: &str| {
        let answer = server.post("/v1/exports/dry-run", token, adapted);
        answer.text()
    };
    assert!(of(&all).contains("user_metadata"));
    assert!(!of(&plain).contains("user_metadata"));

    let auth0 = |token: &str, body: &str| server.post("/api/v2/jobs/users-exports", token, body);
    let metadata = r#"{"format": "csv", "fields": [{"name": "user_metadata.x"}]}"#;
    let refused = auth0(&plain, metadata);
    assert_eq!(
        (refused.status, refused.json()["errorCode"].clone()),
        (403, json!("insufficient_scope"))
    );
    assert_eq!(auth0(&all, metadata).status, 200);
    assert_eq!(auth0(&plain, r#"{"format": "csv"}"#).status, 200);
}

/// Reads server-sent events until the server ends them.
fn events(server: &Server, token: &str, id: &str, last: Option<&str>) -> (u16, Vec<(String, String)>) {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let last = last
        .map(|last| format!("Last-Event-ID: {last}\r\n"))
        .unwrap_or_default();
    let request = format!(
        "GET /v1/exports/{id}/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{last}Connection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let (mut heard, mut name) = (Vec::new(), String::new());
    for line in lines {
        if let Some(event) = line.strip_prefix("event: ") {
            event.clone_into(&mut name);
        } else if let Some(id) = line.strip_prefix("id: ") {
            heard.push((name.clone(), id.to_owned()));
        }
    }
    (status, heard)
}

#[test]
fn an_exports_progress_is_pushed_to_its_end_and_resumed_where_it_broke_off() {
    let (house, server, token) = acme(60_000);
    let body = r#"{"format": "ndjson", "transforms": [{"plugin": "exeat/pseudonymize"}]}"#;
    let id = server.create_export(&token, body);
    let (status, heard) = events(&server, &token, &id, None);
    assert_eq!(status, 200);
    let (last, before) = heard.split_last().unwrap();
    assert_eq!(last.0, "completed");
    assert!(before.iter().all(|(name, _)| name == "progress"), "{heard:?}");
    // Who has the last event is told not to come back; who has an older one, hears the rest.
    assert_eq!(events(&server, &token, &id, Some(&last.1)), (204, Vec::new()));
    let (_, rest) = events(&server, &token, &id, Some("0.0.queued"));
    assert_eq!(rest, std::slice::from_ref(last));
    // One that ends without an export ends its events, too.
    let held_up = token_without_exports(&house);
    assert_eq!(events(&server, &held_up, &id, None).0, 403);
}

fn token_without_exports(house: &House) -> String {
    token(house, &["--scope", "read:users"])
}

#[test]
fn a_token_asks_no_more_often_than_it_may_and_others_are_not_held_up() {
    let house = House::with_users(EXEAT, 10, 7);
    let (eager, calm) = (token(&house, &[]), token(&house, &[]));
    let server = Server::start_with(&house, &["--rate-limit", "5"]);
    let answers: Vec<Answer> = (0..30).map(|_| server.get("/v1/fields", &eager)).collect();
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!((10..=20).contains(&refused.len()), "{}", refused.len());
    assert_eq!(code(refused[0]).1, "rate-limited");
    assert_eq!(refused[0].header("retry-after"), Some("1"));
    assert_eq!(server.get("/v1/fields", &calm).status, 200);
    std::thread::park_timeout(Duration::from_millis(1_100));
    assert_eq!(server.get("/v1/fields", &eager).status, 200);
}

#[test]
fn a_request_has_a_name_in_its_answer_and_in_its_problem() {
    let (_house, server, token) = acme(10);
    let named = server.get_with("/v1/exports/none", &token, &[("X-Request-Id", "mine-7")]);
    assert_eq!(named.header("x-request-id"), Some("mine-7"));
    assert_eq!(named.json()["request_id"], "mine-7");
    let ours = server.get("/v1/exports/none", &token);
    let id = ours.header("x-request-id").unwrap().to_owned();
    assert!(id.starts_with("req_"));
    assert_eq!(ours.json()["request_id"], json!(id));
    let hostile = server.get_with("/v1/fields", &token, &[("X-Request-Id", "a b{}\"")]);
    assert!(hostile.header("x-request-id").unwrap().starts_with("req_"));
}

#[test]
fn what_is_too_large_is_refused_by_its_status() {
    let (_house, server, token) = acme(10);
    let long = "x".repeat(80 << 10);
    let refused = server.get_with("/v1/fields", &token, &[("X-Long", &long)]);
    assert_eq!(refused.status, 431);
    let body = json!({"metadata": {"long": "x".repeat(2 << 20)}}).to_string();
    assert_eq!(
        code(&server.post("/v1/exports", &token, &body)),
        (413, "too-large".to_owned())
    );
    let unnamed = server.post_bytes("/v1/exports", &token, b"{}");
    assert_eq!(code(&unnamed), (415, "unsupported-media-type".to_owned()));
    let list = server.post("/v1/exports", &token, "[]");
    assert_eq!(
        code(&list),
        (400, "invalid-json".to_owned()),
        "a list is no object"
    );
}
