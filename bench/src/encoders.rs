//! What a row costs in the host's encoders: beside the libraries that people would use, on the same
//! batches.

use std::io::Write as _;
use std::time::{Duration, Instant};

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use exeat_encode::{Format, FormulaPolicy};
use exeat_gate::{ColumnType, ShapedBatch};
use serde_json::{Map, Value};

use crate::people::{BATCH_ROWS, COLUMNS, People};
use crate::results::Results;
use crate::rounds::{Contender, interleave};
use crate::setup::Setup;

/// Measures the encoders, beside what a careful person writes with a library.
///
/// # Errors
/// Something cannot be measured.
pub fn run(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    println!("encoders");
    #[cfg(not(feature = "arrow-writers"))]
    println!("  without arrow-csv and arrow-json: they are measured by cargo xtask bench");
    let people = People::new(setup.rows(), &COLUMNS, BATCH_ROWS)?;
    let shaped = people.shaped()?;
    let rows = people.count();
    let encoded = |format: Format| {
        let shaped = &shaped;
        move || {
            let mut encoder = format.encoder(shaped[0].schema(), FormulaPolicy::Off);
            let mut out = Vec::new();
            let begun = Instant::now();
            for batch in shaped {
                out.clear();
                encoder.encode(batch, &mut out)?;
                std::hint::black_box(&out);
            }
            Ok(begun.elapsed())
        }
    };
    #[cfg(feature = "arrow-writers")]
    let arrow = arrow_writers::batches(&shaped)?;
    let mut contenders = vec![
        Contender::new("csv, exeat", rows, encoded(Format::Csv)),
        Contender::new("csv, csv crate", rows, || by_csv_crate(&shaped)),
        Contender::new("ndjson, exeat", rows, encoded(Format::Ndjson)),
        Contender::new("ndjson, serde_json", rows, || by_serde_json(&shaped)),
    ];
    #[cfg(feature = "arrow-writers")]
    contenders.extend([
        Contender::new("csv, arrow-csv", rows, || arrow_writers::csv(&arrow)),
        Contender::new("ndjson, arrow-json", rows, || arrow_writers::ndjson(&arrow)),
    ]);
    let rounds = interleave(&mut contenders, setup.rounds)?;
    drop(contenders);
    rounds.print();
    results.note("encoders", rounds.medians());
    Ok(())
}

fn by_csv_crate(shaped: &[ShapedBatch]) -> anyhow::Result<Duration> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let mut cell = Vec::new();
    let begun = Instant::now();
    for batch in shaped {
        for row in 0..batch.rows() {
            for (spec, column) in batch.schema().iter().zip(batch.columns()) {
                cell.clear();
                if column.is_valid(row) {
                    match spec.column_type {
                        ColumnType::Boolean => write!(cell, "{}", column.as_boolean().value(row))?,
                        ColumnType::Int64 => {
                            write!(cell, "{}", column.as_primitive::<Int64Type>().value(row))?;
                        }
                        ColumnType::TimestampUs => {
                            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                            cell.extend_from_slice(exeat_directory::format_timestamp(micros).as_bytes());
                        }
                        _ => cell.extend_from_slice(column.as_string::<i32>().value(row).as_bytes()),
                    }
                }
                writer.write_field(&cell)?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
    }
    std::hint::black_box(writer.into_inner()?);
    Ok(begun.elapsed())
}

fn by_serde_json(shaped: &[ShapedBatch]) -> anyhow::Result<Duration> {
    let mut out = Vec::new();
    let begun = Instant::now();
    for batch in shaped {
        for row in 0..batch.rows() {
            let mut object = Map::new();
            for (spec, column) in batch.schema().iter().zip(batch.columns()) {
                let value = if column.is_null(row) {
                    Value::Null
                } else {
                    match spec.column_type {
                        ColumnType::Boolean => column.as_boolean().value(row).into(),
                        ColumnType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
                        ColumnType::TimestampUs => {
                            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                            exeat_directory::format_timestamp(micros).into()
                        }
                        _ => column.as_string::<i32>().value(row).into(),
                    }
                };
                object.insert(spec.name.clone(), value);
            }
            serde_json::to_writer(&mut out, &object)?;
            out.push(b'\n');
        }
    }
    std::hint::black_box(out);
    Ok(begun.elapsed())
}

/// Arrow's own writers. A feature, as they take long to build and only benches need them.
#[cfg(feature = "arrow-writers")]
mod arrow_writers {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use arrow_array::RecordBatch;
    use arrow_csv::writer::WriterBuilder;
    use arrow_json::LineDelimitedWriter;
    use arrow_schema::{Field, Schema};
    use exeat_gate::ShapedBatch;

    /// The batches as these writers take them.
    pub(super) fn batches(shaped: &[ShapedBatch]) -> anyhow::Result<Vec<RecordBatch>> {
        let batches = shaped.iter().map(|batch| {
            let columns = batch.schema().iter().zip(batch.columns());
            let fields: Vec<Field> = columns
                .map(|(spec, column)| Field::new(&spec.name, column.data_type().clone(), true))
                .collect();
            let schema = Arc::new(Schema::new(fields));
            Ok(RecordBatch::try_new(schema, batch.columns().to_vec())?)
        });
        batches.collect()
    }

    pub(super) fn csv(batches: &[RecordBatch]) -> anyhow::Result<Duration> {
        let mut out = Vec::new();
        let begun = Instant::now();
        let mut writer = WriterBuilder::new().with_header(false).build(&mut out);
        for batch in batches {
            writer.write(batch)?;
        }
        drop(writer);
        let taken = begun.elapsed();
        std::hint::black_box(out);
        Ok(taken)
    }

    pub(super) fn ndjson(batches: &[RecordBatch]) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut writer = LineDelimitedWriter::new(Vec::new());
        for batch in batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        let taken = begun.elapsed();
        std::hint::black_box(writer.into_inner());
        Ok(taken)
    }
}
