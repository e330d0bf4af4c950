//! A small HTTP server of a test's own: what it is sent, and what it answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// What somebody sent.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST /path`.
    pub target: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Received {
    /// The header of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }
}

/// A server on a port of its own, for as long as the test runs.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    received: Channel<Received>,
}

impl Receiver {
    /// Starts one that answers with a status and a body of JSON.
    ///
    /// # Panics
    /// There is no port.
    pub fn start(answer: impl FnMut(&Received) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, received) = channel();
        std::thread::spawn(move || serve(&listener, &sender, answer));
        Self { url, received }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next thing that it was sent.
    ///
    /// # Panics
    /// There is none.
    pub fn next(&self) -> Received {
        self.received
            .recv_timeout(PATIENCE)
            .expect("something that was sent")
    }

    /// Whether nothing comes for this long.
    pub fn is_quiet_for(&self, time: Duration) -> bool {
        self.received.recv_timeout(time).is_err()
    }
}

fn serve(
    listener: &TcpListener,
    sender: &Sender<Received>,
    mut answer: impl FnMut(&Received) -> (u16, String),
) {
    for connection in listener.incoming().flatten() {
        // A connection that says nothing is one that somebody opened in advance.
        let Some(received) = read(&connection) else {
            continue;
        };
        let (status, body) = answer(&received);
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        // Who hangs up does not want the answer.
        let _ = (&connection).write_all((head + &body).as_bytes());
        if sender.send(received).is_err() {
            return;
        }
    }
}

fn read(connection: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (target, _) = line.trim().rsplit_once(' ')?;
    let target = target.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        target,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}
