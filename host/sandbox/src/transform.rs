//! A transform at work on a job.

use std::collections::BTreeSet;

use arrow_array::BooleanArray;
use exeat_gate::{BytesGuard, ColumnSpec, OutputGuard, Schema, ShapedBatch, ShapedColumn};

use crate::abi::v0_1::{Guest, Job};
use crate::abi::{self, OutputColumn};
use crate::checked;
use crate::engine::Sandbox;
use crate::error::{Cause, OpenError, PluginFailure};
use crate::limits::PluginLimits;
use crate::lower::Lowered;
use crate::plugin::Plugin;
use crate::store::{GuestStore, LogLine, printable};
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

/// One instance of a transform, opened for one job.
pub struct TransformSession {
    plugin: Plugin,
    store: GuestStore,
    guest: Guest,
    limits: PluginLimits,
    /// Names of the input columns that the plan touches, in input order.
    needs: Vec<ColumnSpec>,
    /// Indexes of the columns that the guest is given, in a batch of just the needed ones.
    reads: Vec<usize>,
    computed: Vec<ColumnSpec>,
    guard: OutputGuard,
}

impl std::fmt::Debug for TransformSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TransformSession").field(&self.plugin).finish()
    }
}

/// What a transform made of a batch.
pub(crate) struct Transformed {
    pub(crate) batch: ShapedBatch,
    pub(crate) dropped: u64,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) rejected: u64,
}

impl TransformSession {
    /// Instantiates a transform and opens the job. Its batches must hold exactly the columns
    /// that it [needs](Self::needs) if `narrowed`, and all that it was offered if not.
    pub(crate) fn open(
        sandbox: &Sandbox,
        plugin: &Plugin,
        limits: PluginLimits,
        job: &JobContext,
        offered: &[OfferedColumn],
        config: &str,
        narrowed: bool,
    ) -> Result<Self, OpenError> {
        let (mut store, guest) = plugin.instantiate(sandbox, limits)?;
        let key = crate::chain::plugin_key(job, plugin);
        let job = Job::of(job, &key);
        let plan = store
            .call(|store| guest.open_transform(store, &job, offered, config))
            .map_err(|cause| plugin.failure(None, None, cause))?
            .map_err(|fault| open_fault(plugin, fault, limits))?;
        let broken = |message: &str| plugin.failure(None, None, Cause::GuestFault(message.to_owned()));
        let touched = touched(&plan, offered.len())
            .ok_or_else(|| broken("its plan names a column that is not there, or reads one twice"))?;
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
        let needs: Vec<ColumnSpec> = needs.iter().map(|input| offered[*input].spec.clone()).collect();
        let columns: Vec<ShapedColumn> = plan
            .output
            .into_iter()
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
            OutputGuard::new(&needs, columns).map_err(|error| plugin.failure(None, None, error.into()))?;
        Ok(Self {
            plugin: plugin.clone(),
            store,
            guest,
            limits,
            needs,
            reads,
            computed,
            guard,
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
        &self.plugin
    }

    /// The columns that come out.
    pub fn schema(&self) -> &Schema {
        self.guard.schema()
    }

    /// What the guest has logged since the last call.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.store.store.data_mut().take_lines()
    }

    pub(crate) fn process(
        &mut self,
        sequence: u64,
        input: ShapedBatch,
    ) -> Result<Transformed, PluginFailure> {
        let rows = input.rows();
        self.call(sequence, &input)
            .and_then(|output| self.check(sequence, rows, input, output))
            .map_err(|cause| self.plugin.failure(Some(sequence), None, cause))
    }

    fn call(&mut self, sequence: u64, input: &ShapedBatch) -> Result<abi::TransformOutput, Cause> {
        let columns = lower(&self.reads, input)?;
        let rows = u32::try_from(input.rows())
            .map_err(|_| Cause::GuestFault("the batch is too large".to_owned()))?;
        let guest = &self.guest;
        let answer = self
            .store
            .call(|store| guest.transform(store, sequence, rows, &columns))?;
        answer.map_err(|fault| Cause::GuestError(fault_text(fault, self.limits)))
    }

    fn check(
        &self,
        sequence: u64,
        rows: usize,
        input: ShapedBatch,
        output: abi::TransformOutput,
    ) -> Result<Transformed, Cause> {
        if output.columns.len() != self.computed.len() {
            return Err(Cause::GuestFault(
                "it returned another number of columns than planned".to_owned(),
            ));
        }
        let computed = self
            .computed
            .iter()
            .zip(output.columns)
            .map(|(spec, column)| checked::column(spec, column, rows))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Cause::GuestFault)?;
        let mut keep = match output.keep {
            None => vec![true; rows],
            Some(bits) => checked::bitmap(bits, rows)
                .ok_or_else(|| Cause::GuestFault("its keep bitmap has the wrong size".to_owned()))?
                .iter()
                .collect(),
        };
        let rejected = rejected_rows(&output.rejects, rows).map_err(Cause::GuestFault)?;
        let dropped = keep
            .iter()
            .enumerate()
            .filter(|(row, kept)| !**kept && !rejected.contains(row))
            .count() as u64;
        rejected.iter().for_each(|row| keep[*row] = false);
        let all_stay = keep.iter().all(|kept| *kept);
        let keep = (!all_stay).then(|| BooleanArray::from(keep));
        let batch = self.guard.admit(input, computed, keep.as_ref())?;
        let rejects = checked_rejects(&self.plugin, sequence, output.rejects, self.limits)?;
        Ok(Transformed {
            batch,
            dropped,
            rejects,
            rejected: rejected.len() as u64,
        })
    }
}

/// The rejects of a batch that are kept, their texts cut to size. They are written to a file, so
/// they are looked through like everything that leaves.
pub(crate) fn checked_rejects(
    plugin: &Plugin,
    batch: u64,
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

pub(crate) fn open_fault(plugin: &Plugin, fault: abi::Fault, limits: PluginLimits) -> OpenError {
    let cut = |text: String| printable(&text, limits.message_bytes);
    let label = plugin.label();
    match fault {
        abi::Fault::Config { pointer, message } => OpenError::Config {
            plugin: label,
            pointer: cut(pointer),
            message: cut(message),
        },
        abi::Fault::Schema { field, message } => OpenError::Schema {
            plugin: label,
            field: cut(field),
            message: cut(message),
        },
        abi::Fault::Internal(message) => plugin.failure(None, None, Cause::GuestError(cut(message))).into(),
    }
}

pub(crate) fn fault_text(fault: abi::Fault, limits: PluginLimits) -> String {
    let text = match fault {
        abi::Fault::Config { pointer, message } => format!("{message} (configuration, {pointer})"),
        abi::Fault::Schema { field, message } => format!("{field} {message}"),
        abi::Fault::Internal(message) => message,
    };
    printable(&text, limits.message_bytes)
}
