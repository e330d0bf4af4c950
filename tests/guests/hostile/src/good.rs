//! How to behave, and the pieces that misdeeds put together wrongly.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{
    Batch, Column, ColumnType, Fault, Field, OfferedField, SchemaError, Utf8Values, Values,
};
use crate::bindings::exports::exeat::plugin::transform::{Output, OutputColumn, PassedColumn, Plan};

/// Does nothing wrong.
#[derive(Debug, Default)]
pub(crate) struct Good;

impl Behaviour for Good {}

/// Reads `name`, passes `user_id` on, computes `note`.
pub(crate) fn plan(input: &[OfferedField]) -> Result<Plan, Fault> {
    let name = place(input, "name")?;
    let passed = PassedColumn {
        input: place(input, "user_id")?,
        name: "user_id".to_owned(),
    };
    Ok(Plan {
        reads: vec![name],
        output: vec![OutputColumn::Pass(passed), computed("note", ColumnType::Utf8)],
        stateless: true,
    })
}

/// The same with other output columns, after `user_id`.
pub(crate) fn plan_of(input: &[OfferedField], columns: Vec<OutputColumn>) -> Result<Plan, Fault> {
    let mut plan = plan(input)?;
    plan.output.truncate(1);
    plan.output.extend(columns);
    Ok(plan)
}

fn place(input: &[OfferedField], name: &str) -> Result<u32, Fault> {
    let place = input.iter().position(|offered| offered.field.name == name);
    place.map(|place| place as u32).ok_or_else(|| {
        Fault::UnsupportedSchema(SchemaError {
            field: name.to_owned(),
            message: "is not offered".to_owned(),
        })
    })
}

/// A computed column that may lack values.
pub(crate) fn computed(name: &str, column_type: ColumnType) -> OutputColumn {
    OutputColumn::Computed(Field {
        name: name.to_owned(),
        column_type,
        nullable: true,
    })
}

/// `note` as a copy of `name`.
pub(crate) fn output(batch: Batch) -> Output {
    output_of(batch.columns)
}

/// These columns, and every row stays.
pub(crate) fn output_of(columns: Vec<Column>) -> Output {
    Output {
        columns,
        keep: None,
        rejects: Vec::new(),
    }
}

/// `note`, with values laid end to end.
pub(crate) fn note(offsets: Vec<i32>, bytes: Vec<u8>) -> Output {
    let values = Values::Utf8(Utf8Values { offsets, bytes });
    output_of(vec![Column {
        validity: None,
        values,
    }])
}

/// The same text in every row of `note`.
pub(crate) fn note_of(rows: u32, text: &str) -> Output {
    let offsets = (0..=rows as i32).map(|row| row * text.len() as i32).collect();
    note(offsets, text.repeat(rows as usize).into_bytes())
}

/// The values of `name`.
pub(crate) fn names(batch: &Batch) -> Utf8Values {
    match batch.columns.first().map(|column| &column.values) {
        Some(Values::Utf8(texts)) => texts.clone(),
        _ => Utf8Values {
            offsets: vec![0; batch.rows as usize + 1],
            bytes: Vec::new(),
        },
    }
}
