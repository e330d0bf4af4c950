//! Promises to those who want to hear of the end of exports.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::{Duration, Instant};

use data_encoding::BASE64;
use exeat_tests::{House, Received, Receiver, Server};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

fn acme() -> (House, Server, String) {
    let house = House::with_users(EXEAT, 50, 7);
    let token = house.ok(&["token", "create", "--tenant", "acme", "--name", "test"]);
    let server = Server::start_with(&house, &["--webhooks-anywhere"]);
    (house, server, token.stdout.trim().to_owned())
}

/// Whether one of the signatures is this secret's, after the Standard Webhooks specification.
fn is_signed(received: &Received, secret: &str) -> bool {
    let key = BASE64
        .decode(secret.strip_prefix("whsec_").unwrap().as_bytes())
        .unwrap();
    let mut mac = <Hmac<Sha256>>::new_from_slice(&key).unwrap();
    let [id, at] = ["webhook-id", "webhook-timestamp"].map(|name| received.header(name));
    mac.update(format!("{id}.{at}.{}", received.body).as_bytes());
    let wanted = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
    received
        .header("webhook-signature")
        .split(' ')
        .any(|signature| signature == wanted)
}

fn write(server: &Server, token: &str, url: &str) -> Value {
    let written = server.put("/v1/webhooks/ops", token, &json!({"url": url}).to_string());
    assert_eq!(written.status, 201, "{}", written.text());
    written.json()
}

#[test]
fn the_end_of_an_export_is_told_signed_and_logged() {
    let (_house, server, token) = acme();
    let receiver = Receiver::start(|_| (204, String::new()));
    let made = write(&server, &token, &format!("{}/hook", receiver.url()));
    let secret = made["secret"].as_str().unwrap();
    let shown = server.get("/v1/webhooks/ops", &token).json();
    assert!(shown.get("secret").is_none(), "a secret is shown once");

    let id = server.create_export(&token, r#"{"format": "csv"}"#);
    let told = receiver.next();
    assert_eq!(told.target, "POST /hook");
    let body: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["id"]),
        (&json!("export.completed"), &json!(id))
    );
    assert!(is_signed(&told, secret));
    assert!(!is_signed(&told, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));

    // For a while it is signed under the old secret, too.
    let rotated = server.post("/v1/webhooks/ops/secret", &token, "{}").json();
    let newer = rotated["secret"].as_str().unwrap();
    assert_ne!(newer, secret);
    server.create_export(&token, r#"{"format": "csv"}"#);
    let told = receiver.next();
    assert!(is_signed(&told, secret) && is_signed(&told, newer));

    let begun = Instant::now();
    loop {
        let log = server.get("/v1/webhooks/ops/deliveries", &token).json();
        let log = log["deliveries"].as_array().unwrap();
        assert_eq!(log.len(), 2);
        if log.iter().all(|delivery| delivery["state"] == "delivered") {
            assert_eq!(log[1]["export"], json!(id));
            assert_eq!(log[1]["last_status"], 204);
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{log:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn a_receiver_that_fails_is_told_again_with_the_same_id() {
    let (_house, server, token) = acme();
    let mut first = true;
    let receiver =
        Receiver::start(move |_| (if std::mem::take(&mut first) { 500 } else { 200 }, String::new()));
    write(&server, &token, receiver.url());
    server.create_export(&token, r#"{"format": "csv"}"#);
    let (failed, again) = (receiver.next(), receiver.next());
    assert_eq!(failed.header("webhook-id"), again.header("webhook-id"));
    assert_eq!(failed.body, again.body);
    let log = server.get("/v1/webhooks/ops/deliveries", &token).json();
    let delivery = &log["deliveries"][0];
    let path = format!(
        "/v1/webhooks/ops/deliveries/{}/redeliver",
        delivery["id"].as_str().unwrap()
    );
    assert!(
        receiver.is_quiet_for(Duration::from_millis(1_500)),
        "it was taken"
    );
    assert_eq!(server.post(&path, &token, "").status, 204);
    assert_eq!(receiver.next().header("webhook-id"), failed.header("webhook-id"));
}

#[test]
fn nothing_is_sent_inside_the_operators_network() {
    let house = House::with_users(EXEAT, 50, 7);
    let token = house.ok(&["token", "create", "--tenant", "acme", "--name", "test"]);
    let token = token.stdout.trim();
    let server = Server::start(&house);
    let receiver = Receiver::start(|_| (200, String::new()));
    for url in [
        receiver.url(),
        "https://127.0.0.1/",
        "https://169.254.169.254/",
        "https://[fd00::1]/",
    ] {
        let refused = server.put("/v1/webhooks/ops", token, &json!({"url": url}).to_string());
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (422, &json!("invalid-webhook-url"))
        );
    }
    // A name tells only when it is looked up.
    write(&server, token, "https://localhost:9/");
    server.create_export(token, r#"{"format": "csv"}"#);
    let begun = Instant::now();
    loop {
        let log = server.get("/v1/webhooks/ops/deliveries", token).json();
        let delivery = &log["deliveries"][0];
        if let Some(error) = delivery["last_error"].as_str() {
            assert!(error.contains("not public"), "{error}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{log}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
