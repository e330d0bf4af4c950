//! Promises of the HTTP door.

use exeat_tests::{House, Server, secrets};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

fn token(house: &House, args: &[&str]) -> String {
    let created = house.ok(&[&["token", "create", "--tenant", "acme", "--name", "test"], args].concat());
    created.stdout.trim().to_owned()
}

#[test]
fn an_export_is_requested_watched_and_downloaded() {
    let house = House::with_users(EXEAT, 2_000, 7);
    let token = token(&house, &[]);
    let server = Server::start(&house);
    assert_eq!(server.get("/healthz", "").status, 200);
    let created = server.post(
        "/v1/exports",
        &token,
        r#"{"format": "csv", "filter": {"state": "active"}}"#,
    );
    assert_eq!(created.status, 202, "{}", created.text());
    let location = created.header("location").unwrap().to_owned();
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/v1/exports/{id}"));
    let export = server.wait_for(&token, &id, "completed");
    assert_eq!(export["progress"]["percentage"], 100.0);
    let href = export["files"][0]["href"].as_str().unwrap();
    let file = server.get(href, &token);
    assert_eq!(file.status, 200);
    assert_eq!(
        file.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    let by_command = house.export("same.csv", &["--filter", "state=active"]);
    assert!(
        file.body == std::fs::read(by_command).unwrap(),
        "both doors give the same bytes"
    );
    let manifest = server.get(&format!("{location}/manifest"), &token).json();
    assert_eq!(manifest["rows"]["written"], export["rows"]["written"]);
    assert_eq!(
        server.get("/v1/exports", &token).json()["exports"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let actions: Vec<String> = house
        .audit()
        .iter()
        .map(|record| record["action"].as_str().unwrap().to_owned())
        .collect();
    assert!(actions.contains(&"user.bulk_export_download".to_owned()));
}

#[test]
fn lanes_share_the_work_and_keep_the_order() {
    let house = House::with_users(EXEAT, 20_000, 7);
    let token = token(&house, &[]);
    let request = r#"{"format": "csv", "transforms": [{"plugin": "pseudonymize"}]}"#;
    let (mut files, mut instances) = (Vec::new(), Vec::new());
    for threads in ["1", "3"] {
        let server = Server::start_with(&house, &["--transform-threads", threads]);
        let id = server.create_export(&token, request);
        let export = server.wait_for(&token, &id, "completed");
        files.push(
            server
                .get(export["files"][0]["href"].as_str().unwrap(), &token)
                .body,
        );
        let metrics = house.ok(&["plugin", "metrics", "--tenant", "acme", "pseudonymize@0.1.0"]);
        let metrics: Value = serde_json::from_str(&metrics.stdout).unwrap();
        instances.push(metrics["instantiations"].as_u64().unwrap());
    }
    assert_eq!(files[0].iter().filter(|byte| **byte == b'\n').count(), 20_001);
    assert!(files[0] == files[1], "the same bytes, in the same order");
    assert_eq!(instances, [1, 1 + 3], "a lane has an instance of its own");
}

#[test]
fn a_stream_has_every_row_and_no_secret_and_is_audited() {
    let (count, seed) = (3_000, 7);
    let house = House::with_users(EXEAT, count, seed);
    let token = token(&house, &[]);
    let server = Server::start(&house);
    let stream = server.get(
        "/v1/users/stream?fields=user_id,email,custom_attributes,app_metadata,identities",
        &token,
    );
    assert_eq!(stream.status, 200);
    assert_eq!(stream.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(stream.text().lines().count(), 3_000);
    secrets(count, seed).assert_absent("the stream", &stream.body);
    let record = &house.audit()[0];
    assert_eq!(record["action"], "user.stream");
    assert_eq!(
        (&record["detail"]["row_count"], &record["detail"]["outcome"]),
        (&Value::from(3_000), &Value::from("completed"))
    );
    let some = server.get(
        "/v1/users/stream?filter=state=active&filter=email_verified%3Dtrue&anonymize=true",
        &token,
    );
    let first: Value = serde_json::from_str(some.text().lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["state"], &first["email"]),
        (&Value::from("active"), &Value::from("[redacted]"))
    );
}

#[test]
fn every_refusal_is_a_problem_that_says_what_where_and_what_to_do() {
    let house = House::with_users(EXEAT, 10, 1);
    let token = token(&house, &[]);
    let server = Server::start(&house);
    let cases = [
        (
            r#"{"fields": ["user_id", "password_hash"]}"#,
            422,
            "never-exported",
            "/fields/1",
        ),
        (r#"{"fields": ["emial"]}"#, 422, "unknown-field", "/fields/0"),
        (
            r#"{"filter": {"created_after": "soon"}}"#,
            422,
            "invalid-filter",
            "/filter/created_after",
        ),
        (
            r#"{"filter": {"refresh_token": "x"}}"#,
            422,
            "never-exported",
            "/filter/refresh_token",
        ),
        (
            r#"{"transforms": [{"plugin": "shout"}]}"#,
            422,
            "unknown-plugin",
            "/transforms/0/plugin",
        ),
        (
            r#"{"transforms": [{"plugin": "field-map", "config": {"columns": [{"from": "user_id"}, {"form": "x"}]}}]}"#,
            422,
            "invalid-config",
            "/transforms/0/config/columns/1/form",
        ),
        (
            r#"{"adapter": {"plugin": "auth0", "config": {"keep": ["email"]}}}"#,
            422,
            "invalid-config",
            "/adapter/config/keep/0",
        ),
        (
            r#"{"fields": ["user_id"], "transforms": [{"plugin": "pseudonymize", "config": {"fields": ["email"]}}]}"#,
            422,
            "invalid-config",
            "/transforms/0/config/fields/0",
        ),
    ];
    for (body, status, code, pointer) in cases {
        let refused = server.post("/v1/exports", &token, body);
        assert_eq!(refused.status, status, "{body}: {}", refused.text());
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        let problem = refused.json();
        assert_eq!(
            (&problem["code"], &problem["pointer"]),
            (&Value::from(code), &Value::from(pointer)),
            "{body}"
        );
        let page = server.get(problem["type"].as_str().unwrap(), "");
        assert_eq!(page.status, 200, "the type leads to a page");
    }
    assert_eq!(
        server.post("/v1/exports", &token, "{").json()["code"],
        "invalid-json"
    );
    assert_eq!(
        server.post("/v1/exports", &token, r#"{"colour": 1}"#).json()["code"],
        "invalid-json"
    );
    let large = format!(r#"{{"fields": ["{}"]}}"#, "x".repeat(1 << 20));
    assert_eq!(
        server.post("/v1/exports", &token, &large).json()["code"],
        "too-large"
    );
    assert_eq!(
        server.get("/v1/users/stream?colour=red", &token).json()["code"],
        "invalid-query"
    );
    assert_eq!(server.get("/v1/nothing", &token).json()["code"], "not-found");
}

#[test]
fn nobody_gets_in_without_a_token_its_scope_and_its_tenant() {
    let house = House::with_users(EXEAT, 10, 1);
    let all = token(&house, &[]);
    let watcher = token(&house, &["--scope", "read:exports"]);
    house.ok(&["users", "generate", "--tenant", "other", "--count", "5"]);
    let other = house
        .ok(&["token", "create", "--tenant", "other", "--name", "o"])
        .stdout
        .trim()
        .to_owned();
    let revoked = token(&house, &[]);
    let listed = house.ok(&["token", "list", "--tenant", "acme"]).stdout;
    let last: Value = serde_json::from_str(listed.lines().last().unwrap()).unwrap();
    house.ok(&[
        "token",
        "revoke",
        "--tenant",
        "acme",
        last["token_id"].as_str().unwrap(),
    ]);
    let server = Server::start(&house);
    let id = server.create_export(&all, "{}");
    server.wait_for(&all, &id, "completed");
    let export = format!("/v1/exports/{id}");
    let file = format!("{export}/files/users.ndjson");
    let manifest = format!("{export}/manifest");
    let paths = [
        "/v1/exports",
        "/v1/users/stream",
        "/v1/fields",
        "/v1/plugins",
        &export,
        &file,
        &manifest,
    ];
    for path in paths {
        for nobody in ["", "exeat_NOT", &revoked] {
            let refused = server.get(path, nobody);
            assert_eq!(refused.status, 401, "{path}");
            assert!(refused.header("www-authenticate").is_some());
        }
        assert_eq!(server.get(path, &all).status, 200, "{path}");
    }
    assert_eq!(server.get("/v1/users/stream", &watcher).status, 403);
    assert_eq!(server.post("/v1/exports", &watcher, "{}").status, 403);
    for path in [&export, &file, &manifest] {
        assert_eq!(server.get(path, &other).status, 404, "{path}: another tenant's");
    }
    assert_eq!(
        server
            .get(&format!("{export}/files/..%2F..%2Fexeat.db"), &all)
            .status,
        404
    );
    assert!(!listed.contains(&all));
}

#[test]
fn fields_say_what_leaves_and_why_the_rest_does_not() {
    let house = House::with_users(EXEAT, 1, 1);
    let token = token(&house, &[]);
    let server = Server::start(&house);
    let fields = server.get("/v1/fields", &token).json();
    assert_eq!(fields["fields"][0]["name"], "user_id");
    let never = fields["never_exported"].as_array().unwrap();
    assert!(
        never
            .iter()
            .any(|field| field["name"] == "password_hash" && field["why"].as_str().unwrap().len() > 20)
    );
    let plugins = server.get("/v1/plugins", &token).json();
    let names: Vec<&str> = plugins["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["name"].as_str())
        .collect();
    assert_eq!(names, ["exeat/field-map", "exeat/pseudonymize", "exeat/auth0"]);
    assert_eq!(plugins["plugins"][0]["config_schema"]["type"], "object");
}

#[test]
fn a_filter_may_be_an_expression_and_its_errors_point_at_the_character() {
    let house = House::with_users(EXEAT, 500, 7);
    let token = token(&house, &[]);
    let server = Server::start(&house);
    let rows = |body: &str| {
        let id = server.create_export(&token, body);
        server.wait_for(&token, &id, "completed")["rows"]["written"]
            .as_u64()
            .unwrap()
    };
    let plain = rows(r#"{"filter": {"state": "active", "email_verified": true}}"#);
    assert!(plain > 0 && plain < 500);
    let expression = r#"{"filter": "state eq \"active\" and email_verified eq true"}"#;
    assert_eq!(rows(expression), plain);
    let both = r#"{"filter": {"state": "active", "filter": "email_verified eq true"}}"#;
    assert_eq!(rows(both), plain);
    let query = "filter=state%20eq%20%22active%22&filter=email_verified=true&fields=user_id";
    let streamed = server.get(&format!("/v1/users/stream?{query}"), &token);
    assert_eq!(streamed.text().lines().count() as u64, plain);

    let wrong = [
        (r#"state eq \"active\" and colour pr"#, "invalid-filter", 22),
        (r#"password_hash sw \"$2\""#, "never-exported", 0),
        (
            r#"state pr and custom_attributes.api_key pr"#,
            "never-exported",
            13,
        ),
    ];
    for (filter, code, offset) in wrong {
        let refused = server.post("/v1/exports", &token, &format!(r#"{{"filter": "{filter}"}}"#));
        assert_eq!(refused.status, 422, "{filter}");
        let problem = refused.json();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["pointer"], "/filter");
        assert_eq!(problem["offset"], offset, "{filter}");
    }
    let told = house.run(&[
        "export",
        "--tenant",
        "acme",
        "--filter",
        "state eq active",
        "-o",
        "no.csv",
    ]);
    assert!(
        told.stderr
            .contains("  --filter state eq active\n                    ^"),
        "{}",
        told.stderr
    );
}

#[test]
fn exports_and_the_audit_trail_come_in_pages_of_the_tenants_own() {
    let house = House::with_users(EXEAT, 20, 7);
    let token = token(&house, &[]);
    let server = Server::start(&house);
    let mut made: Vec<String> = (0..5).map(|_| server.create_export(&token, "{}")).collect();
    for id in &made {
        server.wait_for(&token, id, "completed");
    }
    made.reverse();
    let pages = |path: &str, list: &str, key: &str| {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server.get(&format!("{path}limit=2{cursor}"), &token);
            assert_eq!(page.status, 200, "{}", page.text());
            let page = page.json();
            let entries = page[list].as_array().unwrap();
            assert!(entries.len() <= 2);
            found.extend(
                entries
                    .iter()
                    .map(|entry| entry[key].to_string().replace('"', "")),
            );
            match &page["next_cursor"] {
                Value::Null => return found,
                next => cursor = format!("&cursor={}", next.to_string().replace('"', "")),
            }
        }
    };
    assert_eq!(pages("/v1/exports?", "exports", "id"), made);
    assert_eq!(pages("/v1/exports?state=completed&", "exports", "id"), made);
    assert!(pages("/v1/exports?state=failed&", "exports", "id").is_empty());
    assert_eq!(
        server.get("/v1/exports?state=lost", &token).json()["code"],
        "invalid-query"
    );
    let trail: Vec<String> = house
        .audit()
        .iter()
        .map(|record| record["audit_id"].to_string())
        .collect();
    assert_eq!(pages("/v1/audit?", "records", "audit_id"), trail);
    house.ok(&["users", "generate", "--tenant", "globex", "--count", "1"]);
    let other = house.ok(&["token", "create", "--tenant", "globex", "--name", "other"]);
    let nothing = server.get("/v1/audit", other.stdout.trim()).json();
    assert_eq!(nothing["records"], serde_json::json!([]));
}
