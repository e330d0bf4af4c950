//! Version 0.1 of the contract: converts and delegates, nothing else.

use exeat_gate::{ColumnSpec, ColumnType};
use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker};

use super::{Chunk, Column, Description, Encoded, Fault, OutputColumn, Reject, Scalar, Texts};
use super::{TransformOutput, TransformPlan, Values};
use crate::lower::{Lowered, LoweredValues};
use crate::plugin::PluginKind;
use crate::store::{JobState, LogLevel};
use crate::{JobContext, OfferedColumn, SideFile};

use bindings::exeat::plugin::{log, types};
use bindings::exports::exeat::plugin::{adapter, transform};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v0_1",
        inline: "
            package exeat:host;
            world any-plugin {
                import exeat:plugin/log@0.1.0;
                export exeat:plugin/transform@0.1.0;
                export exeat:plugin/adapter@0.1.0;
            }
        ",
        world: "exeat:host/any-plugin",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The version in the names of interfaces.
pub(crate) const VERSION: &str = "0.1.0";

type Answer<T> = wasmtime::Result<Result<T, Fault>>;

/// Gives guests the one thing that they may ask for.
pub(crate) fn link(linker: &mut Linker<JobState>) -> wasmtime::Result<()> {
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl log::Host for JobState {
    fn enabled(&mut self, level: types::Level) -> bool {
        self.log_enabled(level.into())
    }

    fn write(&mut self, level: types::Level, message: String) {
        self.log(level.into(), &message);
    }
}

/// Where a component's exports are.
pub(crate) enum Indices {
    Transform(transform::GuestIndices),
    Adapter(adapter::GuestIndices),
}

impl Indices {
    pub(crate) fn find(kind: PluginKind, pre: &InstancePre<JobState>) -> wasmtime::Result<Self> {
        match kind {
            PluginKind::Transform => transform::GuestIndices::new(pre).map(Self::Transform),
            PluginKind::Adapter => adapter::GuestIndices::new(pre).map(Self::Adapter),
        }
    }
}

/// An instance of either world.
pub(crate) enum Guest {
    Transform(transform::Guest),
    Adapter(adapter::Guest),
}

/// What a job tells a guest.
pub(crate) struct Job<'a> {
    id: &'a str,
    snapshot_at_us: i64,
    seed: u64,
    pseudonym_key: &'a [u8],
}

impl Guest {
    pub(crate) fn instantiate(
        store: &mut Store<JobState>,
        pre: &InstancePre<JobState>,
        indices: &Indices,
    ) -> wasmtime::Result<Self> {
        let instance = pre.instantiate(&mut *store)?;
        match indices {
            Indices::Transform(indices) => indices.load(store, &instance).map(Self::Transform),
            Indices::Adapter(indices) => indices.load(store, &instance).map(Self::Adapter),
        }
    }

    pub(crate) fn describe(&self, store: &mut Store<JobState>) -> wasmtime::Result<Description> {
        let described = match self {
            Self::Transform(guest) => guest.call_describe(store)?,
            Self::Adapter(guest) => guest.call_describe(store)?,
        };
        let types::Description {
            name,
            version,
            summary,
            config_schema,
        } = described;
        Ok(Description {
            name,
            version,
            summary,
            config_schema,
        })
    }

    pub(crate) fn open_transform(
        &self,
        store: &mut Store<JobState>,
        job: &Job<'_>,
        input: &[OfferedColumn],
        config: &str,
    ) -> Answer<TransformPlan> {
        let Self::Transform(guest) = self else {
            return Ok(Err(wrong_world()));
        };
        let plan = guest.call_open(store, job.lower(), &offer(input), config)?;
        Ok(plan.map(Into::into).map_err(Into::into))
    }

    pub(crate) fn transform(
        &self,
        store: &mut Store<JobState>,
        sequence: u64,
        rows: u32,
        columns: &[Lowered],
    ) -> Answer<TransformOutput> {
        let Self::Transform(guest) = self else {
            return Ok(Err(wrong_world()));
        };
        let columns: Vec<types::ColumnParam<'_>> = columns.iter().map(Into::into).collect();
        let output = guest.call_process(
            store,
            types::Batch {
                sequence,
                rows,
                columns: &columns,
            },
        )?;
        Ok(output.map(Into::into).map_err(Into::into))
    }

    pub(crate) fn open_adapter(
        &self,
        store: &mut Store<JobState>,
        job: &Job<'_>,
        input: &[OfferedColumn],
        config: &str,
    ) -> Answer<Vec<u32>> {
        let Self::Adapter(guest) = self else {
            return Ok(Err(wrong_world()));
        };
        let plan = guest.call_open(store, job.lower(), &offer(input), config)?;
        Ok(plan.map(|plan| plan.reads).map_err(Into::into))
    }

    pub(crate) fn adapt(
        &self,
        store: &mut Store<JobState>,
        sequence: u64,
        rows: u32,
        columns: &[Lowered],
    ) -> Answer<Encoded> {
        let Self::Adapter(guest) = self else {
            return Ok(Err(wrong_world()));
        };
        let columns: Vec<types::ColumnParam<'_>> = columns.iter().map(Into::into).collect();
        let encoded = guest.call_process(
            store,
            types::Batch {
                sequence,
                rows,
                columns: &columns,
            },
        )?;
        Ok(encoded.map(Into::into).map_err(Into::into))
    }

    pub(crate) fn finish(&self, store: &mut Store<JobState>) -> Answer<Encoded> {
        let Self::Adapter(guest) = self else {
            return Ok(Err(wrong_world()));
        };
        Ok(guest.call_finish(store)?.map(Into::into).map_err(Into::into))
    }
}

fn wrong_world() -> Fault {
    Fault::Internal("the plugin is of the other kind".to_owned())
}

impl<'a> Job<'a> {
    /// What the plugin that has this key is told of the job.
    pub(crate) fn of(job: &'a JobContext, pseudonym_key: &'a [u8; 32]) -> Self {
        Self {
            id: &job.job_id,
            snapshot_at_us: job.snapshot_at_us,
            seed: job.seed,
            pseudonym_key,
        }
    }

    fn lower(&self) -> types::JobContext<'a> {
        types::JobContext {
            job_id: self.id,
            snapshot_at_us: self.snapshot_at_us,
            seed: self.seed,
            pseudonym_key: self.pseudonym_key,
        }
    }
}

fn offer(input: &[OfferedColumn]) -> Vec<types::OfferedField<'_>> {
    let fields = input.iter().map(|column| types::OfferedField {
        field: types::FieldParam {
            name: &column.spec.name,
            column_type: column.spec.column_type.into(),
            nullable: column.spec.nullable,
        },
        selected: column.selected,
    });
    fields.collect()
}

impl<'a> From<&'a Lowered> for types::ColumnParam<'a> {
    fn from(column: &'a Lowered) -> Self {
        let values = match &column.values {
            LoweredValues::Boolean(bits) => types::ValuesParam::Boolean(bits),
            LoweredValues::Int64(values) => types::ValuesParam::Int64(values),
            LoweredValues::Float64(values) => types::ValuesParam::Float64(values),
            LoweredValues::TimestampUs(values) => types::ValuesParam::TimestampUs(values),
            LoweredValues::Utf8(texts) => types::ValuesParam::Utf8(texts.into()),
            LoweredValues::Json(texts) => types::ValuesParam::Json(texts.into()),
            LoweredValues::Utf8List { offsets, values } => {
                types::ValuesParam::Utf8List(types::Utf8ListValuesParam {
                    offsets,
                    values: values.into(),
                })
            }
        };
        Self {
            validity: column.validity.as_deref(),
            values,
        }
    }
}

impl<'a> From<&'a crate::lower::LoweredTexts> for types::Utf8ValuesParam<'a> {
    fn from(texts: &'a crate::lower::LoweredTexts) -> Self {
        Self {
            offsets: &texts.offsets,
            bytes: &texts.bytes,
        }
    }
}

impl From<types::ColumnResult> for Column {
    fn from(column: types::ColumnResult) -> Self {
        let values = match column.values {
            types::ValuesResult::Boolean(bits) => Values::Boolean(bits),
            types::ValuesResult::Int64(values) => Values::Int64(values),
            types::ValuesResult::Float64(values) => Values::Float64(values),
            types::ValuesResult::TimestampUs(values) => Values::TimestampUs(values),
            types::ValuesResult::Utf8(texts) => Values::Utf8(texts.into()),
            types::ValuesResult::Json(texts) => Values::Json(texts.into()),
            types::ValuesResult::Utf8List(lists) => Values::Utf8List {
                offsets: lists.offsets,
                values: lists.values.into(),
            },
        };
        Self {
            validity: column.validity,
            values,
        }
    }
}

impl From<types::Utf8ValuesResult> for Texts {
    fn from(texts: types::Utf8ValuesResult) -> Self {
        Self {
            offsets: texts.offsets,
            bytes: texts.bytes,
        }
    }
}

impl From<transform::Plan> for TransformPlan {
    fn from(plan: transform::Plan) -> Self {
        let output = plan.output.into_iter().map(|column| match column {
            transform::OutputColumn::Pass(pass) => OutputColumn::Pass {
                input: pass.input,
                name: pass.name,
            },
            transform::OutputColumn::Constant(constant) => OutputColumn::Constant {
                name: constant.name,
                value: constant.value.into(),
            },
            transform::OutputColumn::Computed(field) => OutputColumn::Computed(ColumnSpec {
                name: field.name,
                column_type: field.column_type.into(),
                nullable: field.nullable,
            }),
        });
        Self {
            reads: plan.reads,
            stateless: plan.stateless,
            output: output.collect(),
        }
    }
}

impl From<transform::Scalar> for Scalar {
    fn from(scalar: transform::Scalar) -> Self {
        match scalar {
            transform::Scalar::Null(column_type) => Self::Null(column_type.into()),
            transform::Scalar::Boolean(value) => Self::Boolean(value),
            transform::Scalar::Int64(value) => Self::Int64(value),
            transform::Scalar::Float64(value) => Self::Float64(value),
            transform::Scalar::TimestampUs(value) => Self::TimestampUs(value),
            transform::Scalar::Utf8(value) => Self::Utf8(value),
            transform::Scalar::Json(value) => Self::Json(value),
        }
    }
}

impl From<transform::Output> for TransformOutput {
    fn from(output: transform::Output) -> Self {
        Self {
            columns: output.columns.into_iter().map(Into::into).collect(),
            keep: output.keep,
            rejects: output.rejects.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<types::Reject> for Reject {
    fn from(reject: types::Reject) -> Self {
        Self {
            row: reject.row,
            field: reject.field,
            code: reject.code,
            message: reject.message,
        }
    }
}

impl From<adapter::Encoded> for Encoded {
    fn from(encoded: adapter::Encoded) -> Self {
        let chunks = encoded.chunks.into_iter().map(|chunk| match chunk {
            adapter::Chunk::BeginFile(file) => Chunk::BeginFile {
                name: file.name,
                media_type: file.media_type,
            },
            adapter::Chunk::Bytes(bytes) => Chunk::Bytes(bytes),
        });
        let side_lines = encoded.side_lines.into_iter().map(|side| match side.file {
            adapter::SideFile::IdMap => (SideFile::IdMap, side.line),
            adapter::SideFile::Actions => (SideFile::Actions, side.line),
        });
        Self {
            chunks: chunks.collect(),
            written: encoded.written,
            dropped: encoded.dropped,
            rejects: encoded.rejects.into_iter().map(Into::into).collect(),
            losses: encoded
                .losses
                .into_iter()
                .map(|loss| (loss.field, loss.reason, loss.rows))
                .collect(),
            side_lines: side_lines.collect(),
        }
    }
}

impl From<types::Fault> for Fault {
    fn from(fault: types::Fault) -> Self {
        match fault {
            types::Fault::InvalidConfig(error) => Self::Config {
                pointer: error.pointer,
                message: error.message,
            },
            types::Fault::UnsupportedSchema(error) => Self::Schema {
                field: error.field,
                message: error.message,
            },
            types::Fault::Internal(message) => Self::Internal(message),
        }
    }
}

impl From<ColumnType> for types::ColumnType {
    fn from(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Int64 => Self::Int64,
            ColumnType::Float64 => Self::Float64,
            ColumnType::TimestampUs => Self::TimestampUs,
            ColumnType::Utf8 => Self::Utf8,
            ColumnType::Json => Self::Json,
            ColumnType::Utf8List => Self::Utf8List,
        }
    }
}

impl From<types::ColumnType> for ColumnType {
    fn from(column_type: types::ColumnType) -> Self {
        match column_type {
            types::ColumnType::Boolean => Self::Boolean,
            types::ColumnType::Int64 => Self::Int64,
            types::ColumnType::Float64 => Self::Float64,
            types::ColumnType::TimestampUs => Self::TimestampUs,
            types::ColumnType::Utf8 => Self::Utf8,
            types::ColumnType::Json => Self::Json,
            types::ColumnType::Utf8List => Self::Utf8List,
        }
    }
}

impl From<types::Level> for LogLevel {
    fn from(level: types::Level) -> Self {
        match level {
            types::Level::Trace => Self::Trace,
            types::Level::Debug => Self::Debug,
            types::Level::Info => Self::Info,
            types::Level::Warn => Self::Warn,
            types::Level::Error => Self::Error,
        }
    }
}
