//! Rows on their way out, and what each type proves about them.

use std::collections::BTreeSet;
use std::fmt;

use arrow_array::{Array as _, RecordBatch, StringArray};
use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::{ColumnSpec, Schema, arrow_schema};

/// What a source read. Nothing but the gate takes it.
pub struct RawBatch {
    pub(crate) schema: Schema,
    pub(crate) columns: RecordBatch,
}

impl RawBatch {
    /// Columns as a source read them, one array for each of the schema.
    ///
    /// # Errors
    /// Arrays that do not fit the schema or each other.
    pub fn new(
        schema: Schema,
        columns: Vec<arrow_array::ArrayRef>,
        rows: usize,
    ) -> Result<Self, arrow_schema::ArrowError> {
        let columns = record_batch(&schema, columns, rows)?;
        Ok(Self { schema, columns })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// The first rows, so many at most.
    #[must_use]
    pub fn first(self, rows: usize) -> Self {
        Self {
            columns: self.columns.slice(0, rows.min(self.columns.num_rows())),
            schema: self.schema,
        }
    }
}

/// Rows that the gate let go. Only [`Gate::release`](crate::Gate::release) makes one.
pub struct ReleasedBatch {
    pub(crate) schema: Schema,
    pub(crate) columns: RecordBatch,
    pub(crate) user_ids: Option<StringArray>,
    pub(crate) evidence: Evidence,
}

impl ReleasedBatch {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// What was done to the rows before they were let go.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

/// Rows as the chain of plugins left them: what encoders and adapters take.
///
/// Made of a [`ReleasedBatch`] that no plugin touched, or by
/// [`OutputGuard::admit`](crate::OutputGuard::admit).
pub struct ShapedBatch {
    pub(crate) schema: Schema,
    pub(crate) columns: RecordBatch,
    /// Whose rows they are, for the list of rejects. No plugin and no encoder sees it.
    pub(crate) user_ids: Option<StringArray>,
}

impl ShapedBatch {
    /// A released batch before, or without, any plugin.
    pub fn untouched(released: ReleasedBatch) -> Self {
        Self {
            schema: released.schema,
            columns: released.columns,
            user_ids: released.user_ids,
        }
    }

    /// The user whose row this is, whether or not the column is part of the export.
    pub fn user_id(&self, row: usize) -> Option<&str> {
        let ids = self.user_ids.as_ref()?;
        (row < ids.len() && ids.is_valid(row)).then(|| ids.value(row))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// Names and types of the columns.
    pub fn schema(&self) -> &[ColumnSpec] {
        &self.schema
    }

    /// The values, one array a column.
    pub fn columns(&self) -> &[arrow_array::ArrayRef] {
        self.columns.columns()
    }
}

/// Puts arrays together and checks that they fit.
pub(crate) fn record_batch(
    schema: &[ColumnSpec],
    columns: Vec<arrow_array::ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(arrow_schema(schema), columns, &options)
}

/// Why the rows may leave: the policy, the rules applied, what was held back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Evidence {
    /// Version of the policy.
    pub policy_version: String,
    /// Names of the rules that were applied.
    pub rules: BTreeSet<&'static str>,
    /// What was held back.
    pub suppressed: Suppressed,
}

/// Counts of what the gate held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suppressed {
    /// Columns that a source handed over and nobody may have, each counted once a batch.
    pub columns: u64,
    /// Keys inside JSON that name a credential.
    pub credential_keys: u64,
    /// Values, inside JSON or on their own, that look like a credential.
    pub credential_values: u64,
    /// JSON values that were not JSON.
    pub invalid_json: u64,
    /// Values that the anonymize toggle redacted.
    pub redacted: u64,
}

impl Evidence {
    /// Adds what another batch of the same export tells.
    pub fn absorb(&mut self, other: &Self) {
        self.policy_version.clone_from(&other.policy_version);
        self.rules.extend(&other.rules);
        let (sum, more) = (&mut self.suppressed, &other.suppressed);
        sum.columns += more.columns;
        sum.credential_keys += more.credential_keys;
        sum.credential_values += more.credential_values;
        sum.invalid_json += more.invalid_json;
        sum.redacted += more.redacted;
    }
}

/// Batches show their size, never their values.
macro_rules! debug_by_size {
    ($($batch:ident),+) => {$(
        impl fmt::Debug for $batch {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($batch))
                    .field("rows", &self.columns.num_rows())
                    .field("columns", &self.columns.num_columns())
                    .finish()
            }
        }
    )+};
}
debug_by_size!(RawBatch, ReleasedBatch, ShapedBatch);
