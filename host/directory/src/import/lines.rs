//! Records of a file, one after the other, each as the members of a JSON object.

use std::io::{self, BufRead, Read as _};

use serde_json::{Map, Value};

use super::{ImportError, ImportFormat, Refusal, user};

/// Longest line. What is longer is rejected and skipped.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A record, with the number of the line on which it begins.
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) members: Result<Map<String, Value>, Refusal>,
}

/// The records of a file.
pub(super) enum Lines {
    Ndjson(NdjsonLines),
    Csv(CsvLines),
}

impl Lines {
    pub(super) fn open(
        mut file: Box<dyn BufRead + Send>,
        format: Option<ImportFormat>,
    ) -> Result<Self, ImportError> {
        skip_byte_order_mark(&mut file)?;
        let first = file
            .fill_buf()?
            .iter()
            .copied()
            .find(|byte| !byte.is_ascii_whitespace());
        let told = if matches!(first, Some(b'{') | None) {
            ImportFormat::Ndjson
        } else {
            ImportFormat::Csv
        };
        Ok(match format.unwrap_or(told) {
            ImportFormat::Ndjson => Self::Ndjson(NdjsonLines {
                file,
                number: 0,
                buffer: Vec::new(),
            }),
            ImportFormat::Csv => Self::Csv(CsvLines::open(file)?),
        })
    }

    pub(super) fn next_line(&mut self) -> io::Result<Option<Line>> {
        match self {
            Self::Ndjson(lines) => lines.next_line(),
            Self::Csv(lines) => lines.next_line(),
        }
    }
}

fn skip_byte_order_mark(file: &mut Box<dyn BufRead + Send>) -> io::Result<()> {
    if file.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        file.consume(3);
    }
    Ok(())
}

pub(super) struct NdjsonLines {
    file: Box<dyn BufRead + Send>,
    number: u64,
    buffer: Vec<u8>,
}

impl NdjsonLines {
    fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.buffer.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let read = (&mut self.file).take(limit).read_until(b'\n', &mut self.buffer)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let whole = self.buffer.ends_with(b"\n") || self.buffer.len() <= MAX_LINE_BYTES;
            if !whole {
                self.file.skip_until(b'\n')?;
                let refusal = Refusal::line(format!("the line is longer than {MAX_LINE_BYTES} bytes"));
                return Ok(Some(Line {
                    number: self.number,
                    members: Err(refusal),
                }));
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let members = serde_json::from_slice(&self.buffer).map_err(|error| {
                Refusal::line(format!("this is not a JSON object (column {})", error.column()))
            });
            return Ok(Some(Line {
                number: self.number,
                members,
            }));
        }
    }
}

pub(super) struct CsvLines {
    reader: csv::Reader<Box<dyn BufRead + Send>>,
    /// For each column the name of the member that it becomes.
    titles: Vec<String>,
}

impl CsvLines {
    fn open(file: Box<dyn BufRead + Send>) -> Result<Self, ImportError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
        let header = reader.headers().map_err(io::Error::from)?;
        let titles: Vec<String> = header.iter().map(str::trim).map(str::to_owned).collect();
        if let Some(unknown) = titles.iter().find(|title| !user::is_member(title)) {
            return Err(ImportError::UnknownColumn(unknown.clone()));
        }
        if !titles.iter().any(|title| title == "user_id") {
            return Err(ImportError::NoUserId);
        }
        Ok(Self { reader, titles })
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut record = csv::StringRecord::new();
        let number = self.reader.position().line();
        match self.reader.read_record(&mut record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) if error.is_io_error() => return Err(error.into()),
            Err(_) => {
                let members = Err(Refusal::line("this is not UTF-8"));
                return Ok(Some(Line { number, members }));
            }
        }
        let number = record.position().map_or(number, csv::Position::line);
        Ok(Some(Line {
            number,
            members: self.members(&record),
        }))
    }

    fn members(&self, record: &csv::StringRecord) -> Result<Map<String, Value>, Refusal> {
        if record.len() != self.titles.len() {
            let reason = format!(
                "the line has {} cells, the header {}",
                record.len(),
                self.titles.len()
            );
            return Err(Refusal::line(reason));
        }
        let id = self.titles.iter().position(|title| title == "user_id");
        // None of our ids begins so, and all that Auth0 exports do.
        let from_auth0 = id
            .and_then(|id| record.get(id))
            .is_some_and(|id| id.starts_with('\''));
        let mut members = Map::new();
        for (title, cell) in self.titles.iter().zip(record.iter()) {
            if let Some(value) = user::from_cell(title, cell, from_auth0)? {
                user::insert_at(&mut members, title, value);
            }
        }
        Ok(members)
    }
}
