//! Promises of downloads: parts that make up the whole, and links that are good for what was signed.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use exeat_tests::{House, Server};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

struct Stage {
    house: House,
    server: Server,
    token: String,
    /// Path of the file.
    href: String,
    bytes: Vec<u8>,
    sha256: String,
}

impl Stage {
    fn new() -> Self {
        let house = House::with_users(EXEAT, 3_000, 7);
        let token = token(&house, &["--name", "owner"]);
        let server = Server::start(&house);
        let id = server.create_export(&token, r#"{"format": "csv"}"#);
        let export = server.wait_for(&token, &id, "completed");
        let file = &export["files"][0];
        let href = file["href"].as_str().unwrap().to_owned();
        let sha256 = file["sha256"].as_str().unwrap().to_owned();
        let bytes = server.get(&href, &token).body;
        Self {
            house,
            server,
            token,
            href,
            bytes,
            sha256,
        }
    }

    fn link(&self, token: &str, body: &str) -> String {
        let made = self.server.post(&format!("{}/links", self.href), token, body);
        assert_eq!(made.status, 201, "{}", made.text());
        let url = made.json()["url"].as_str().unwrap().to_owned();
        url.strip_prefix(self.server.url()).unwrap().to_owned()
    }

    fn refused(&self, path: &str, code: &str) {
        let answer = self.server.get(path, "");
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        assert_eq!(answer.json()["code"], code, "{path}");
        let last = &self.house.audit()[0];
        assert_eq!(last["action"], "user.bulk_export_download_refused");
        assert_eq!(last["detail"]["code"], code);
    }

    fn downloads(&self) -> Vec<Value> {
        let mut audit = self.house.audit();
        audit.retain(|record| record["action"] == "user.bulk_export_download");
        audit
    }
}

fn token(house: &House, args: &[&str]) -> String {
    let created = house.ok(&[&["token", "create", "--tenant", "acme"], args].concat());
    created.stdout.trim().to_owned()
}

#[test]
fn parts_make_up_the_whole_and_name_the_digest_of_the_whole() {
    let stage = Stage::new();
    let (server, token, href) = (&stage.server, &stage.token, &stage.href);
    let whole = server.get(href, token);
    let etag = whole.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", stage.sha256));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let digest = whole.header("repr-digest").unwrap().to_owned();
    assert!(
        digest.starts_with("sha-256=:") && digest.ends_with("=:"),
        "{digest}"
    );

    let total = stage.bytes.len();
    let mut joined = Vec::new();
    for (range, told) in [
        ("bytes=0-999".to_owned(), format!("bytes 0-999/{total}")),
        ("bytes=1000-1000".to_owned(), format!("bytes 1000-1000/{total}")),
        (
            "bytes=1001-".to_owned(),
            format!("bytes 1001-{}/{total}", total - 1),
        ),
    ] {
        let part = server.get_with(href, token, &[("Range", &range), ("If-Range", &etag)]);
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.header("content-range"), Some(told.as_str()));
        assert_eq!(part.header("repr-digest"), Some(digest.as_str()));
        joined.extend(part.body);
    }
    assert!(joined == stage.bytes);
    let last = server.get_with(href, token, &[("Range", "bytes=-10")]);
    assert_eq!(
        (last.status, last.body.as_slice()),
        (206, &stage.bytes[total - 10..])
    );

    // A part of another file is no part of this one; several parts are answered with the whole.
    for headers in [
        [("Range", "bytes=5-"), ("If-Range", "\"other\"")],
        [("Range", "bytes=0-1,5-6"), ("If-Range", &etag)],
    ] {
        let answer = server.get_with(href, token, &headers);
        assert_eq!((answer.status, answer.body.len()), (200, total));
    }
    let beyond = server.get_with(href, token, &[("Range", &format!("bytes={total}-"))]);
    assert_eq!(beyond.status, 416);
    assert_eq!(
        beyond.header("content-range"),
        Some(format!("bytes */{total}").as_str())
    );
    assert_eq!(beyond.json()["code"], "range-not-satisfiable");

    let taken = stage.downloads().len();
    assert_eq!(taken, 1 + 1 + 4 + 2, "every download is recorded, parts too");
    let head = server.head(href, token);
    assert_eq!(head.header("content-length"), Some(total.to_string().as_str()));
    assert!(head.body.is_empty());
    let known = server.get_with(href, token, &[("If-None-Match", &etag)]);
    assert_eq!((known.status, known.header("etag")), (304, Some(etag.as_str())));
    let other = server.get_with(href, token, &[("If-Match", "\"other\"")]);
    assert_eq!(other.status, 412);
    assert_eq!(stage.downloads().len(), taken, "nothing was taken by asking");
}

#[test]
fn a_link_is_good_for_one_file_for_a_time_and_speaks_for_its_token() {
    let stage = Stage::new();
    let link = stage.link(&stage.token, "{}");
    let by_link = stage.server.get(&link, "");
    assert_eq!(by_link.status, 200, "{}", by_link.text());
    assert!(by_link.body == stage.bytes);
    assert!(stage.downloads()[0]["detail"]["link"].is_string());
    // As often as one likes, and in parts.
    let part = stage.server.get_with(&link, "", &[("Range", "bytes=10-19")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &stage.bytes[10..20]));

    let (path, query) = link.split_once('?').unwrap();
    let folder = path.rsplit_once('/').unwrap().0;
    stage.refused(&format!("{folder}/manifest.json?{query}"), "link-invalid");
    stage.refused(
        &format!("{path}?{}", query.replace("once=false", "once=true")),
        "link-invalid",
    );
    let longer = query.replace("expires=", "expires=9");
    stage.refused(&format!("{path}?{longer}"), "link-invalid");
    for (without, status) in [(path.to_owned(), 403), (format!("{path}?token=x&token=y"), 403)] {
        assert_eq!(stage.server.get(&without, "").status, status);
    }

    let short = stage.link(&stage.token, r#"{"expires_in_seconds": 1}"#);
    std::thread::park_timeout(Duration::from_millis(1_100));
    stage.refused(&short, "link-expired");

    let once = stage.link(&stage.token, r#"{"single_use": true}"#);
    let asked = stage.server.head(&once, "");
    assert_eq!(asked.status, 200);
    assert_eq!(stage.server.get(&once, "").status, 200);
    stage.refused(&once, "link-used");

    // The file of another tenant is not there to be linked to, and what another tenant's token signed
    // is not good for this one's.
    stage
        .house
        .ok(&["users", "generate", "--tenant", "globex", "--count", "10"]);
    let stranger = stage
        .house
        .ok(&["token", "create", "--tenant", "globex", "--name", "stranger"]);
    let stranger = stranger.stdout.trim();
    let id = stage.server.create_export(stranger, r#"{"format": "csv"}"#);
    stage.server.wait_for(stranger, &id, "completed");
    let foreign = stage
        .server
        .post(&format!("{}/links", stage.href), stranger, "{}");
    assert_eq!(foreign.status, 404);
    let theirs = stage
        .server
        .post(&format!("/v1/exports/{id}/files/users.csv/links"), stranger, "{}");
    let theirs = theirs.json()["url"].as_str().unwrap().to_owned();
    let theirs = theirs.split_once('?').unwrap().1;
    let refused = stage.server.get(&format!("{path}?{theirs}"), "");
    assert_eq!(refused.json()["code"], "link-invalid");
    let trail = stage.house.audit_of("globex");
    assert_eq!(trail[0]["action"], "user.bulk_export_download_refused");
    assert_eq!(
        trail[0]["job_id"],
        Value::Null,
        "a trail names no other tenant's export"
    );

    // A new key leaves links alone; revoking does not.
    let kept = stage.link(&stage.token, "{}");
    stage.house.ok(&["link-key", "rotate"]);
    assert_eq!(stage.server.get(&kept, "").status, 200);
    stage.house.ok(&["link-key", "rotate", "--revoke"]);
    stage.refused(&kept, "link-invalid");

    let leaver = token(&stage.house, &["--name", "leaver", "--scope", "read:exports"]);
    let left = stage.link(&leaver, "{}");
    let tokens = stage.house.ok(&["token", "list", "--tenant", "acme"]).stdout;
    let listed: Vec<Value> = tokens
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let leaver = listed.iter().find(|token| token["name"] == "leaver").unwrap();
    let id = leaver["token_id"].as_str().unwrap();
    stage.house.ok(&["token", "revoke", "--tenant", "acme", id]);
    stage.refused(&left, "link-not-allowed");
}

#[test]
fn links_live_for_an_hour_at_most_and_begin_with_the_operators_address() {
    let stage = Stage::new();
    let links = format!("{}/links", stage.href);
    for body in [r#"{"expires_in_seconds": 0}"#, r#"{"expires_in_seconds": 3601}"#] {
        let refused = stage.server.post(&links, &stage.token, body);
        assert_eq!(refused.status, 422, "{body}");
        assert_eq!(refused.json()["pointer"], "/expires_in_seconds");
    }
    let other = Server::start_with(&stage.house, &["--public-url", "https://exports.example.com/"]);
    let made = other.post(&links, &stage.token, "{}").json();
    let url = made["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://exports.example.com/v1/downloads/exp_"),
        "{url}"
    );
    // Any server of the database takes it.
    let path = url.strip_prefix("https://exports.example.com").unwrap();
    assert_eq!(stage.server.get(path, "").status, 200);
}
