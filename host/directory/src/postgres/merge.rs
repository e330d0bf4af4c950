//! What hangs on users, read in the order of their keys and handed to each.

use std::cmp::Ordering;
use std::ops::Range;

use super::session::CopyRows;
use super::statements::SideKind;
use crate::SourceError;
use crate::source::columns::{IdentityList, Lists, Texts, Unfit};

/// Side rows, and those of the user at hand.
pub(super) struct Sides<'c> {
    rows: CopyRows<'c>,
    /// Whether there is a row that no user has had yet.
    pending: bool,
    last_key: Vec<u8>,
    source_name: String,
    /// Texts of the user at hand.
    bytes: Vec<u8>,
    groups: Vec<Range<usize>>,
    factors: i64,
    identities: Vec<(i64, [Option<Range<usize>>; 3])>,
}

impl<'c> Sides<'c> {
    pub(super) async fn open(rows: CopyRows<'c>, source_name: &str) -> Result<Self, SourceError> {
        let mut sides = Self {
            rows,
            pending: true,
            last_key: Vec::new(),
            source_name: source_name.to_owned(),
            bytes: Vec::new(),
            groups: Vec::new(),
            factors: 0,
            identities: Vec::new(),
        };
        sides.pending = sides.rows.next().await?;
        Ok(sides)
    }

    /// Collects the rows of this user; skips those of users that the filter left out.
    pub(super) async fn collect(&mut self, user: &[u8]) -> Result<(), SourceError> {
        self.bytes.clear();
        self.groups.clear();
        self.factors = 0;
        self.identities.clear();
        while self.pending {
            let key = self.rows.field(0).unwrap_or_default();
            match key.cmp(user) {
                Ordering::Less => {}
                Ordering::Equal => self.take()?,
                Ordering::Greater => break,
            }
            self.forward().await?;
        }
        Ok(())
    }

    /// Goes on, and sees to it that keys do not go back: rows would be lost without a word.
    async fn forward(&mut self) -> Result<(), SourceError> {
        self.last_key.clear();
        self.last_key
            .extend_from_slice(self.rows.field(0).unwrap_or_default());
        self.pending = self.rows.next().await?;
        if self.pending && self.rows.field(0).unwrap_or_default() < self.last_key.as_slice() {
            return Err(SourceError::Order {
                source_name: self.source_name.clone(),
            });
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), SourceError> {
        let kind = self.rows.field(1).and_then(|kind| kind.try_into().ok());
        let number = self.rows.field(5).and_then(|number| number.try_into().ok());
        let number = number.map_or(0, i64::from_be_bytes);
        match kind.map(i32::from_be_bytes) {
            Some(kind) if kind == SideKind::Group as i32 => {
                // A group without a name is none.
                if let Some(name) = self.keep(2) {
                    self.groups.push(name);
                }
            }
            Some(kind) if kind == SideKind::Factors as i32 => self.factors = number,
            Some(kind) if kind == SideKind::Identity as i32 => {
                let identity = [self.keep(2), self.keep(3), self.keep(4)];
                self.identities.push((number, identity));
            }
            _ => return Err(SourceError::Copy("a row is of no kind that was asked for")),
        }
        Ok(())
    }

    fn keep(&mut self, field: usize) -> Option<Range<usize>> {
        let text = self.rows.field(field)?;
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(text);
        Some(begin..self.bytes.len())
    }

    /// Appends the names of the user's groups, sorted, each once.
    pub(super) fn push_groups(&mut self, lists: &mut Lists) -> usize {
        let bytes = &self.bytes;
        self.groups
            .sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
        self.groups.dedup_by(|a, b| bytes[a.clone()] == bytes[b.clone()]);
        lists.push(self.groups.iter().map(|name| &bytes[name.clone()]))
    }

    /// Number of the user's factors.
    pub(super) fn factors(&self) -> i64 {
        self.factors
    }

    /// Appends the user's identities in their order.
    pub(super) fn push_identities(&mut self, texts: &mut Texts) -> Result<usize, Unfit> {
        let bytes = &self.bytes;
        let text = |range: &Option<Range<usize>>| range.clone().map(|range| &bytes[range]);
        self.identities.sort_by(|(a, left), (b, right)| {
            a.cmp(b)
                .then_with(|| left.each_ref().map(text).cmp(&right.each_ref().map(text)))
        });
        let mut list = IdentityList::begin(texts);
        for (_, identity) in &self.identities {
            list.push(identity.each_ref().map(text));
        }
        list.end()
    }
}
