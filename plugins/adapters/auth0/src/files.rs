//! Files of JSON arrays, each below the limit.

use std::collections::HashSet;

use exeat_sdk::{Reject, Sink};

use crate::user::User;

const MEDIA_TYPE: &str = "application/json";
const FRAME_BYTES: usize = "[\n\n]\n".len();

/// The file at hand, and the count of those before.
#[derive(Debug)]
pub(crate) struct Files {
    max_bytes: usize,
    count: usize,
    /// Bytes of the users in the file at hand, separators included; nothing where none is open.
    open_bytes: Option<usize>,
    /// Auth0 refuses a file that holds an address twice.
    emails: HashSet<String>,
}

impl Files {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            count: 0,
            open_bytes: None,
            emails: HashSet::new(),
        }
    }

    /// Writes a user, into the next file if this one would grow too large.
    pub(crate) fn write(&mut self, user: &User<'_>, out: &mut Sink) -> Result<(), Reject> {
        let json = user.to_json()?;
        if FRAME_BYTES + json.len() >= self.max_bytes {
            return Err(Reject::new(
                "too_large",
                "the user alone is larger than a file may be",
            ));
        }
        let full = |bytes: usize| bytes + FRAME_BYTES + SEPARATOR.len() + json.len() >= self.max_bytes;
        if self.open_bytes.is_some_and(full) {
            self.close(out);
        }
        let email = user.email.to_lowercase();
        if self.emails.contains(&email) {
            return Err(Reject::new(
                "duplicate_email",
                "another user of this file has the same address",
            )
            .field("email"));
        }
        self.emails.insert(email);
        let bytes = match self.open_bytes {
            Some(bytes) => {
                out.file().extend_from_slice(SEPARATOR);
                bytes + SEPARATOR.len()
            }
            None => {
                self.open(out);
                0
            }
        };
        out.file().extend_from_slice(&json);
        self.open_bytes = Some(bytes + json.len());
        Ok(())
    }

    /// Closes the last file. An export of nobody is one empty array.
    pub(crate) fn finish(&mut self, out: &mut Sink) {
        if self.open_bytes.is_none() && self.count == 0 {
            self.open(out);
        }
        self.close(out);
    }

    fn open(&mut self, out: &mut Sink) {
        self.count += 1;
        out.begin_file(&format!("users-{:04}.json", self.count), MEDIA_TYPE);
        out.file().extend_from_slice(b"[\n");
        self.open_bytes = Some(0);
    }

    fn close(&mut self, out: &mut Sink) {
        if self.open_bytes.take().is_some() {
            out.file().extend_from_slice(b"\n]\n");
            self.emails.clear();
        }
    }
}

const SEPARATOR: &[u8] = b",\n";
