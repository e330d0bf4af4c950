//! Promises of the API's description: it is what is committed, and every operation that it names lets
//! in only those whom it says.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use exeat_tests::{House, Server, hostile};
use serde_json::{Value, json};

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

/// One operation of the description.
struct Operation {
    id: String,
    method: String,
    path: String,
    /// The scopes that it needs; nothing where it needs no token.
    scopes: Option<Vec<String>>,
    has_body: bool,
    statuses: BTreeSet<u16>,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scopes = operation.get("security").map(|security| {
                let scopes = security[0]["token"].as_array().unwrap().iter();
                scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect()
            });
            let statuses = operation["responses"].as_object().unwrap().keys();
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                scopes,
                has_body: operation.get("requestBody").is_some(),
                statuses: statuses.map(|status| status.parse().unwrap()).collect(),
            });
        }
    }
    operations
}

/// What stands for the variable parts of paths, and bodies that are sound: things of one tenant.
struct Things {
    paths: HashMap<&'static str, String>,
    bodies: HashMap<&'static str, Value>,
    /// What answers to others must not hold.
    marks: Vec<String>,
}

impl Things {
    fn of(server: &Server, token: &str) -> Self {
        let uploaded = server
            .upload(token, "hostile", "0.1.0", hostile::rust_guest())
            .json();
        assert_eq!(uploaded["state"], "admitted");
        let export = server.create_export(token, r#"{"format": "csv"}"#);
        server.wait_for(token, &export, "completed");
        let job = server
            .post("/api/v2/jobs/users-exports", token, r#"{"format": "csv"}"#)
            .json();
        let hook = json!({"url": "https://hooks.example.com/"});
        server.put("/v1/webhooks/ops", token, &hook.to_string());
        server.put("/v1/presets/monthly", token, r#"{"limit": 7}"#);
        // Whose end is told to the webhook.
        let told = server.create_export(token, r#"{"format": "csv"}"#);
        server.wait_for(token, &told, "completed");
        let deliveries = server.get("/v1/webhooks/ops/deliveries", token).json();
        let delivery = &deliveries["deliveries"][0]["id"];
        let users = server.get("/v1/users/stream?fields=user_id", token).text();
        let user: Value = serde_json::from_str(users.lines().next().unwrap()).unwrap();
        let marks = [
            &json!(export),
            &job["id"],
            &uploaded["digest"],
            &user["user_id"],
            delivery,
        ];
        Self {
            marks: marks.map(|mark| mark.as_str().unwrap().to_owned()).to_vec(),
            paths: HashMap::from([
                ("/v1/exports/{id}", export),
                ("/api/v2/jobs/{id}", job["id"].as_str().unwrap().to_owned()),
                ("/files/{name}", "users.csv".to_owned()),
                ("/v1/plugins/{name}", "hostile".to_owned()),
                ("/v1/plugin-limits/{name}", "hostile".to_owned()),
                ("/{version}", "0.1.0".to_owned()),
                ("/v1/presets/{name}", "monthly".to_owned()),
                ("/v1/webhooks/{name}", "ops".to_owned()),
                ("/{delivery}", delivery.as_str().unwrap().to_owned()),
            ]),
            bodies: HashMap::from([
                ("createUsersExport", json!({"format": "csv"})),
                ("dryRunPlugin", json!({"config": {"misdeed": "none"}, "rows": []})),
                ("writeWebhook", hook),
                ("setPluginLimits", json!({"memory_bytes": 33_554_432})),
            ]),
        }
    }

    fn path(&self, operation: &Operation) -> String {
        let mut path = operation.path.clone();
        for (pattern, value) in &self.paths {
            let (before, _) = pattern.split_once('{').unwrap();
            path = path.replace(pattern, &format!("{before}{value}"));
        }
        match operation.id.as_str() {
            "uploadPlugin" => path + "?name=other&version=0.1.0",
            _ => path,
        }
    }

    fn body(&self, operation: &Operation) -> Option<String> {
        let body = self.bodies.get(operation.id.as_str());
        operation
            .has_body
            .then(|| body.cloned().unwrap_or_else(|| json!({})).to_string())
    }
}

fn token(house: &House, tenant: &str, args: &[&str]) -> String {
    let created = house.ok(&[&["token", "create", "--tenant", tenant, "--name", "test"], args].concat());
    created.stdout.trim().to_owned()
}

fn document(house: &House) -> Value {
    serde_json::from_str(&house.ok(&["openapi"]).stdout).unwrap()
}

#[test]
fn the_description_is_the_one_that_is_committed() {
    let house = House::new(EXEAT);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi.json");
    let committed: Value = serde_json::from_slice(&std::fs::read(committed).unwrap()).unwrap();
    assert!(
        document(&house) == committed,
        "the API has changed: look at the difference that `exeat openapi > openapi.json` makes"
    );
}

#[test]
fn a_server_shows_its_description_to_programs_and_to_people() {
    let house = House::with_users(EXEAT, 10, 7);
    let server = Server::start(&house);
    let served = server.send("GET", "/openapi.json", None, None);
    assert_eq!(served.json(), document(&house));
    let page = server.send("GET", "/docs", None, None);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("openapi.json"));
}

#[test]
fn every_operation_has_a_name_a_summary_and_answers_that_exist() {
    let document = document(&House::new(EXEAT));
    let operations = operations(&document);
    let names: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    assert_eq!(names.len(), operations.len());
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            assert!(operation["summary"].as_str().unwrap().len() > 8, "{operation}");
        }
    }
}

#[test]
fn no_operation_lets_in_anybody_but_those_whom_it_says() {
    let house = House::with_users(EXEAT, 50, 7);
    house.ok(&[
        "users", "generate", "--tenant", "other", "--count", "50", "--seed", "8",
    ]);
    let server = Server::start(&house);
    let owner = token(&house, "acme", &[]);
    let things = Things::of(&server, &owner);
    let before = state(&server, &owner, &things);
    let stranger = token(&house, "other", &[]);
    let expired = token(&house, "acme", &["--expires-in-days", "0"]);
    let revoked = {
        let created = house.run(&["token", "create", "--tenant", "acme", "--name", "revoked"]);
        let id = created.stderr.split_whitespace().next().unwrap().to_owned();
        house.ok(&["token", "revoke", "--tenant", "acme", &id]);
        created.stdout.trim().to_owned()
    };
    let document = document(&house);
    let all_scopes = scopes(&document);
    let mut open = Vec::new();
    for operation in operations(&document) {
        let (path, body) = (things.path(&operation), things.body(&operation));
        let send = |token: Option<&str>| {
            let answer = server.send(&operation.method, &path, token, body.as_deref());
            let status = answer.status;
            assert!(operation.statuses.contains(&status), "{} {status}", operation.id);
            answer
        };
        let Some(needed) = &operation.scopes else {
            open.push(operation.id.clone());
            continue;
        };
        for nobody in [
            None,
            Some(""),
            Some("exeat_UNKNOWN"),
            Some(&*expired),
            Some(&*revoked),
        ] {
            assert_eq!(send(nobody).status, 401, "{}", operation.id);
        }
        if !needed.is_empty() {
            let others = all_scopes.iter().filter(|scope| !needed.contains(scope));
            let args: Vec<&str> = others.flat_map(|scope| ["--scope", scope.as_str()]).collect();
            assert_eq!(
                send(Some(&token(&house, "acme", &args))).status,
                403,
                "{}",
                operation.id
            );
        }
        let answer = send(Some(&stranger));
        // What belongs to a tenant is not there for others. What one names oneself, others may name so, too.
        match operation.id.as_str() {
            "getPluginLimits" | "setPluginLimits" => assert_eq!(answer.status, 200),
            "writePreset" | "writeWebhook" => {
                assert_eq!(answer.status, 201);
                assert_eq!(server.delete(&path, &stranger).status, 204);
            }
            id if operation.path.contains('{') => assert_eq!(answer.status, 404, "{id}"),
            _ => {}
        }
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        for mark in &things.marks {
            assert!(!shown.contains(mark), "{}: {shown}", operation.id);
        }
    }
    assert_eq!(open, ["downloadByLink", "explainProblem"]);
    assert_eq!(state(&server, &owner, &things), before, "nothing was changed");
}

/// What the owner sees of what strangers tried to change.
fn state(server: &Server, owner: &str, things: &Things) -> Vec<Value> {
    let export = format!("/v1/exports/{}", things.paths["/v1/exports/{id}"]);
    [
        export.as_str(),
        "/v1/plugins/hostile/0.1.0",
        "/v1/plugin-limits/hostile",
        "/v1/presets/monthly",
        "/v1/webhooks/ops",
    ]
    .into_iter()
    .map(|path| server.get(path, owner).json())
    .collect()
}

fn scopes(document: &Value) -> BTreeSet<String> {
    operations(document)
        .into_iter()
        .flat_map(|operation| operation.scopes.unwrap_or_default())
        .collect()
}
