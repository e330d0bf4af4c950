//! The rows of the benches that need no database: generated users, as columns and as JSON.

use std::sync::Arc;

use arrow_array::ArrayRef;
use exeat_directory::{format_timestamp, generate};
use exeat_gate::{Field, FieldSelection, Gate, RawBatch, Schema, ShapedBatch};
use exeat_workbench::{JsonRow, raw_batch};
use serde_json::{Value, json};

/// Rows of a batch, as exports have them.
pub const BATCH_ROWS: usize = 2_048;

/// The columns of the transform benches.
pub const COLUMNS: [&str; 12] = [
    "user_id",
    "email",
    "email_verified",
    "username",
    "name",
    "given_name",
    "family_name",
    "state",
    "locale",
    "created_at",
    "logins_count",
    "last_signed_in_at",
];

/// Generated users.
pub struct People {
    rows: Vec<JsonRow>,
    selection: FieldSelection,
    schema: Schema,
    batches: Vec<Vec<ArrayRef>>,
}

impl People {
    /// So many, with these columns, in batches of so many rows.
    ///
    /// # Errors
    /// A column is no field, or does not fit it.
    pub fn new(count: u64, columns: &[&str], batch_rows: usize) -> anyhow::Result<Self> {
        let names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let selection = FieldSelection::named(&names)?;
        let rows: Vec<JsonRow> = generate::users(count, 7)
            .map(|user| {
                let time = |micros: i64| Value::from(format_timestamp(micros));
                let parsed = |json: &str| serde_json::from_str(json).unwrap_or(Value::Null);
                columns
                    .iter()
                    .map(|name| {
                        let value = match *name {
                            "user_id" => json!(user.user_id),
                            "email" => json!(user.email),
                            "email_verified" => json!(user.email_verified),
                            "username" => json!(user.username),
                            "name" => json!(user.name),
                            "given_name" => json!(user.given_name),
                            "family_name" => json!(user.family_name),
                            "nickname" => json!(user.nickname),
                            "picture" => json!(user.picture),
                            "state" => json!(user.state.name()),
                            "locale" => json!(user.locale),
                            "created_at" => time(user.created_at),
                            "last_signed_in_at" => user.last_signed_in_at.map_or(Value::Null, time),
                            "logins_count" => json!(user.logins_count),
                            "groups" => json!(user.groups),
                            "custom_attributes" => parsed(&user.custom_attributes),
                            "app_metadata" => parsed(&user.app_metadata),
                            _ => Value::Null,
                        };
                        ((*name).to_owned(), value)
                    })
                    .collect()
            })
            .collect();
        let fields: Vec<&Field> = selection.selected().to_vec();
        let gate = Gate::new(fields.clone(), false);
        let mut batches = Vec::new();
        for chunk in rows.chunks(batch_rows) {
            // Through the gate, as every export: its work is not what these benches measure.
            let shaped = ShapedBatch::untouched(gate.release(raw_batch(&fields, chunk)?)?);
            batches.push(shaped.columns().to_vec());
        }
        Ok(Self {
            schema: fields.iter().map(|field| field.spec()).collect(),
            rows,
            selection,
            batches,
        })
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The columns that they have.
    pub fn selection(&self) -> &FieldSelection {
        &self.selection
    }

    /// As objects.
    pub fn rows(&self) -> &[JsonRow] {
        &self.rows
    }

    /// As a source reads them: the arrays are shared, not copied.
    ///
    /// # Errors
    /// None: the columns fit.
    pub fn raw(&self) -> anyhow::Result<Vec<RawBatch>> {
        let batches = self.batches.iter().map(|columns| {
            let rows = columns.first().map_or(0, |column| column.len());
            let columns = columns.iter().map(Arc::clone).collect();
            Ok(RawBatch::new(Arc::clone(&self.schema), columns, rows)?)
        });
        batches.collect()
    }

    /// As they are shaped where no plugin is.
    ///
    /// # Errors
    /// None: the columns fit.
    pub fn shaped(&self) -> anyhow::Result<Vec<ShapedBatch>> {
        let gate = Gate::new(self.selection.selected().to_vec(), false);
        let shaped = self.raw()?.into_iter();
        shaped
            .map(|raw| Ok(ShapedBatch::untouched(gate.release(raw)?)))
            .collect()
    }
}
