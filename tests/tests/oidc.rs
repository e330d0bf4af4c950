//! Promises to operators whose callers have an identity already.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use exeat_tests::{House, Receiver, Server};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

/// An issuer with keys that can be changed.
struct Issuer {
    endpoint: Receiver,
    keys: Arc<Mutex<Vec<(String, EncodingKey)>>>,
}

fn new_key() -> EncodingKey {
    let key = Ed25519KeyPair::generate().unwrap();
    EncodingKey::from_ed_der(key.to_pkcs8v1().unwrap().as_ref())
}

impl Issuer {
    fn start() -> Self {
        let keys = Arc::new(Mutex::new(vec![("first".to_owned(), new_key())]));
        let (known, address) = (Arc::clone(&keys), Arc::new(Mutex::new(String::new())));
        let mine = Arc::clone(&address);
        let endpoint = Receiver::start(move |asked| {
            let issuer = mine.lock().unwrap().clone();
            let answer = if asked.target.ends_with("/openid-configuration") {
                json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")})
            } else {
                let keys = known.lock().unwrap();
                let keys: Vec<Value> = keys
                    .iter()
                    .map(|(name, key)| {
                        let mut jwk = Jwk::from_encoding_key(key, Algorithm::EdDSA).unwrap();
                        jwk.common.key_id = Some(name.clone());
                        json!(jwk)
                    })
                    .collect();
                json!({ "keys": keys })
            };
            (200, answer.to_string())
        });
        *address.lock().unwrap() = endpoint.url().to_owned();
        Self { endpoint, keys }
    }

    /// A token of this key, with these claims in place of sound ones.
    fn token(&self, key: usize, claims: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut all = json!({
            "iss": self.endpoint.url(), "aud": "exeat", "sub": "client-7", "exp": now + 600, "iat": now,
            "tenant": "acme", "scope": "openid read:users read:exports",
        });
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        let keys = self.keys.lock().unwrap();
        let (name, key) = &keys[key];
        let header = Header {
            kid: Some(name.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, &all, key).unwrap()
    }
}

fn trusting(issuer: &Issuer) -> (House, Server) {
    let house = House::with_users(EXEAT, 20, 7);
    house.ok(&["users", "generate", "--tenant", "other", "--count", "5"]);
    let args = ["--oidc-issuer", issuer.endpoint.url(), "--oidc-audience", "exeat"];
    let server = Server::start_with(&house, &args);
    (house, server)
}

const USERS: &str = "/v1/users/count";

#[test]
fn a_token_of_the_issuer_lets_in_its_tenant_with_its_scopes() {
    let issuer = Issuer::start();
    let (house, server) = trusting(&issuer);
    let token = issuer.token(0, json!({}));
    assert_eq!(server.get(USERS, &token).json()["users"], 20);
    let theirs = issuer.token(0, json!({"tenant": "other", "scope": ["read:users"]}));
    assert_eq!(server.get(USERS, &theirs).json()["users"], 5);
    assert_eq!(server.get("/v1/audit", &token).status, 403);
    let actor = house.audit()[0]["actor"].clone();
    assert_eq!(actor, "oidc:client-7");
    // Our own tokens go on.
    let own = house.ok(&["token", "create", "--tenant", "acme", "--name", "own"]);
    assert_eq!(server.get(USERS, own.stdout.trim()).status, 200);
}

#[test]
fn a_token_that_is_not_the_issuers_for_us_and_now_lets_nobody_in() {
    let issuer = Issuer::start();
    let (_house, server) = trusting(&issuer);
    let sound = issuer.token(0, json!({}));
    assert_eq!(server.get(USERS, &sound).status, 200);
    let wrong = [
        json!({"aud": "another"}),
        json!({"iss": "https://id.example.com"}),
        json!({"exp": 1}),
        json!({"nbf": 4_000_000_000_u64}),
        json!({"tenant": "nobody"}),
        json!({"tenant": 7}),
        json!({"tenant": null}),
        json!({"sub": ""}),
        json!({"scope": null, "tenant": "other\u{0}"}),
    ];
    for claims in wrong {
        let refused = server.get(USERS, &issuer.token(0, claims.clone()));
        assert_eq!(refused.status, 401, "{claims}");
    }
    let no_scope = issuer.token(0, json!({"scope": null}));
    assert_eq!(server.get(USERS, &no_scope).status, 403);

    // Signed by somebody else in the issuer's key's name.
    issuer.keys.lock().unwrap()[0].1 = new_key();
    assert_eq!(server.get(USERS, &issuer.token(0, json!({}))).status, 401);
    // Signed with the public key as a shared secret, or not at all.
    let parts: Vec<&str> = sound.split('.').collect();
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256","kid":"first"}"#] {
        let header = data_encoding::BASE64URL_NOPAD.encode(header.as_bytes());
        for signature in ["", parts[2]] {
            let forged = format!("{header}.{}.{signature}", parts[1]);
            assert_eq!(server.get(USERS, &forged).status, 401);
        }
    }
    for nonsense in ["a.b.c", "...", "exeat_a.b.c"] {
        assert_eq!(server.get(USERS, nonsense).status, 401);
    }
}

#[test]
fn a_link_of_such_a_token_is_good_for_no_longer_than_it() {
    let issuer = Issuer::start();
    let (house, server) = trusting(&issuer);
    let own = house.ok(&["token", "create", "--tenant", "acme", "--name", "own"]);
    let id = server.create_export(own.stdout.trim(), r#"{"format": "csv"}"#);
    server.wait_for(own.stdout.trim(), &id, "completed");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // The leeway for clocks lets it in; a link is not for later than the token says.
    for (expires, status) in [(now + 600, 200), (now - 5, 403)] {
        let token = issuer.token(0, json!({ "exp": expires }));
        let path = format!("/v1/exports/{id}/files/users.csv/links");
        let link = server.post(&path, &token, "{}").json();
        let link = link["url"].as_str().unwrap();
        let path = link.strip_prefix(server.url()).unwrap();
        assert_eq!(server.send("GET", path, None, None).status, status);
        let changed = path.replace("acme", "other");
        assert_eq!(server.send("GET", &changed, None, None).status, 403);
    }
    // A name is anybody's to write: nothing is noted where a stranger says that it is somebody's.
    let noted = |record: &Value| record["action"] == "user.bulk_export_download_refused";
    assert!(!house.audit_of("other").iter().any(noted));
    assert!(house.audit().iter().any(noted), "one that was signed is noted");
}

#[test]
fn a_new_key_of_the_issuer_is_found() {
    let issuer = Issuer::start();
    let (_house, server) = trusting(&issuer);
    // The keys are looked for when the first token comes, and again 10 s later at the earliest.
    issuer
        .keys
        .lock()
        .unwrap()
        .insert(0, ("second".to_owned(), new_key()));
    assert_eq!(server.get(USERS, &issuer.token(0, json!({}))).status, 200);
    issuer.keys.lock().unwrap().push(("third".to_owned(), new_key()));
    let third = issuer.token(2, json!({}));
    assert_eq!(server.get(USERS, &third).status, 401, "not yet");
    std::thread::park_timeout(Duration::from_secs(11));
    assert_eq!(server.get(USERS, &third).status, 200);
}
