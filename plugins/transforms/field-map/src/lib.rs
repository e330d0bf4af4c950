//! Selects, renames, orders and combines columns, and reaches into JSON.
//!
//! ```json
//! {"columns": [
//!   {"from": "user_id", "as": "id"},
//!   {"from": "user_metadata.country", "as": "country"},
//!   {"from": "identities[0].connection"},
//!   {"from": "state", "equals": "suspended", "as": "blocked"},
//!   {"constant": "exeat", "as": "source"},
//!   {"concat": [{"from": "given_name"}, {"text": " "}, {"from": "family_name"}], "as": "full_name"}
//! ]}
//! ```
//!
//! The output has exactly these columns, in this order. `user_metadata` is Auth0's word for
//! `custom_attributes` and may be used for it.

mod config;
mod path;
mod pick;

use exeat_sdk::{
    AnyColumn, BoolOut, Fault, Job, Json, JsonOut, List, Output, Reject, Row, Text, TextOut, Transform,
};
use exeat_sdk::{TextWriter, TransformPlan, Value, Verdict};

use config::{ColumnConfig, Config, Piece, Source};
use path::{Path, Step};

/// A field map at work: the columns that it has to compute.
#[derive(Debug)]
pub struct FieldMap {
    computed: Vec<Computed>,
}

#[derive(Debug)]
enum Computed {
    Picked {
        from: Json,
        steps: Vec<Step>,
        to: JsonOut,
    },
    Item {
        from: List,
        index: usize,
        to: TextOut,
    },
    Equals {
        from: Text,
        text: String,
        to: BoolOut,
    },
    Concat {
        pieces: Vec<Part>,
        to: TextOut,
    },
}

/// A part of a concatenation.
#[derive(Debug)]
enum Part {
    Text(String),
    Value(AnyColumn),
    Picked(Json, Vec<Step>),
    Item(List, usize),
}

impl Transform for FieldMap {
    type Config = Config;

    fn open(config: Config, _job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault> {
        if config.columns.is_empty() {
            return Err(Fault::config("/columns", "name at least one column"));
        }
        let mut computed = Vec::new();
        for (index, column) in config.columns.iter().enumerate() {
            let pointer = format!("/columns/{index}");
            computed.extend(open_column(column, &pointer, plan)?);
        }
        Ok(Self { computed })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject> {
        for column in &self.computed {
            match column {
                Computed::Picked { from, steps, to } => {
                    if let Some(json) = row.json(*from).and_then(|json| pick::pick(json, steps)) {
                        out.json(*to, json);
                    }
                }
                Computed::Item { from, index, to } => {
                    if let Some(text) = row.list(*from).get(*index) {
                        out.text(*to, text);
                    }
                }
                Computed::Equals { from, text, to } => {
                    if let Some(value) = row.text(*from) {
                        out.bool(*to, value == text);
                    }
                }
                Computed::Concat { pieces, to } => {
                    out.text_with(*to, |text| pieces.iter().for_each(|piece| piece.write(row, text)));
                }
            }
        }
        Ok(Verdict::Keep)
    }
}

/// Declares one column; hands back what has to be computed for it.
fn open_column(
    column: &ColumnConfig,
    pointer: &str,
    plan: &mut TransformPlan,
) -> Result<Option<Computed>, Fault> {
    match column.source(pointer)? {
        Source::Constant(value) => {
            plan.constant(column.name(pointer)?, config::constant(value));
            Ok(None)
        }
        Source::Equals(from, text) => {
            let name = column.name(pointer)?;
            let from = plan
                .read_text(from)
                .map_err(|fault| fault.at(&format!("{pointer}/from")))?;
            Ok(Some(Computed::Equals {
                from,
                text: text.to_owned(),
                to: plan.compute_bool(name),
            }))
        }
        Source::Concat(pieces) => {
            let name = column.name(pointer)?;
            let parts = pieces.iter().enumerate();
            let pieces = parts
                .map(|(index, piece)| open_part(piece, &format!("{pointer}/concat/{index}"), plan))
                .collect::<Result<_, _>>()?;
            Ok(Some(Computed::Concat {
                pieces,
                to: plan.compute_text(name),
            }))
        }
        Source::From(from) => {
            let at = format!("{pointer}/from");
            let name = column.title.as_deref().unwrap_or(from);
            match Reach::of(from, &at, plan)? {
                Reach::Whole(column) => {
                    plan.pass_as(&column, name)?;
                    Ok(None)
                }
                Reach::Picked(from, steps) => Ok(Some(Computed::Picked {
                    from,
                    steps,
                    to: plan.compute_json(name),
                })),
                Reach::Item(from, index) => Ok(Some(Computed::Item {
                    from,
                    index,
                    to: plan.compute_text(name),
                })),
            }
        }
    }
}

fn open_part(piece: &Piece, pointer: &str, plan: &mut TransformPlan) -> Result<Part, Fault> {
    match (&piece.from, &piece.text) {
        (Some(from), None) => {
            let at = format!("{pointer}/from");
            Ok(match Reach::of(from, &at, plan)? {
                Reach::Whole(column) => Part::Value(plan.read_any(&column)?),
                Reach::Picked(from, steps) => Part::Picked(from, steps),
                Reach::Item(from, index) => Part::Item(from, index),
            })
        }
        (None, Some(text)) => Ok(Part::Text(text.clone())),
        _ => Err(Fault::config(pointer, "a piece has either \"from\" or \"text\"")),
    }
}

/// What a path leads to.
enum Reach {
    /// A whole column.
    Whole(String),
    /// A place inside a JSON column.
    Picked(Json, Vec<Step>),
    /// One item of a list column.
    Item(List, usize),
}

impl Reach {
    fn of(from: &str, pointer: &str, plan: &mut TransformPlan) -> Result<Self, Fault> {
        if plan.find(from).is_some() {
            return Ok(Self::Whole(from.to_owned()));
        }
        let Path { root, steps } = Path::parse(from).map_err(|message| Fault::config(pointer, message))?;
        let root = match (plan.find(&root), root.as_str()) {
            (None, "user_metadata") => "custom_attributes".to_owned(),
            _ => root,
        };
        let Some(field) = plan.find(&root) else {
            return Err(Fault::config(
                pointer,
                format!("the column \"{root}\" is not among those that this export can hold"),
            ));
        };
        match (field.column_type, steps.as_slice()) {
            (_, []) => Ok(Self::Whole(root)),
            (exeat_sdk::ColumnType::Json, _) => Ok(Self::Picked(plan.read_json(&root)?, steps)),
            (exeat_sdk::ColumnType::Utf8List, [Step::Index(index)]) => {
                Ok(Self::Item(plan.read_list(&root)?, *index))
            }
            _ => Err(Fault::config(
                pointer,
                format!("the column \"{root}\" has nothing inside at this path"),
            )),
        }
    }
}

impl Part {
    fn write(&self, row: Row<'_>, text: &mut TextWriter<'_>) {
        match self {
            Self::Text(piece) => text.push_str(piece),
            Self::Value(column) => write_value(row.value(*column), text),
            Self::Picked(from, steps) => {
                if let Some(json) = row.json(*from).and_then(|json| pick::pick(json, steps)) {
                    text.push_str(&pick::plain(json));
                }
            }
            Self::Item(from, index) => text.push_str(row.list(*from).get(*index).unwrap_or_default()),
        }
    }
}

fn write_value(value: Value<'_>, text: &mut TextWriter<'_>) {
    use std::fmt::Write as _;
    // Writing to a text in memory cannot fail.
    let _ = match value {
        Value::Null => Ok(()),
        Value::Bool(value) => write!(text, "{value}"),
        Value::Int(value) | Value::Timestamp(value) => write!(text, "{value}"),
        Value::Float(value) => write!(text, "{value}"),
        Value::Text(value) => text.write_str(value),
        Value::Json(value) => text.write_str(&pick::plain(value)),
        Value::List(items) => {
            items.iter().enumerate().for_each(|(index, item)| {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(item);
            });
            Ok(())
        }
    };
}

exeat_sdk::export_transform!(
    FieldMap,
    "Selects, renames, orders and combines columns, and reaches into JSON."
);
