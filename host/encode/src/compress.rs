//! Compression of a part, as it is written.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::str::FromStr;

use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::named::{UnknownName, by_name};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952, for everyone.
    Gzip,
    /// RFC 8878, smaller and faster.
    Zstd,
}

impl Compression {
    /// Every compression.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The name that is used in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What is added to the name of a file, with the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

impl FromStr for Compression {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name("compression", &Self::ALL, Self::name, name)
    }
}

/// Level of gzip: what its own tool takes unless told otherwise.
const GZIP_LEVEL: u32 = 6;
/// Level of zstd: likewise.
const ZSTD_LEVEL: i32 = 3;

/// Compresses a stream of bytes. The same bytes in the same pieces give the same file: gzip's
/// header holds no time and no name, and zstd works on one thread.
pub struct Compressor(Stream);

/// The writers own a vector only to have a place to write to: while they work, it is swapped
/// for the caller's, which spares a copy.
enum Stream {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Compressor {
    /// A compressor at the start of a file.
    ///
    /// # Errors
    /// A compressor that cannot be set up.
    pub fn new(compression: Compression) -> io::Result<Self> {
        Ok(Self(match compression {
            Compression::None => Stream::Plain,
            // A default header: no time, no name, no system, which would differ between runs.
            Compression::Gzip => {
                Stream::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))
            }
            Compression::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                // gzip always has a checksum; zstd must be asked for one.
                encoder.include_checksum(true)?;
                Stream::Zstd(encoder)
            }
        }))
    }

    /// Compresses bytes and appends what comes out, which may be nothing yet.
    ///
    /// # Errors
    /// A compressor that fails.
    pub fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.lend(out, |writer| writer.write_all(bytes))
    }

    /// Appends everything that was held back, so that a reader can read what was written so
    /// far. Costs compression: meant for streams, not for files.
    ///
    /// # Errors
    /// A compressor that fails.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.lend(out, |writer| writer.flush())
    }

    /// Appends the rest of the file.
    ///
    /// # Errors
    /// A compressor that fails.
    pub fn finish(self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.0 {
            Stream::Plain => {}
            Stream::Gzip(encoder) => out.append(&mut encoder.finish()?),
            Stream::Zstd(encoder) => out.append(&mut encoder.finish()?),
        }
        Ok(())
    }

    fn lend(
        &mut self,
        out: &mut Vec<u8>,
        work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match &mut self.0 {
            Stream::Plain => work(out),
            Stream::Gzip(encoder) => {
                mem::swap(encoder.get_mut(), out);
                let result = work(encoder);
                mem::swap(encoder.get_mut(), out);
                result
            }
            Stream::Zstd(encoder) => {
                mem::swap(encoder.get_mut(), out);
                let result = work(encoder);
                mem::swap(encoder.get_mut(), out);
                result
            }
        }
    }
}

/// By name only: the buffers hold values of users.
impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Stream::Plain => "Compressor(none)",
            Stream::Gzip(_) => "Compressor(gzip)",
            Stream::Zstd(_) => "Compressor(zstd)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compressed(compression: Compression, pieces: &[&[u8]]) -> Vec<u8> {
        let mut compressor = Compressor::new(compression).expect("a compressor");
        let mut out = b"before".to_vec();
        for piece in pieces {
            compressor.write(piece, &mut out).expect("to memory");
        }
        compressor.finish(&mut out).expect("to memory");
        assert!(out.starts_with(b"before"), "what was in the buffer stays");
        out.split_off(b"before".len())
    }

    fn read(compression: Compression, file: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        match compression {
            Compression::None => bytes.extend_from_slice(file),
            Compression::Gzip => {
                let mut left = file;
                flate2::bufread::GzDecoder::new(&mut left)
                    .read_to_end(&mut bytes)
                    .expect("gzip");
                assert!(left.is_empty(), "one member");
            }
            Compression::Zstd => bytes = zstd::stream::decode_all(file).expect("zstd"),
        }
        bytes
    }

    /// Rows that are long enough to leave every inner buffer.
    fn rows() -> Vec<u8> {
        let mut state = 7_u64;
        let mut rows = Vec::new();
        for row in 0..40_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            rows.extend_from_slice(format!("{{\"row\":{row},\"noise\":{state}}}\n").as_bytes());
        }
        rows
    }

    #[test]
    fn what_is_written_is_read_back() {
        let rows = rows();
        let pieces: Vec<&[u8]> = rows.chunks(10_007).collect();
        for compression in Compression::ALL {
            assert_eq!(
                read(compression, &compressed(compression, &pieces)),
                rows,
                "{compression:?}"
            );
            assert_eq!(
                read(compression, &compressed(compression, &[])),
                b"",
                "{compression:?}"
            );
            assert_eq!(
                read(compression, &compressed(compression, &[b"", b"x", b""])),
                b"x",
                "{compression:?}"
            );
        }
    }

    #[test]
    fn the_same_rows_give_the_same_file() {
        let rows = rows();
        let pieces: Vec<&[u8]> = rows.chunks(65_536).collect();
        for compression in Compression::ALL {
            assert_eq!(
                compressed(compression, &pieces),
                compressed(compression, &pieces),
                "{compression:?}"
            );
        }
    }

    #[test]
    fn a_gzip_header_tells_neither_time_nor_machine() {
        let file = compressed(Compression::Gzip, &[b"rows"]);
        assert_eq!(file[..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn a_damaged_zstd_file_is_noticed() {
        let mut file = compressed(Compression::Zstd, &[b"rows"]);
        assert_eq!(file[4] & 0b100, 0b100, "the frame says that it has a checksum");
        *file.last_mut().expect("a checksum") ^= 1;
        assert!(zstd::stream::decode_all(&file[..]).is_err());
    }

    #[test]
    fn what_was_flushed_can_be_read_before_the_end() {
        let mut out = Vec::new();
        let mut gzip = Compressor::new(Compression::Gzip).expect("a compressor");
        gzip.write(b"{\"row\":1}\n", &mut out).expect("to memory");
        gzip.flush(&mut out).expect("to memory");
        let mut row = [0; 10];
        flate2::read::GzDecoder::new(&out[..])
            .read_exact(&mut row)
            .expect("a row");
        assert_eq!(&row, b"{\"row\":1}\n");

        out.clear();
        let mut zstd = Compressor::new(Compression::Zstd).expect("a compressor");
        zstd.write(b"{\"row\":1}\n", &mut out).expect("to memory");
        zstd.flush(&mut out).expect("to memory");
        let mut row = [0; 10];
        zstd::stream::read::Decoder::new(&out[..])
            .expect("a reader")
            .read_exact(&mut row)
            .expect("a row");
        assert_eq!(&row, b"{\"row\":1}\n");
    }

    #[test]
    fn a_compressor_moves_between_threads_and_shows_no_values() {
        fn moves(compressor: impl Send + fmt::Debug) -> String {
            format!("{compressor:?}")
        }
        let mut gzip = Compressor::new(Compression::Gzip).expect("a compressor");
        gzip.write(b"anita@example.com", &mut Vec::new())
            .expect("to memory");
        assert_eq!(moves(gzip), "Compressor(gzip)");
    }
}
