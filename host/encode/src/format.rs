//! The formats that an export can have, and what every encoder does.

use std::str::FromStr;

use exeat_gate::{ColumnSpec, ShapedBatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::named::{UnknownName, by_name};
use crate::{CsvEncoder, EncodeError, FormulaPolicy, NdjsonEncoder};

/// Makes bytes of shaped batches.
pub trait Encoder: Send {
    /// Appends what stands before the first row: the header of a CSV file.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Appends the rows of a batch.
    ///
    /// # Errors
    /// A batch of other columns, or a value that the format cannot hold. Then nothing was
    /// appended: there is no half row to be taken back.
    fn encode(&mut self, batch: &ShapedBatch, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Ndjson];

    /// The name that is used in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// How the names of such files end, without the dot.
    pub fn extension(self) -> &'static str {
        self.name()
    }

    /// What HTTP calls it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// An encoder for rows of these columns. NDJSON has no use for the formula policy: no
    /// spreadsheet opens it.
    pub fn encoder(self, schema: &[ColumnSpec], formulas: FormulaPolicy) -> Box<dyn Encoder> {
        match self {
            Self::Csv => Box::new(CsvEncoder::new(schema, formulas)),
            Self::Ndjson => Box::new(NdjsonEncoder::new(schema)),
        }
    }
}

impl FromStr for Format {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name("format", &Self::ALL, Self::name, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compression;

    #[test]
    fn every_name_reads_back_and_is_what_serde_writes() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            assert_eq!(serde_json::to_value(format).expect("a name"), format.name());
        }
        for policy in FormulaPolicy::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
            assert_eq!(serde_json::to_value(policy).expect("a name"), policy.name());
        }
        for compression in Compression::ALL {
            assert_eq!(compression.name().parse(), Ok(compression));
            assert_eq!(
                serde_json::to_value(compression).expect("a name"),
                compression.name()
            );
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "xlsx".parse::<Format>().expect_err("no such format");
        assert_eq!(
            error.to_string(),
            "unknown format \"xlsx\": use one of csv, ndjson"
        );
    }

    #[test]
    fn a_file_is_named_after_format_and_compression() {
        let name = |format: Format, compression: Compression| {
            format!("part.{}{}", format.extension(), compression.extension())
        };
        assert_eq!(name(Format::Csv, Compression::None), "part.csv");
        assert_eq!(name(Format::Ndjson, Compression::Gzip), "part.ndjson.gz");
        assert_eq!(name(Format::Ndjson, Compression::Zstd), "part.ndjson.zst");
    }
}
