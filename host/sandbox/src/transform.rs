//! A transform at work on a job.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use arrow_array::BooleanArray;
use arrow_buffer::BooleanBuffer;
use exeat_gate::{BytesGuard, ColumnSpec, GuardError, OutputGuard, Schema, ShapedBatch, ShapedColumn};

use crate::abi::v0_1::Guest;
use crate::abi::{self, OutputColumn};
use crate::chain::PluginUse;
use crate::checked;
use crate::engine::Sandbox;
use crate::error::{Cause, OpenError, PluginFailure};
use crate::figures::{Figures, Recorder};
use crate::limits::PluginLimits;
use crate::lower::Lowered;
use crate::plugin::Plugin;
use crate::session::Session;
use crate::store::printable;
use crate::{JobContext, OfferedColumn};

/// A row that a plugin cannot put into the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Name and version of the plugin.
    pub plugin: String,
    /// The batch, from 0.
    pub batch: u64,
    /// The row of the batch as this plugin was given it, from 0.
    pub row: u32,
    /// The user whose row it is, where rows tell.
    pub user_id: Option<String>,
    /// The field that is blamed.
    pub field: Option<String>,
    /// A short code.
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl Reject {
    /// The reject as a failure of the job.
    pub fn into_failure(self) -> PluginFailure {
        let cause = Cause::Rejected {
            field: self.field,
            code: self.code,
            message: self.message,
        };
        PluginFailure {
            plugin: self.plugin,
            batch: Some(self.batch),
            row: Some(self.row),
            cause: Box::new(cause),
        }
    }
}

/// A transform, opened for one job.
pub struct TransformSession {
    session: Session<abi::TransformPlan>,
    /// Names of the input columns that the plan touches, in input order.
    needs: Vec<ColumnSpec>,
    /// Indexes of the columns that the guest is given, in a batch of just the needed ones.
    reads: Vec<usize>,
    computed: Vec<ColumnSpec>,
    guard: OutputGuard,
}

impl std::fmt::Debug for TransformSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TransformSession").field(self.plugin()).finish()
    }
}

/// What a transform made of a batch.
pub(crate) struct Transformed {
    pub(crate) batch: ShapedBatch,
    /// How long the output guard took.
    guarded: Duration,
    pub(crate) dropped: u64,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) rejected: u64,
}

impl TransformSession {
    /// Instantiates a transform and opens the job. Its batches must hold exactly the columns
    /// that it [needs](Self::needs) if `narrowed`, and all that it was offered if not.
    pub(crate) fn open(
        sandbox: &Sandbox,
        used: &PluginUse,
        job: &JobContext,
        offered: &[OfferedColumn],
        narrowed: bool,
    ) -> Result<Self, OpenError> {
        let session = Session::start(sandbox, used, job, offered, Guest::open_transform)?;
        let (plugin, plan) = (&used.plugin, session.plan());
        let broken = |message: &str| plugin.failure(None, None, Cause::GuestFault(message.to_owned()));
        let touched = touched(plan, offered.len())
            .ok_or_else(|| broken("its plan names a column that is not there, or reads one twice"))?;
        // Before a message repeats a name.
        if let Some(index) = unreadable_name(plan, used.limits) {
            let cause = GuardError::BadName { index };
            return Err(plugin.failure(None, None, cause.into()).into());
        }
        let needs: Vec<usize> = if narrowed {
            touched.into_iter().collect()
        } else {
            (0..offered.len()).collect()
        };
        let place = |input: u32| {
            needs
                .iter()
                .position(|need| *need == input as usize)
                .unwrap_or_default()
        };
        let reads: Vec<usize> = plan.reads.iter().map(|input| place(*input)).collect();
        let specs: Vec<ColumnSpec> = needs.iter().map(|input| offered[*input].spec.clone()).collect();
        let columns: Vec<ShapedColumn> = plan
            .output
            .iter()
            .cloned()
            .map(|column| match column {
                OutputColumn::Pass { input, name } => ShapedColumn::Pass {
                    input: place(input),
                    name,
                },
                OutputColumn::Constant { name, value } => {
                    let (spec, value) = checked::constant(name, value);
                    ShapedColumn::Constant { spec, value }
                }
                OutputColumn::Computed(spec) => ShapedColumn::Computed(spec),
            })
            .collect();
        let computed = columns
            .iter()
            .filter_map(|column| match column {
                ShapedColumn::Computed(spec) => Some(spec.clone()),
                _ => None,
            })
            .collect();
        let guard =
            OutputGuard::new(&specs, columns).map_err(|error| plugin.failure(None, None, error.into()))?;
        Ok(Self {
            session,
            needs: specs,
            reads,
            computed,
            guard,
        })
    }

    /// Whether no batch matters to another one.
    pub(crate) fn is_stateless(&self) -> bool {
        self.session.plan().stateless
    }

    /// A session of the same plugin for the same job, on an instance of its own.
    pub(crate) fn twin(&self) -> Result<Self, PluginFailure> {
        Ok(Self {
            session: self.session.twin()?,
            needs: self.needs.clone(),
            reads: self.reads.clone(),
            computed: self.computed.clone(),
            guard: self.guard.clone(),
        })
    }

    /// The columns that the plan touches: those that the guest reads and those that it passes on.
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

    /// The columns that come out.
    pub fn schema(&self) -> &Schema {
        self.guard.schema()
    }

    pub(crate) fn process(
        &mut self,
        sequence: u64,
        input: &ShapedBatch,
    ) -> Result<Transformed, PluginFailure> {
        let begun = Instant::now();
        let stateless = self.session.plan().stateless;
        let Self {
            session,
            reads,
            computed,
            guard,
            ..
        } = self;
        let done = session.batch(sequence, stateless, |session| {
            let columns = lower(reads, input)?;
            let rows = u32::try_from(input.rows())
                .map_err(|_| Cause::GuestFault("the batch is too large".to_owned()))?;
            let output = session.call(|guest, store| guest.transform(store, sequence, rows, &columns))?;
            let bytes_out = output.columns.iter().map(abi::Column::bytes).sum();
            session
                .store()
                .note_bytes(columns.iter().map(Lowered::bytes).sum(), bytes_out)?;
            check(
                session.plugin(),
                session.limits(),
                computed,
                guard,
                sequence,
                input,
                output,
            )
        })?;
        self.note(input, &done, begun);
        Ok(done)
    }

    fn note(&self, input: &ShapedBatch, done: &Transformed, begun: Instant) {
        self.recorder().note(|figures| {
            figures.batches += 1;
            figures.rows_in += input.rows() as u64;
            figures.rows_out += done.batch.rows() as u64;
            figures.rows_dropped += done.dropped;
            note_rejects(figures, &done.rejects, done.rejected);
            let time = begun.elapsed();
            figures.batch_ns += time.as_nanos() as u64;
            figures.guard_ns += done.guarded.as_nanos() as u64;
            figures.batch_times.note(time);
        });
    }
}

/// Counts rejects by code; those that were not kept have none.
pub(crate) fn note_rejects(figures: &mut Figures, rejects: &[Reject], rejected: u64) {
    rejects
        .iter()
        .for_each(|reject| figures.count_rejects(&reject.code, 1));
    let more = rejected.saturating_sub(rejects.len() as u64);
    if more > 0 {
        figures.count_rejects("(not listed)", more);
    }
}

fn check(
    plugin: &Plugin,
    limits: PluginLimits,
    computed: &[ColumnSpec],
    guard: &OutputGuard,
    sequence: u64,
    input: &ShapedBatch,
    output: abi::TransformOutput,
) -> Result<Transformed, Cause> {
    let rows = input.rows();
    if output.columns.len() != computed.len() {
        return Err(Cause::GuestFault(
            "it returned another number of columns than planned".to_owned(),
        ));
    }
    let computed = computed
        .iter()
        .zip(output.columns)
        .map(|(spec, column)| checked::column(spec, column, rows))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Cause::GuestFault)?;
    let kept = match output.keep {
        None => BooleanBuffer::new_set(rows),
        Some(bits) => checked::bitmap(bits, rows)
            .ok_or_else(|| Cause::GuestFault("its keep bitmap has the wrong size".to_owned()))?,
    };
    let rejected = rejected_rows(&output.rejects, rows).map_err(Cause::GuestFault)?;
    let rejected_only = rejected.iter().filter(|row| !kept.value(**row)).count();
    let dropped = (rows - kept.count_set_bits() - rejected_only) as u64;
    let kept = match rejected.is_empty() {
        true => kept,
        false => BooleanBuffer::collect_bool(rows, |row| kept.value(row) && !rejected.contains(&row)),
    };
    let all_stay = kept.count_set_bits() == rows;
    let keep = (!all_stay).then(|| BooleanArray::new(kept, None));
    let begun = Instant::now();
    let batch = guard.admit(input, computed, keep.as_ref())?;
    let guarded = begun.elapsed();
    Ok(Transformed {
        batch,
        guarded,
        dropped,
        rejects: checked_rejects(plugin, sequence, input, output.rejects, limits)?,
        rejected: rejected.len() as u64,
    })
}

/// The rejects of a batch that are kept, their texts cut to size. They are written to a file, so
/// they are looked through like everything that leaves.
pub(crate) fn checked_rejects(
    plugin: &Plugin,
    batch: u64,
    input: &ShapedBatch,
    rejects: Vec<abi::Reject>,
    limits: PluginLimits,
) -> Result<Vec<Reject>, Cause> {
    let label = plugin.label();
    let cut = |text: &str| -> Result<String, Cause> {
        BytesGuard::default().check("the list of rejects", text.as_bytes())?;
        Ok(printable(text, limits.message_bytes))
    };
    let kept = rejects.into_iter().take(limits.rejects_per_batch).map(|reject| {
        Ok(Reject {
            plugin: label.clone(),
            batch,
            row: reject.row,
            user_id: input.user_id(reject.row as usize).map(str::to_owned),
            field: reject.field.as_deref().map(cut).transpose()?,
            code: cut(&reject.code)?,
            message: cut(&reject.message)?,
        })
    });
    kept.collect()
}

/// The rows that are rejected, each once.
pub(crate) fn rejected_rows(rejects: &[abi::Reject], rows: usize) -> Result<BTreeSet<usize>, String> {
    let mut rejected = BTreeSet::new();
    for reject in rejects {
        let row = reject.row as usize;
        if row >= rows {
            return Err("it rejects a row that does not exist".to_owned());
        }
        if !rejected.insert(row) {
            return Err("it rejects a row twice".to_owned());
        }
    }
    Ok(rejected)
}

/// The columns that a guest is given.
pub(crate) fn lower(reads: &[usize], input: &ShapedBatch) -> Result<Vec<Lowered>, Cause> {
    let columns = reads.iter().map(|read| {
        let spec = input.schema().get(*read)?;
        Lowered::of(spec.column_type, input.columns().get(*read)?)
    });
    columns
        .collect::<Option<_>>()
        .ok_or_else(|| Cause::GuestFault("a planned column is missing".to_owned()))
}

/// The first output column whose name is longer than any text of a guest's may be, or would do
/// something to a terminal or a page.
fn unreadable_name(plan: &abi::TransformPlan, limits: PluginLimits) -> Option<usize> {
    plan.output.iter().position(|column| {
        let name = match column {
            OutputColumn::Pass { name, .. } | OutputColumn::Constant { name, .. } => name,
            OutputColumn::Computed(spec) => &spec.name,
        };
        printable(name, limits.message_bytes) != *name
    })
}

/// The input columns that a plan reads or passes on, in order; nothing if one does not exist or
/// is read twice.
fn touched(plan: &abi::TransformPlan, offered: usize) -> Option<BTreeSet<usize>> {
    let passes = plan.output.iter().filter_map(|column| match column {
        OutputColumn::Pass { input, .. } => Some(*input),
        _ => None,
    });
    let reads: BTreeSet<u32> = plan.reads.iter().copied().collect();
    let touched: BTreeSet<usize> = reads
        .iter()
        .copied()
        .chain(passes)
        .map(|input| input as usize)
        .collect();
    let sound = reads.len() == plan.reads.len() && touched.iter().all(|input| *input < offered);
    sound.then_some(touched)
}
