//! Promises to tenants who upload plugins, and to those who share the server with them.

use std::time::{Duration, Instant};

use exeat_tests::{House, Server, hostile};
use serde_json::{Value, json};

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

/// Name and version of the guest that does what its configuration says.
const NAME: &str = "hostile";
const VERSION: &str = "0.1.0";

fn token(house: &House, tenant: &str, args: &[&str]) -> String {
    let created = house.ok(&[&["token", "create", "--tenant", tenant, "--name", "test"], args].concat());
    created.stdout.trim().to_owned()
}

/// A server with 200 users of `acme`, and a token that may do everything.
fn acme() -> (House, Server, String) {
    let house = House::with_users(EXEAT, 200, 7);
    let token = token(&house, "acme", &[]);
    let server = Server::start(&house);
    (house, server, token)
}

/// The same component with other bytes: with a custom section that nobody reads.
fn with_note(component: &[u8], note: &str) -> Vec<u8> {
    let mut noted = component.to_vec();
    let name = b"note";
    noted.push(0);
    noted.push(u8::try_from(1 + name.len() + note.len()).expect("a short note"));
    noted.push(name.len() as u8);
    noted.extend(name);
    noted.extend(note.as_bytes());
    noted
}

fn export_with(misdeed: &str) -> String {
    let transform = json!({"plugin": NAME, "config": {"misdeed": misdeed}});
    json!({"format": "ndjson", "fields": ["user_id", "name"], "transforms": [transform]}).to_string()
}

#[test]
fn an_uploaded_plugin_is_admitted_and_used_and_its_digest_is_pinned() {
    let (_house, server, token) = acme();
    let uploaded = server.upload(&token, NAME, VERSION, hostile::rust_guest());
    assert!(uploaded.status < 300, "{}", uploaded.text());
    let plugin = uploaded.json();
    assert_eq!(
        (&plugin["state"], &plugin["kind"]),
        (&json!("admitted"), &json!("transform"))
    );
    assert_eq!(plugin["reads"], json!(["name"]));

    let id = server.create_export(&token, &export_with("none"));
    let export = server.wait_for(&token, &id, "completed");
    assert_eq!(export["request"]["transforms"][0]["digest"], plugin["digest"]);
    assert_eq!(export["request"]["transforms"][0]["plugin"], "hostile@0.1.0");
    let manifest = server.get(&format!("/v1/exports/{id}/manifest"), &token).json();
    assert_eq!(manifest["plugins"][0]["digest"], plugin["digest"]);
    let metrics = server.get("/v1/plugins/hostile/0.1.0/metrics", &token).json();
    assert_eq!(
        (&metrics["batches"], &metrics["rows_in"]),
        (&json!(1), &json!(200))
    );
    assert!(
        metrics["guest_cpu_ns"].as_u64() > Some(0) && metrics["batch_p99_us"].as_f64() > Some(0.0),
        "{metrics}"
    );

    let pinned = json!({"transforms": [{"plugin": NAME, "digest": format!("sha256:{}", "0".repeat(64))}]});
    let refused = server.post("/v1/exports", &token, &pinned.to_string());
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (422, Some("unknown-plugin"))
    );
}

#[test]
fn a_version_never_changes_and_the_same_bytes_are_welcome_again() {
    let (_house, server, token) = acme();
    let first = server.upload(&token, NAME, VERSION, hostile::rust_guest()).json();
    let path = "/v1/plugins?name=hostile&version=0.1.0";
    let again = server.post_bytes(path, &token, hostile::rust_guest());
    assert_eq!((again.status, &again.json()["digest"]), (200, &first["digest"]));
    let other = server.post_bytes(path, &token, &with_note(hostile::rust_guest(), "other"));
    assert_eq!(
        (other.status, other.json()["code"].as_str()),
        (409, Some("version-exists"))
    );
}

#[test]
fn what_is_refused_is_refused_with_a_code_a_sentence_and_a_record() {
    let (house, server, token) = acme();
    let cases = [
        (
            "core_module",
            hostile::component_text("core_module"),
            "core-module",
        ),
        (
            "newer_version",
            hostile::component_text("newer_version"),
            "wrong-version",
        ),
        (
            "imports_sockets",
            hostile::wat_guest("imports_sockets"),
            "import-not-allowed",
        ),
        ("nothing", Vec::new(), "not-wasm"),
        (
            "spin_in_describe",
            hostile::wat_guest("spin_in_describe"),
            "describe-failed",
        ),
    ];
    for (case, component, reason) in cases {
        let answer = server.upload(&token, "stranger", VERSION, &component);
        let text = answer.text();
        let said = answer.json();
        // Refused at once, or by the admission that followed.
        let code = said["reason"]
            .as_str()
            .or_else(|| said["reason"]["code"].as_str());
        assert_eq!(code, Some(reason), "{case}: {text}");
    }
    let misnamed = server.upload(&token, "another-name", VERSION, hostile::rust_guest());
    assert!(misnamed.text().contains("name-mismatch"), "{}", misnamed.text());
    let shipped = server.upload(&token, "field-map", VERSION, hostile::rust_guest());
    assert_eq!(shipped.json()["code"], "reserved-name");
    let refusals = house
        .audit()
        .iter()
        .filter(|record| record["action"] == "plugin.refused")
        .count();
    assert_eq!(refusals, 6, "each refusal is recorded");
    let newer = server
        .upload(
            &token,
            "stranger",
            VERSION,
            &hostile::component_text("newer_version"),
        )
        .json();
    assert_eq!(newer["detail"], "built for exeat:plugin 0.4; this host runs 0.1");
}

#[test]
fn a_disabled_plugin_cannot_be_used_until_it_is_enabled_and_one_in_use_cannot_be_deleted() {
    let (_house, server, token) = acme();
    server.upload(&token, NAME, VERSION, hostile::rust_guest());
    let plugin = "/v1/plugins/hostile/0.1.0";
    assert_eq!(
        server.post(&format!("{plugin}/disable"), &token, "").json()["state"],
        "disabled"
    );
    let refused = server.post("/v1/exports", &token, &export_with("none"));
    assert_eq!(refused.json()["code"], "plugin-not-usable");
    assert_eq!(
        server.post(&format!("{plugin}/enable"), &token, "").json()["state"],
        "admitted"
    );

    server.put(
        "/v1/plugin-limits/hostile",
        &token,
        r#"{"call_deadline_ms": 3000, "traps_to_quarantine": 100}"#,
    );
    let id = server.create_export(&token, &export_with("spin_in_process"));
    server.wait_for(&token, &id, "running");
    let in_use = server.delete(plugin, &token);
    assert_eq!(
        (in_use.status, in_use.json()["code"].as_str()),
        (409, Some("plugin-in-use"))
    );
    server.wait_for(&token, &id, "failed");
    assert_eq!(server.delete(plugin, &token).status, 204);
    assert_eq!(server.get(plugin, &token).status, 404);
    assert_eq!(
        server.post("/v1/exports", &token, &export_with("none")).json()["code"],
        "unknown-plugin"
    );
}

#[test]
fn a_plugin_that_breaks_down_too_often_is_quarantined_until_its_owner_enables_it() {
    let (house, server, token) = acme();
    server.upload(&token, NAME, VERSION, hostile::rust_guest());
    for attempt in 1..=3 {
        let id = server.create_export(&token, &export_with("trap_in_process"));
        let failed = server.wait_for(&token, &id, "failed");
        assert_eq!(
            failed["error"]["code"], "plugin-failed",
            "attempt {attempt}: {failed}"
        );
        assert!(
            failed["error"]["detail"]
                .as_str()
                .unwrap()
                .contains("plugin hostile 0.1.0 failed in batch 0")
        );
    }
    let refused = server.post("/v1/exports", &token, &export_with("none"));
    assert_eq!(refused.json()["code"], "plugin-not-usable");
    let plugin = server.get("/v1/plugins/hostile/0.1.0", &token).json();
    assert_eq!(
        (&plugin["state"], &plugin["reason"]["code"]),
        (&json!("quarantined"), &json!("trap"))
    );
    let actions: Vec<Value> = house
        .audit()
        .into_iter()
        .map(|record| record["action"].clone())
        .collect();
    assert!(actions.contains(&json!("plugin.quarantined")), "{actions:?}");
    let metrics = server.get("/v1/plugins/hostile/0.1.0/metrics", &token).json();
    assert_eq!(
        metrics["traps"]["trap"], 6,
        "each batch was tried once more: {metrics}"
    );

    server.post("/v1/plugins/hostile/0.1.0/enable", &token, "");
    let id = server.create_export(&token, &export_with("none"));
    server.wait_for(&token, &id, "completed");
}

#[test]
fn a_plugin_that_puts_out_a_credential_is_quarantined_at_once() {
    let (_house, server, token) = acme();
    server.upload(&token, NAME, VERSION, hostile::rust_guest());
    let id = server.create_export(&token, &export_with("credential_in_output"));
    server.wait_for(&token, &id, "failed");
    let plugin = server.get("/v1/plugins/hostile/0.1.0", &token).json();
    assert_eq!(
        (&plugin["state"], &plugin["reason"]["code"]),
        (&json!("quarantined"), &json!("guard"))
    );
}

#[test]
fn a_dry_run_shows_rows_rejects_and_figures_and_keeps_nothing() {
    let (house, server, token) = acme();
    server.upload(&token, NAME, VERSION, hostile::rust_guest());
    let before = house.files().len();
    let rows = json!([{"user_id": "usr_1", "name": "Anita"}, {"user_id": "usr_2", "name": null}]);
    let body = json!({"config": {"misdeed": "none"}, "rows": rows, "fuel": true});
    let ran = server.post("/v1/plugins/hostile/0.1.0/dry-run", &token, &body.to_string());
    assert_eq!(ran.status, 200, "{}", ran.text());
    let ran = ran.json();
    assert_eq!(ran["rows"][0]["user_id"], "usr_1");
    assert_eq!(ran["figures"]["rows_in"], 2);
    assert!(ran["figures"]["fuel_per_row"].as_f64() > Some(0.0), "{ran}");
    // Code that counts instructions is kept in the cache beside the other.
    assert!(house.files().len() <= before + 1);

    let never = json!({"rows": [{"user_id": "usr_1", "password_hash": "x"}]}).to_string();
    let refused = server.post("/v1/plugins/hostile/0.1.0/dry-run", &token, &never);
    assert_eq!(refused.json()["code"], "never-exported");
    let wrong = json!({"rows": [{"user_id": 7, "name": "Anita"}]}).to_string();
    let refused = server.post("/v1/plugins/hostile/0.1.0/dry-run", &token, &wrong);
    assert_eq!(
        refused.json()["detail"],
        "row 0: the field \"user_id\" is not a text"
    );
}

#[test]
fn what_a_plugin_logs_is_its_tenants_to_see_and_nobody_elses() {
    let (house, server, acme) = acme();
    house.ok(&["users", "generate", "--tenant", "other", "--count", "10"]);
    let other = token(&house, "other", &[]);
    server.upload(&acme, NAME, VERSION, hostile::rust_guest());
    let id = server.create_export(&acme, &export_with("log_control_characters"));
    server.wait_for(&acme, &id, "completed");
    let log = server.get("/v1/plugins/hostile/0.1.0/logs", &acme).json();
    let lines = log["lines"].as_array().unwrap();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line["export"] == id.as_str()),
        "{log}"
    );
    assert!(
        lines
            .iter()
            .all(|line| !line["text"].as_str().unwrap().contains(char::is_control))
    );
    for path in ["", "/logs", "/metrics"] {
        assert_eq!(
            server
                .get(&format!("/v1/plugins/hostile/0.1.0{path}"), &other)
                .status,
            404,
            "{path}"
        );
    }
    assert_eq!(
        server.post("/v1/exports", &other, &export_with("none")).json()["code"],
        "unknown-plugin"
    );
    let listed = server.get("/v1/plugins", &other).text();
    assert!(!listed.contains("hostile"), "{listed}");
}

#[test]
fn limits_are_a_tenants_to_set_up_to_the_operators_ceiling() {
    let house = House::with_users(EXEAT, 10, 7);
    house.write("data/plugin-ceiling.json", r#"{"memory_bytes": 100000000}"#);
    let token = token(&house, "acme", &[]);
    let server = Server::start(&house);
    let set = server.put("/v1/plugin-limits/*", &token, r#"{"call_deadline_ms": 2000}"#);
    assert_eq!(set.json()["call_deadline_ms"], 2_000);
    let above = server.put(
        "/v1/plugin-limits/hostile",
        &token,
        r#"{"memory_bytes": 100000001}"#,
    );
    assert_eq!(
        (above.status, above.json()["code"].as_str()),
        (422, Some("limit-above-ceiling"))
    );
    assert_eq!(above.json()["pointer"], "/memory_bytes");
    let one = server
        .put(
            "/v1/plugin-limits/hostile",
            &token,
            r#"{"memory_bytes": 33554432}"#,
        )
        .json();
    assert_eq!(
        (&one["memory_bytes"], &one["call_deadline_ms"]),
        (&json!(33_554_432), &json!(2_000))
    );
}

#[test]
fn plugins_need_scopes_of_their_own() {
    let (house, server, _) = acme();
    let reader = token(&house, "acme", &["--scope", "read:plugins"]);
    assert_eq!(server.get("/v1/plugins", &reader).status, 200);
    let path = "/v1/plugins?name=hostile&version=0.1.0";
    let refused = server.post_bytes(path, &reader, hostile::rust_guest());
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (403, Some("missing-scope"))
    );
}

#[test]
fn who_is_refused_reads_why_however_much_was_sent() {
    let (house, server, _) = acme();
    let reader = token(&house, "acme", &["--scope", "read:plugins"]);
    let path = "/v1/plugins?name=hostile&version=0.1.0";
    let long = vec![0; 8 << 20];
    for _ in 0..20 {
        assert_eq!(server.post_bytes(path, &reader, &long).status, 403);
    }
}

#[test]
fn an_admission_that_a_killed_server_left_behind_is_carried_out_by_the_next() {
    let (house, server, token) = acme();
    let component = with_note(hostile::rust_guest(), "killed");
    let path = "/v1/plugins?name=hostile&version=0.1.0";
    // The answer never comes: the server is killed as soon as the upload is registered.
    std::thread::scope(|scope| {
        scope.spawn(|| server.try_post_bytes(path, &token, &component).is_ok());
        let begun = Instant::now();
        while server.get("/v1/plugins/hostile/0.1.0", &token).status == 404 {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "the upload is registered"
            );
        }
        server.kill_now();
    });
    let server = Server::start(&house);
    let begun = Instant::now();
    loop {
        let plugin = server.get("/v1/plugins/hostile/0.1.0", &token).json();
        if plugin["state"] == "admitted" {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{plugin}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn two_hundred_uploads_at_once_leave_the_server_serving_others() {
    let (house, server, token) = acme();
    house.ok(&["users", "generate", "--tenant", "other", "--count", "500"]);
    let other = self::token(&house, "other", &[]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..200)
            .map(|index| {
                let (server, token) = (&server, &token);
                scope.spawn(move || {
                    let component = with_note(hostile::rust_guest(), &index.to_string());
                    let path = format!("/v1/plugins?name=hostile&version=0.1.{index}");
                    server.post_bytes(&path, token, &component).status
                })
            })
            .collect();
        let id = server.create_export(&other, r#"{"format": "csv"}"#);
        server.wait_for(&other, &id, "completed");
        uploads.into_iter().map(|upload| upload.join().unwrap()).collect()
    });
    // 422: the version that was claimed is not the component's own.
    let known = [201, 202, 422, 429];
    assert!(
        statuses.iter().all(|status| known.contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.iter().any(|status| *status != 429), "{statuses:?}");
    let id = server.create_export(&other, r#"{"format": "csv"}"#);
    server.wait_for(&other, &id, "completed");
}

#[test]
fn rejected_rows_are_skipped_up_to_a_maximum_and_listed_with_their_users() {
    let house = House::new(EXEAT);
    let users = house.write(
        "users.ndjson",
        "{\"user_id\": \"usr_01HZY0000000000000000000AB\", \"email\": \"a@example.com\"}\n\
         {\"user_id\": \"usr_01HZY0000000000000000000AC\", \"name\": \"Bob\"}\n",
    );
    house.ok(&["users", "import", "--tenant", "acme", &users]);
    let out = house.path("out").to_string_lossy().into_owned();
    let export = [
        "export",
        "--tenant",
        "acme",
        "--adapter",
        "auth0",
        "-o",
        &out,
        "--on-reject",
        "skip",
    ];
    house.ok(&export);
    let rejects = std::fs::read_to_string(house.path("out/rejects.ndjson")).unwrap();
    let reject: Value = serde_json::from_str(rejects.lines().next().unwrap()).unwrap();
    assert_eq!(reject["user_id"], "usr_01HZY0000000000000000000AC", "{reject}");
    assert_eq!(
        (&reject["field"], &reject["code"]),
        (&json!("email"), &json!("missing"))
    );
    let out = house.path("out2").to_string_lossy().into_owned();
    let few = house.run(&[
        "export",
        "--tenant",
        "acme",
        "--adapter",
        "auth0",
        "-o",
        &out,
        "--on-reject",
        "skip",
        "--max-rejects",
        "0",
    ]);
    assert_eq!(few.code, Some(1));
    assert!(few.stderr.contains("more than 0 rows"), "{}", few.stderr);
}
