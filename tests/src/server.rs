//! A running server, and requests to it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::House;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a port of its own, killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
    agent: ureq::Agent,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// # Panics
    /// It does not.
    pub fn start(house: &House) -> Self {
        Self::start_with(house, &[])
    }

    /// Starts a server with more arguments, and waits until it listens.
    ///
    /// # Panics
    /// It does not.
    pub fn start_with(house: &House, args: &[&str]) -> Self {
        let mut command = house.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(args);
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("its standard error is ours"));
        let mut line = String::new();
        while !line.contains("listening on ") {
            line.clear();
            assert_ne!(
                lines.read_line(&mut line).expect("readable lines"),
                0,
                "the server ended"
            );
        }
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        // Its log must be read, or the server would wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        Self {
            child,
            url,
            agent: config.build().into(),
        }
    }

    /// Kills the server as `kill -9` does.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server ends");
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        crate::fleet::signal(self.child.id(), name);
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills the server while requests to it are under way; they get no answer.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill_now(&self) {
        let killed = std::process::Command::new("kill")
            .args(["-9", &self.child.id().to_string()])
            .status();
        assert!(
            killed.is_ok_and(|status| status.success()),
            "the server can be killed"
        );
    }

    /// `GET`, with a token unless it is empty.
    ///
    /// # Panics
    /// There is no answer.
    pub fn get(&self, path: &str, token: &str) -> Answer {
        self.get_with(path, token, &[])
    }

    /// `GET` with headers of one's own beside the token.
    ///
    /// # Panics
    /// There is no answer.
    pub fn get_with(&self, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call().expect("an answer"))
    }

    /// `HEAD`.
    ///
    /// # Panics
    /// There is no answer.
    pub fn head(&self, path: &str, token: &str) -> Answer {
        let request = self
            .agent
            .head(format!("{}{path}", self.url))
            .header("Authorization", format!("Bearer {token}"));
        answer(request.call().expect("an answer"))
    }

    /// `POST` of a JSON text.
    ///
    /// # Panics
    /// There is no answer.
    pub fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Content-Type", "application/json");
        answer(
            request
                .header("Authorization", format!("Bearer {token}"))
                .send(body)
                .expect("an answer"),
        )
    }

    /// `POST` of a JSON text with further headers.
    ///
    /// # Panics
    /// There is no answer.
    pub fn post_with(&self, path: &str, token: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body).expect("an answer"))
    }

    /// `POST` of bytes that are no JSON.
    ///
    /// # Panics
    /// There is no answer.
    pub fn post_bytes(&self, path: &str, token: &str, body: &[u8]) -> Answer {
        self.try_post_bytes(path, token, body).expect("an answer")
    }

    /// The same with a server that may be killed meanwhile.
    ///
    /// # Errors
    /// There is no answer.
    pub fn try_post_bytes(&self, path: &str, token: &str, body: &[u8]) -> Result<Answer, ureq::Error> {
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Content-Type", "application/wasm")
            .header("Authorization", format!("Bearer {token}"));
        Ok(answer(request.send(body)?))
    }

    /// `PUT` of a JSON text.
    ///
    /// # Panics
    /// There is no answer.
    pub fn put(&self, path: &str, token: &str, body: &str) -> Answer {
        let request = self
            .agent
            .put(format!("{}{path}", self.url))
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Bearer {token}"));
        answer(request.send(body).expect("an answer"))
    }

    /// `DELETE`.
    ///
    /// # Panics
    /// There is no answer.
    pub fn delete(&self, path: &str, token: &str) -> Answer {
        let request = self
            .agent
            .delete(format!("{}{path}", self.url))
            .header("Authorization", format!("Bearer {token}"));
        answer(request.call().expect("an answer"))
    }

    /// Any request, of whoever holds the token, or of nobody.
    ///
    /// # Panics
    /// There is no answer.
    pub fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let sent = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_owned()).expect("a request"))
            }
            None => self.agent.run(request.body(()).expect("a request")),
        };
        answer(sent.expect("an answer"))
    }

    /// Uploads a plugin and waits until its admission has ended; says the last answer.
    ///
    /// # Panics
    /// It never ends.
    pub fn upload(&self, token: &str, name: &str, version: &str, component: &[u8]) -> Answer {
        let begun = Instant::now();
        let path = format!("/v1/plugins?name={name}&version={version}");
        let mut answer = self.post_bytes(&path, token, component);
        while answer.status < 300 && answer.json()["state"] == "admitting" {
            assert!(begun.elapsed() < PATIENCE, "waited for the admission of {name}");
            std::thread::park_timeout(Duration::from_millis(50));
            answer = self.get(&format!("/v1/plugins/{name}/{version}"), token);
        }
        answer
    }

    /// Asks for an export; says its id.
    ///
    /// # Panics
    /// It is refused.
    pub fn create_export(&self, token: &str, body: &str) -> String {
        let created = self.post("/v1/exports", token, body);
        assert_eq!(created.status, 202, "{}", created.text());
        created.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until an export is in a state.
    ///
    /// # Panics
    /// It never is.
    pub fn wait_for(&self, token: &str, id: &str, state: &str) -> Value {
        let begun = Instant::now();
        loop {
            let export = self.get(&format!("/v1/exports/{id}"), token).json();
            if export["state"] == state {
                return export;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {state}: {export}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was killed already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let headers = parts.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    let headers = headers.collect();
    let mut bytes = Vec::new();
    body.into_reader().read_to_end(&mut bytes).expect("a whole body");
    Answer {
        status: parts.status.as_u16(),
        headers,
        body: bytes,
    }
}
