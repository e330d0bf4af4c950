//! Users of a platform's own database, through its preset and the binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use exeat_test_servers::postgres::PostgresCluster;
use exeat_tests::{House, Server};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

/// Keycloak's tables by their published column names, users of two realms, and planted secrets.
const KEYCLOAK: &str = include_str!("../../host/directory/tests/users/presets/keycloak.sql");

/// A house whose users are those of a Keycloak database.
fn keycloak() -> House {
    let cluster = PostgresCluster::shared();
    let database = cluster.create_database();
    cluster.sql_in(&database, KEYCLOAK);
    let house = House::new(EXEAT).with_env(vec![
        ("EXEAT_SOURCE".to_owned(), "keycloak".to_owned()),
        ("EXEAT_SOURCE_URL".to_owned(), database),
    ]);
    house.ok(&["tenant", "create", "acme"]);
    house.ok(&["tenant", "create", "globex"]);
    house
}

fn export(house: &House, name: &str, args: &[&str]) -> String {
    let path = house.export(name, &[&["--format", "ndjson"], args].concat());
    std::fs::read_to_string(path).unwrap()
}

fn ids(ndjson: &str) -> Vec<String> {
    let users = ndjson
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    users
        .map(|user| user["user_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn keycloaks_users_are_exported_and_none_of_its_secrets() {
    let house = keycloak();
    let checked = house.ok(&["source", "check"]).stderr;
    assert!(checked.contains("keycloak fits its database"), "{checked}");
    let everyday = export(&house, "everyday.ndjson", &[]);
    assert_eq!(
        ids(&everyday),
        ["B-1", "a-3", "b-2"],
        "the realm's users, no service account"
    );
    let fields = "user_id,email,username,name,state,created_at,groups,mfa_factor_count,identities,custom_attributes,phone_last_four";
    let all = export(&house, "all.ndjson", &["--fields", fields]);
    let manifest = std::fs::read_to_string(house.path("all.ndjson.manifest.json")).unwrap();
    for text in [&everyday, &all, &manifest] {
        assert!(!text.contains("PLANTED") && !text.contains("23456789"), "{text}");
    }
    let globex = house.path("globex.ndjson").to_string_lossy().into_owned();
    house.ok(&["export", "-q", "--tenant", "globex", "-o", &globex]);
    assert_eq!(ids(&std::fs::read_to_string(globex).unwrap()), ["g-5"]);
    // A realm that there is not is no realm without users.
    house.ok(&["tenant", "create", "Acme_typo"]);
    let nobody = house.run(&["export", "-q", "--tenant", "Acme_typo", "-o", "nobody.ndjson"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("has no tenant"), "{}", nobody.stderr);
    // What Keycloak does not have is refused before anything runs.
    let refused = house.run(&[
        "export",
        "--tenant",
        "acme",
        "--fields",
        "user_id,last_ip",
        "-o",
        "x.csv",
    ]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("keycloak has no last_ip"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_server_exports_and_streams_a_platforms_users() {
    let house = keycloak();
    let token = house.ok(&["token", "create", "--tenant", "acme", "--name", "t"]);
    let token = token.stdout.trim().to_owned();
    let server = Server::start(&house);
    let body = r#"{"format": "csv", "filter": {"state": "active"}, "adapter": null}"#;
    let id = server.create_export(&token, body);
    let export = server.wait_for(&token, &id, "completed");
    assert_eq!(export["rows"]["written"], 2);
    let streamed = server.get("/v1/users/stream?filter=group=staff", &token);
    assert_eq!(ids(&streamed.text()), ["a-3", "b-2"]);
    let refused = server.post(
        "/v1/exports",
        &token,
        r#"{"filter": {"last_signed_in_after": "2025-01-01"}}"#,
    );
    assert_eq!(refused.status, 422, "{}", refused.text());
}

#[test]
fn a_definition_that_does_not_fit_its_database_is_refused_at_the_start() {
    let house = keycloak();
    let shown = house.ok(&["source", "show", "keycloak"]).stdout;
    let wrong = house.write("wrong.toml", &shown.replace("u.first_name", "u.forename"));
    let refused = house.run(&["source", "check", "--source", &wrong]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("forename"), "{}", refused.stderr);
    let never = house.write(
        "never.toml",
        &shown.replace(
            r#"given_name = { sql = "u.first_name" }"#,
            r#"given_name = { sql = "(SELECT min(c.secret_data) FROM credential c WHERE c.user_id = u.id)" }"#,
        ),
    );
    let refused = house.run(&["serve", "--listen", "127.0.0.1:0", "--source", &never]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("secret_data"), "{}", refused.stderr);
}
