//! An adapter at work on a job.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use exeat_gate::{BytesGuard, ColumnSpec, ShapedBatch};

use crate::abi;
use crate::abi::v0_1::Guest;
use crate::chain::PluginUse;
use crate::engine::Sandbox;
use crate::error::{Cause, OpenError, PluginFailure};
use crate::figures::Recorder;
use crate::limits::PluginLimits;
use crate::lower::Lowered;
use crate::places::TakenPlaces;
use crate::plugin::Plugin;
use crate::session::Session;
use crate::store::printable;
use crate::transform::{Reject, checked_rejects, lower, note_rejects, rejected_rows};
use crate::{JobContext, OfferedColumn};

/// Longest file name, in bytes.
const MAX_FILE_NAME_BYTES: usize = 100;

/// Files of one export.
const MAX_FILES: usize = 100_000;

/// Chunks and side lines of one call: each is looked at on its own.
const MAX_PIECES_PER_CALL: usize = 65_536;

/// A file that goes beside the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SideFile {
    /// Old ids and new ones.
    IdMap,
    /// What must be done after the import.
    Actions,
}

/// A line of a file that goes beside the output: one JSON object.
#[derive(Clone, PartialEq, Eq)]
pub struct SideLine {
    /// Which file.
    pub file: SideFile,
    /// The line, without its end.
    pub line: String,
}

/// Shows the length, not the line.
impl std::fmt::Debug for SideLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SideLine")
            .field("file", &self.file)
            .field("bytes", &self.line.len())
            .finish()
    }
}

/// Something that the destination cannot hold, counted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Loss {
    /// The field.
    pub field: String,
    /// Why.
    pub reason: String,
    /// In how many rows.
    pub rows: u64,
}

/// A piece of the output, in order.
pub enum Chunk {
    /// A file begins; the one before it ends.
    BeginFile {
        /// One path segment, unique in the export.
        name: String,
        /// Media type (RFC 6838).
        media_type: String,
    },
    /// Bytes of the file at hand.
    Bytes(Vec<u8>),
}

/// Shows the size, not the bytes.
impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BeginFile { name, .. } => f.debug_tuple("BeginFile").field(name).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

/// What an adapter made of a batch.
#[derive(Debug, Default)]
pub struct EncodedBatch {
    /// The output, in order.
    pub chunks: Vec<Chunk>,
    /// Rows that are in the output.
    pub written: u64,
    /// Rows left out on purpose.
    pub dropped: u64,
    /// Rows that cannot go out, as far as they are kept.
    pub rejects: Vec<Reject>,
    /// How many cannot go out.
    pub rejected: u64,
    /// What the destination cannot hold.
    pub losses: Vec<Loss>,
    /// Lines for the files that go beside the output.
    pub side_lines: Vec<SideLine>,
}

/// An adapter, opened for one job.
pub struct AdapterSession {
    session: Session<Vec<u32>>,
    needs: Vec<ColumnSpec>,
    reads: Vec<usize>,
    files: Files,
    _places: Option<Arc<TakenPlaces>>,
}

/// The files that were begun, and what their bytes have shown so far.
#[derive(Default)]
struct Files {
    guard: BytesGuard,
    open: Option<String>,
    names: HashSet<String>,
}

impl std::fmt::Debug for AdapterSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AdapterSession").field(self.plugin()).finish()
    }
}

impl AdapterSession {
    /// Instantiates an adapter and opens the job. Its batches must hold exactly the columns that
    /// it [needs](Self::needs) if `narrowed`, and all that it was offered if not.
    pub(crate) fn open(
        sandbox: &Sandbox,
        used: &PluginUse,
        job: &JobContext,
        offered: &[OfferedColumn],
        narrowed: bool,
    ) -> Result<Self, OpenError> {
        let session = Session::start(sandbox, used, job, offered, Guest::open_adapter)?;
        let planned: Vec<usize> = session.plan().iter().map(|read| *read as usize).collect();
        let distinct: HashSet<usize> = planned.iter().copied().collect();
        if distinct.len() != planned.len() || planned.iter().any(|read| *read >= offered.len()) {
            let cause =
                Cause::GuestFault("its plan names a column that is not there, or one twice".to_owned());
            return Err(used.plugin.failure(None, None, cause).into());
        }
        let (needs, reads) = if narrowed {
            (planned.clone(), (0..planned.len()).collect())
        } else {
            ((0..offered.len()).collect(), planned)
        };
        let needs = needs.iter().map(|index| offered[*index].spec.clone()).collect();
        Ok(Self {
            session,
            needs,
            reads,
            files: Files::default(),
            _places: None,
        })
    }

    /// Holds the places of the chain that it was taken out of.
    pub(crate) fn keep(&mut self, places: Arc<TakenPlaces>) {
        self._places = Some(places);
    }

    /// The columns that a batch must hold.
    pub fn needs(&self) -> &[ColumnSpec] {
        &self.needs
    }

    /// Names of the columns that the guest is given.
    pub fn reads(&self) -> Vec<&str> {
        self.reads
            .iter()
            .map(|read| self.needs[*read].name.as_str())
            .collect()
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        self.session.plugin()
    }

    /// Where it is noted what the plugin does.
    pub(crate) fn recorder(&self) -> &Recorder {
        self.session.recorder()
    }

    /// Renders a batch.
    ///
    /// # Errors
    /// The guest traps, breaks the contract, says no, or puts out what may not leave.
    pub fn process(&mut self, sequence: u64, input: &ShapedBatch) -> Result<EncodedBatch, PluginFailure> {
        let begun = Instant::now();
        let Self {
            session,
            reads,
            files,
            ..
        } = self;
        // What an adapter holds back of earlier batches dies with its instance: only the first
        // batch can be tried again.
        let done = session.batch(sequence, false, |session| {
            let columns = lower(reads, input)?;
            let rows = u32::try_from(input.rows())
                .map_err(|_| Cause::GuestFault("the batch is too large".to_owned()))?;
            let encoded = session.call(|guest, store| guest.adapt(store, sequence, rows, &columns))?;
            let bytes_in = columns.iter().map(Lowered::bytes).sum();
            session.store().note_bytes(bytes_in, encoded.bytes())?;
            if session.is_fresh() {
                *files = Files::default();
            }
            files.check(session.plugin(), session.limits(), sequence, Some(input), encoded)
        })?;
        self.note(input, &done, begun);
        Ok(done)
    }

    fn note(&self, input: &ShapedBatch, done: &EncodedBatch, begun: Instant) {
        self.recorder().note(|figures| {
            figures.batches += 1;
            figures.rows_in += input.rows() as u64;
            figures.rows_out += done.written;
            figures.rows_dropped += done.dropped;
            note_rejects(figures, &done.rejects, done.rejected);
            let time = begun.elapsed();
            figures.batch_ns += time.as_nanos() as u64;
            figures.batch_times.note(time);
        });
    }

    /// Renders what is left after the last batch.
    ///
    /// # Errors
    /// As for [`Self::process`].
    pub fn finish(&mut self, sequence: u64) -> Result<EncodedBatch, PluginFailure> {
        let Self { session, files, .. } = self;
        session.batch(sequence, false, |session| {
            let encoded = session.call(|guest, store| guest.finish(store))?;
            session.store().note_bytes(0, encoded.bytes())?;
            if session.is_fresh() {
                *files = Files::default();
            }
            files.check(session.plugin(), session.limits(), sequence, None, encoded)
        })
    }
}

impl Files {
    /// Every row is written, dropped or rejected; every file has a name; nothing leaves that may not.
    fn check(
        &mut self,
        plugin: &Plugin,
        limits: PluginLimits,
        sequence: u64,
        input: Option<&ShapedBatch>,
        encoded: abi::Encoded,
    ) -> Result<EncodedBatch, Cause> {
        let rows = input.map_or(0, ShapedBatch::rows);
        if encoded.chunks.len() > MAX_PIECES_PER_CALL || encoded.side_lines.len() > MAX_PIECES_PER_CALL {
            return Err(Cause::GuestFault(
                "it returns its output in too many pieces".to_owned(),
            ));
        }
        let rejected = rejected_rows(&encoded.rejects, rows)
            .map_err(Cause::GuestFault)?
            .len() as u64;
        let (written, dropped) = (u64::from(encoded.written), u64::from(encoded.dropped));
        if written + dropped + rejected != rows as u64 {
            let message = format!(
                "it was given {rows} rows and accounts for {written} written, {dropped} dropped and {rejected} rejected"
            );
            return Err(Cause::GuestFault(message));
        }
        let chunks = encoded
            .chunks
            .into_iter()
            .map(|chunk| self.check_chunk(chunk))
            .collect::<Result<_, _>>()?;
        let side_lines = encoded
            .side_lines
            .into_iter()
            .map(check_line)
            .collect::<Result<_, _>>()?;
        let mut losses = encoded.losses;
        losses.truncate(limits.rejects_per_batch);
        for (field, reason, _) in &losses {
            BytesGuard::default().check("the list of losses", field.as_bytes())?;
            BytesGuard::default().check("the list of losses", reason.as_bytes())?;
        }
        let cut = |text: String| printable(&text, limits.message_bytes);
        Ok(EncodedBatch {
            chunks,
            written,
            dropped,
            rejects: match input {
                Some(input) => checked_rejects(plugin, sequence, input, encoded.rejects, limits)?,
                None => Vec::new(),
            },
            rejected,
            losses: losses
                .into_iter()
                .map(|(field, reason, rows)| Loss {
                    field: cut(field),
                    reason: cut(reason),
                    rows,
                })
                .collect(),
            side_lines,
        })
    }

    fn check_chunk(&mut self, chunk: abi::Chunk) -> Result<Chunk, Cause> {
        match chunk {
            abi::Chunk::BeginFile { name, media_type } => {
                if !is_file_name(&name) || !is_media_type(&media_type) {
                    return Err(Cause::GuestFault(
                        "it begins a file whose name or media type cannot be".to_owned(),
                    ));
                }
                if self.names.len() == MAX_FILES {
                    return Err(Cause::GuestFault("it begins too many files".to_owned()));
                }
                if !self.names.insert(name.clone()) {
                    return Err(Cause::GuestFault(format!("it begins the file {name} twice")));
                }
                self.guard.begin_file();
                self.open = Some(name.clone());
                Ok(Chunk::BeginFile { name, media_type })
            }
            abi::Chunk::Bytes(bytes) => {
                let Some(file) = &self.open else {
                    return Err(Cause::GuestFault("it writes before it begins a file".to_owned()));
                };
                self.guard.check(file, &bytes)?;
                Ok(Chunk::Bytes(bytes))
            }
        }
    }
}

fn check_line((file, line): (SideFile, String)) -> Result<SideLine, Cause> {
    let name = match file {
        SideFile::IdMap => "the id map",
        SideFile::Actions => "the actions",
    };
    if line.contains(['\n', '\r']) {
        return Err(Cause::GuestFault(format!(
            "it writes a line with a line break to {name}"
        )));
    }
    BytesGuard::default().check(name, line.as_bytes())?;
    Ok(SideLine { file, line })
}

/// One path segment that means the same on every system and cannot be taken for one of ours.
fn is_file_name(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let ours = [
        "manifest.json",
        "rejects.ndjson",
        "idmap.ndjson",
        "actions.ndjson",
    ];
    plain
        && (1..=MAX_FILE_NAME_BYTES).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.ends_with('.')
        && !ours.contains(&name.to_ascii_lowercase().as_str())
}

/// `type/subtype`, with parameters of plain characters.
fn is_media_type(media_type: &str) -> bool {
    let plain = media_type
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-/;= ".contains(&b));
    plain && media_type.len() <= MAX_FILE_NAME_BYTES && media_type.split('/').count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_leave_their_folder_or_take_ours() {
        for name in ["users-0001.json", "a", "x_y.ldif"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in [
            "",
            ".hidden",
            "..",
            "a/b",
            "a\\b",
            "a\0b",
            "manifest.json",
            "Manifest.JSON",
            "ü.json",
            "a.",
        ] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
