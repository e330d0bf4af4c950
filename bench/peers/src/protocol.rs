//! One process for many rounds, so that its caller can interleave the rounds of all contenders.

use std::fs;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::Setup;
use crate::digest::fnv1a;

/// A contender, set up.
pub(crate) trait Peer {
    /// Appends to `out`, which is empty, what becomes of `rows`: both are lines of JSON.
    fn transform(&mut self, rows: &str, out: &mut Vec<u8>) -> Result<()>;
}

/// The rows of the input, in memory.
pub(crate) struct Rows {
    text: String,
    /// Where each row ends, its line feed included.
    ends: Vec<usize>,
}

impl Rows {
    /// Reads all rows of a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::of(text))
    }

    pub(crate) fn of(text: String) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { text, ends }
    }

    fn first(&self, rows: usize) -> Result<&str> {
        ensure!(
            (1..=self.ends.len()).contains(&rows),
            "there are 1 to {} rows to ask for, not {rows}",
            self.ends.len()
        );
        Ok(&self.text[..self.ends[rows - 1]])
    }
}

#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    rows: usize,
    peers: Vec<&'a str>,
}

#[derive(Serialize)]
struct Done<'a> {
    peer: &'a str,
    rows: usize,
    rows_out: usize,
    ns: u128,
    digest: String,
}

#[derive(Serialize)]
struct Failed<'a> {
    peer: &'a str,
    error: String,
}

/// Announces the contenders, then answers one line `NAME ROWS` with one line of JSON until there are
/// no more.
pub(crate) fn serve(
    rows: &Rows,
    setups: &[Setup],
    asks: impl BufRead,
    mut answers: impl Write,
) -> Result<()> {
    let ready = Ready {
        ready: true,
        rows: rows.ends.len(),
        peers: setups.iter().map(|(name, _)| *name).collect(),
    };
    answer(&mut answers, &ready)?;

    let mut stage = Stage {
        rows,
        setups,
        peers: setups.iter().map(|_| None).collect(),
        // A pseudonym may be longer than its address, but not by as much as the row: it grows in no round.
        out: Vec::with_capacity(rows.text.len() * 2),
    };
    for ask in asks.lines() {
        let ask = ask.context("cannot read what is asked")?;
        let (name, count) = ask.split_once(' ').unwrap_or((&ask, ""));
        match stage.round(name, count) {
            Ok(done) => answer(&mut answers, &done)?,
            Err(error) => answer(
                &mut answers,
                &Failed {
                    peer: name,
                    error: format!("{error:#}"),
                },
            )?,
        }
    }
    Ok(())
}

/// What lasts from round to round.
struct Stage<'a> {
    rows: &'a Rows,
    setups: &'a [Setup],
    /// Beside each setup what it made, once it was asked for.
    peers: Vec<Option<Box<dyn Peer>>>,
    out: Vec<u8>,
}

impl Stage<'_> {
    fn round<'a>(&mut self, name: &'a str, count: &str) -> Result<Done<'a>> {
        let count = count
            .parse()
            .with_context(|| format!("\"{count}\" is no number of rows"))?;
        let rows = self.rows.first(count)?;
        let at = self
            .setups
            .iter()
            .position(|(known, _)| *known == name)
            .context("there is no such peer")?;
        let peer = match &mut self.peers[at] {
            Some(peer) => peer,
            none => none.insert(self.setups[at].1().context("cannot set it up")?),
        };
        self.out.clear();
        let took = timed(|| peer.transform(rows, &mut self.out))?;
        Ok(Done {
            peer: name,
            rows: count,
            rows_out: self.out.iter().filter(|byte| **byte == b'\n').count(),
            ns: took.as_nanos(),
            digest: format!("{:016x}", fnv1a(&self.out)),
        })
    }
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn answer(answers: &mut impl Write, line: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string(line).context("cannot write an answer as JSON")?;
    text.push('\n');
    answers
        .write_all(text.as_bytes())
        .and_then(|()| answers.flush())
        .context("cannot answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PEERS;

    const ROWS: &str = concat!(
        r#"{"user_id":"u1","email":"Ada@Example.org","email_verified":true,"username":"ada","#,
        r#""name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace","state":"active","#,
        r#""locale":"en","created_at":"2024-01-02T03:04:05Z","logins_count":3,"last_login_at":null}"#,
        "\n",
        r#"{"user_id":"u2","email":"eve@example.org","email_verified":false,"username":"eve","#,
        r#""name":null,"given_name":"Eve","family_name":"Moneypenny","state":"blocked","#,
        r#""locale":"en","created_at":"2024-01-02T03:04:05Z","logins_count":0,"last_login_at":null}"#,
        "\n",
    );

    fn written(name: &str) -> serde_json::Value {
        let (_, set_up) = PEERS.iter().find(|(known, _)| *known == name).unwrap();
        let mut out = Vec::new();
        set_up().unwrap().transform(ROWS, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    /// All but the pseudonym, where not every contender has the same hash, or any.
    fn without_email(mut row: serde_json::Value) -> serde_json::Value {
        row["email"].take();
        row
    }

    #[test]
    fn the_contenders_within_the_process_write_the_same_row() {
        let typed = written("serde-typed");
        assert_eq!(written("serde-value").to_string(), typed.to_string());
        let by_jaq = written("jaq");
        assert_eq!(by_jaq["email"], "p_@example.org");
        assert!(
            by_jaq
                .as_object()
                .unwrap()
                .keys()
                .eq(typed.as_object().unwrap().keys())
        );
        let by_vrl = written("vrl");
        let pseudonym = by_vrl["email"].as_str().unwrap();
        assert_eq!(pseudonym.len(), typed["email"].as_str().unwrap().len());
        assert!(pseudonym.starts_with("p_") && pseudonym.ends_with("@example.org"));
        for lesser in ["jaq", "vrl"] {
            assert_eq!(
                without_email(written(lesser)),
                without_email(typed.clone()),
                "{lesser}"
            );
        }
    }

    #[test]
    fn a_wrong_ask_is_answered_and_the_next_one_too() {
        let rows = Rows::of(ROWS.to_owned());
        let mut answers = Vec::new();
        let asks = "nobody 1\nserde-typed 3\nserde-typed\nserde-typed 2\n";
        serve(&rows, &PEERS, asks.as_bytes(), &mut answers).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let answers: Vec<&str> = answers.lines().collect();
        assert_eq!(answers.len(), 5, "{answers:?}");
        assert!(answers[0].starts_with(r#"{"ready":true,"rows":2,"#));
        assert!(answers[1].contains("there is no such peer"));
        assert!(answers[2].contains("there are 1 to 2 rows to ask for, not 3"));
        assert!(answers[3].contains("is no number of rows"));
        assert!(answers[4].contains(r#""rows_out":1"#));
    }
}
