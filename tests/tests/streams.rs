//! Promises of streams: the form that the caller wants, an end that can be told from a cut, and a place
//! to go on from.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use exeat_tests::{House, Server};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");
const STREAM: &str = "/v1/users/stream";

fn token(house: &House) -> String {
    let created = house.ok(&["token", "create", "--tenant", "acme", "--name", "reader"]);
    created.stdout.trim().to_owned()
}

#[test]
fn the_caller_says_in_which_form_and_coding_users_come() {
    let house = House::with_users(EXEAT, 3_000, 7);
    let (token, server) = (token(&house), Server::start(&house));
    let plain = |accept: &str| {
        server.get_with(
            STREAM,
            &token,
            &[("Accept", accept), ("Accept-Encoding", "identity")],
        )
    };
    let ndjson = plain("*/*");
    assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(ndjson.text().lines().count(), 3_000);
    let csv = plain("text/csv");
    assert_eq!(
        csv.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    assert_eq!(
        csv::Reader::from_reader(csv.body.as_slice()).records().count(),
        3_000
    );
    let neither = plain("application/pdf");
    assert_eq!(
        (neither.status, &neither.json()["code"]),
        (406, &Value::from("not-acceptable"))
    );

    let coded = |coding: &str| {
        let answer = server.get_with(STREAM, &token, &[("Accept-Encoding", coding)]);
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert!(answer.header("vary").unwrap().contains("accept-encoding"));
        assert!(answer.body.len() < ndjson.body.len() / 2);
        answer.body
    };
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(coded("gzip").as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == ndjson.body);
    assert!(zstd::decode_all(coded("zstd").as_slice()).unwrap() == ndjson.body);

    // What is too long for a query goes into a body.
    let body = r#"{"format": "csv", "fields": ["user_id", "email"], "filter": "state eq \"active\""}"#;
    let posted = server.post(STREAM, &token, body);
    assert_eq!(posted.status, 200);
    let query = "filter=state=active&fields=user_id,email";
    let same = server.get_with(&format!("{STREAM}?{query}"), &token, &[("Accept", "text/csv")]);
    assert!(posted.body == same.body && !same.body.is_empty());
    let refused = server.post(STREAM, &token, r#"{"compression": "gzip"}"#);
    assert_eq!(
        (refused.status, &refused.json()["pointer"]),
        (422, &Value::from("/compression"))
    );
}

#[test]
fn a_stream_goes_on_after_the_last_user_that_came() {
    let house = House::with_users(EXEAT, 2_500, 7);
    let (token, server) = (token(&house), Server::start(&house));
    let stream = |query: &str| {
        server
            .get(&format!("{STREAM}?fields=user_id,email&{query}"), &token)
            .text()
    };
    let whole = stream("");
    let lines: Vec<&str> = whole.lines().collect();
    for taken in [1, 1_200, 2_499, 2_500] {
        let last: Value = serde_json::from_str(lines[taken - 1]).unwrap();
        let rest = stream(&format!("after={}", last["user_id"].as_str().unwrap()));
        assert!(rest.lines().eq(lines[taken..].iter().copied()), "after {taken}");
    }
    let refused = server.get(&format!("{STREAM}?after="), &token);
    assert_eq!(
        (refused.status, &refused.json()["pointer"]),
        (422, &Value::from("/after"))
    );
}

/// A connection on which a stream was asked for.
fn raw(server: &Server, token: &str, headers: &str) -> TcpStream {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {STREAM} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{headers}\r\n"
    );
    connection.write_all(request.as_bytes()).unwrap();
    connection
}

#[test]
fn trailers_say_that_a_stream_is_complete_and_how_many_rows_it_has() {
    let house = House::with_users(EXEAT, 700, 7);
    let (token, server) = (token(&house), Server::start(&house));
    let mut answer = String::new();
    raw(&server, &token, "TE: trailers\r\n")
        .read_to_string(&mut answer)
        .unwrap();
    assert!(
        answer.contains("trailer: exeat-complete, exeat-rows\r\n"),
        "{answer}"
    );
    let end = answer.split("\r\n0\r\n").nth(1).unwrap();
    assert_eq!(end, "exeat-complete: true\r\nexeat-rows: 700\r\n\r\n");
}

#[test]
fn a_reader_who_leaves_frees_the_stream_and_the_trail_says_how_far_it_got() {
    let house = House::with_users(EXEAT, 30_000, 7);
    let (token, server) = (token(&house), Server::start(&house));
    let mut connection = raw(&server, &token, "");
    let mut some = [0; 100_000];
    connection.read_exact(&mut some).unwrap();
    drop(connection);
    let begun = Instant::now();
    let ended = loop {
        let mut audit = house.audit();
        audit.retain(|record| record["action"] == "user.stream");
        if let Some(ended) = audit.pop() {
            break ended;
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "it is not noticed");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    assert_eq!(ended["detail"]["outcome"], "reader-gone");
    let rows = ended["detail"]["row_count"].as_u64().unwrap();
    assert!((100..30_000).contains(&rows), "{rows}");
}
