//! What a plugin declares when a job opens.

use crate::bindings::{transform::exports::exeat::plugin::transform as wit, types};
use crate::error::Fault;
use crate::input::{AnyColumn, Bool, Float, Int, Json, List, Text, Timestamp};
use crate::output::{BoolOut, FloatOut, IntOut, JsonOut, TextOut, TimestampOut};

pub use crate::bindings::types::ColumnType;

/// One column that the host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the column.
    pub name: String,
    /// Type of its values.
    pub column_type: ColumnType,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// Part of the export unless the plugin leaves it out; any other is to be had for the asking.
    pub selected: bool,
}

/// The columns on offer, and those that the plugin reads.
#[derive(Debug)]
struct Reads {
    input: Vec<Field>,
    reads: Vec<u32>,
}

impl Reads {
    fn new(input: Vec<types::OfferedField>) -> Self {
        let fields = input.into_iter().map(|offered| Field {
            name: offered.field.name,
            column_type: offered.field.column_type,
            nullable: offered.field.nullable,
            selected: offered.selected,
        });
        Self {
            input: fields.collect(),
            reads: Vec::new(),
        }
    }

    fn position(&self, name: &str) -> Result<usize, Fault> {
        let position = self.input.iter().position(|field| field.name == name);
        position.ok_or_else(|| Fault::schema(name, "is not among those that this export can hold"))
    }

    /// The handle of a column of any of these types; reads it once however often it is asked for.
    fn read(&mut self, name: &str, wanted: &[ColumnType]) -> Result<(usize, ColumnType), Fault> {
        let position = self.position(name)?;
        let column_type = self.input[position].column_type;
        if !wanted.contains(&column_type) {
            let message = format!("holds {}, not {}", type_name(column_type), type_name(wanted[0]));
            return Err(Fault::schema(name, message));
        }
        let position = position as u32;
        let slot = self
            .reads
            .iter()
            .position(|read| *read == position)
            .unwrap_or_else(|| {
                self.reads.push(position);
                self.reads.len() - 1
            });
        Ok((slot, column_type))
    }
}

fn type_name(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean => "true or false",
        ColumnType::Int64 => "whole numbers",
        ColumnType::Float64 => "numbers",
        ColumnType::TimestampUs => "timestamps",
        ColumnType::Utf8 => "text",
        ColumnType::Json => "JSON",
        ColumnType::Utf8List => "lists of text",
    }
}

macro_rules! plan_methods {
    ($($method:ident -> $handle:ident: $column_type:ident, $what:literal;)+) => {$(
        #[doc = concat!("Reads a column of ", $what, ".")]
        ///
        /// # Errors
        /// No such column is on offer, or it has another type.
        pub fn $method(&mut self, name: &str) -> Result<$handle, Fault> {
            self.reads.read(name, &[ColumnType::$column_type]).map(|(slot, _)| $handle(slot))
        }
    )+};
}

/// What both kinds of plan can do.
macro_rules! reading {
    () => {
        plan_methods! {
            read_text -> Text: Utf8, "text";
            read_json -> Json: Json, "JSON";
            read_int -> Int: Int64, "whole numbers";
            read_float -> Float: Float64, "numbers";
            read_bool -> Bool: Boolean, "truth values";
            read_timestamp -> Timestamp: TimestampUs, "timestamps";
            read_list -> List: Utf8List, "lists of text";
        }

        /// Reads a column, whatever its type.
        ///
        /// # Errors
        /// No such column is on offer.
        pub fn read_any(&mut self, name: &str) -> Result<AnyColumn, Fault> {
            self.reads
                .read(name, &ALL_TYPES)
                .map(|(slot, column_type)| AnyColumn { slot, column_type })
        }

        /// Every column on offer.
        pub fn input(&self) -> &[Field] {
            &self.reads.input
        }

        /// The column of this name, if it is on offer.
        pub fn find(&self, name: &str) -> Option<&Field> {
            self.reads.input.iter().find(|field| field.name == name)
        }
    };
}

const ALL_TYPES: [ColumnType; 7] = [
    ColumnType::Utf8,
    ColumnType::Json,
    ColumnType::Int64,
    ColumnType::Float64,
    ColumnType::Boolean,
    ColumnType::TimestampUs,
    ColumnType::Utf8List,
];

/// What a transform reads and puts out. The order of the calls is the order of the columns.
#[derive(Debug)]
pub struct TransformPlan {
    reads: Reads,
    output: Vec<wit::OutputColumn>,
    computed: Vec<types::Field>,
}

/// A value that every row has.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// A JSON text.
    Json(String),
}

impl TransformPlan {
    reading!();

    pub(crate) fn new(input: Vec<types::OfferedField>) -> Self {
        Self {
            reads: Reads::new(input),
            output: Vec::new(),
            computed: Vec::new(),
        }
    }

    /// Passes a column on, untouched, under its own name.
    ///
    /// # Errors
    /// No such column is on offer.
    pub fn pass(&mut self, name: &str) -> Result<(), Fault> {
        self.pass_as(name, name)
    }

    /// Passes a column on, untouched, under another name.
    ///
    /// # Errors
    /// No such column is on offer.
    pub fn pass_as(&mut self, name: &str, new_name: &str) -> Result<(), Fault> {
        let input = self.reads.position(name)? as u32;
        self.output.push(wit::OutputColumn::Pass(wit::PassedColumn {
            input,
            name: new_name.to_owned(),
        }));
        Ok(())
    }

    /// Passes on every selected column but these.
    pub fn pass_selected_except(&mut self, names: &[&str]) {
        let input = self.reads.input.iter().enumerate();
        let passed = input.filter(|(_, field)| field.selected && !names.contains(&field.name.as_str()));
        self.output.extend(passed.map(|(index, field)| {
            wit::OutputColumn::Pass(wit::PassedColumn {
                input: index as u32,
                name: field.name.clone(),
            })
        }));
    }

    /// Puts out the same value in every row.
    pub fn constant(&mut self, name: &str, value: Constant) {
        let value = match value {
            Constant::Null => wit::Scalar::Null(ColumnType::Utf8),
            Constant::Bool(value) => wit::Scalar::Boolean(value),
            Constant::Int(value) => wit::Scalar::Int64(value),
            Constant::Float(value) => wit::Scalar::Float64(value),
            Constant::Text(value) => wit::Scalar::Utf8(value),
            Constant::Json(value) => wit::Scalar::Json(value),
        };
        self.output.push(wit::OutputColumn::Constant(wit::ConstantColumn {
            name: name.to_owned(),
            value,
        }));
    }

    /// Puts out a column of text that [`Transform::row`](crate::Transform::row) writes.
    pub fn compute_text(&mut self, name: &str) -> TextOut {
        TextOut(self.compute(name, ColumnType::Utf8))
    }

    /// Puts out a column of JSON texts.
    pub fn compute_json(&mut self, name: &str) -> JsonOut {
        JsonOut(self.compute(name, ColumnType::Json))
    }

    /// Puts out a column of whole numbers.
    pub fn compute_int(&mut self, name: &str) -> IntOut {
        IntOut(self.compute(name, ColumnType::Int64))
    }

    /// Puts out a column of numbers.
    pub fn compute_float(&mut self, name: &str) -> FloatOut {
        FloatOut(self.compute(name, ColumnType::Float64))
    }

    /// Puts out a column of truth values.
    pub fn compute_bool(&mut self, name: &str) -> BoolOut {
        BoolOut(self.compute(name, ColumnType::Boolean))
    }

    /// Puts out a column of timestamps.
    pub fn compute_timestamp(&mut self, name: &str) -> TimestampOut {
        TimestampOut(self.compute(name, ColumnType::TimestampUs))
    }

    fn compute(&mut self, name: &str, column_type: ColumnType) -> usize {
        let field = types::Field {
            name: name.to_owned(),
            column_type,
            nullable: true,
        };
        self.computed.push(field.clone());
        self.output.push(wit::OutputColumn::Computed(field));
        self.computed.len() - 1
    }

    pub(crate) fn computed(&self) -> &[types::Field] {
        &self.computed
    }

    pub(crate) fn into_wit(self, stateless: bool) -> wit::Plan {
        wit::Plan {
            reads: self.reads.reads,
            output: self.output,
            stateless,
        }
    }
}

/// What an adapter reads.
#[derive(Debug)]
pub struct AdapterPlan {
    reads: Reads,
}

impl AdapterPlan {
    reading!();

    pub(crate) fn new(input: Vec<types::OfferedField>) -> Self {
        Self {
            reads: Reads::new(input),
        }
    }

    pub(crate) fn reads(self) -> Vec<u32> {
        self.reads.reads
    }
}
