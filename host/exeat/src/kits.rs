//! What `exeat plugin new` writes: templates, the helpers of each language, the contract. Embedded
//! by the build script, so that the binary alone is enough.

/// A file of a kit.
pub(crate) struct KitFile {
    /// Its content.
    pub(crate) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/kits.rs"));

/// The files under a folder, by their paths in it.
pub(crate) fn under(folder: &str) -> impl Iterator<Item = (&'static str, &'static KitFile)> {
    FILES
        .iter()
        .filter_map(move |(path, file)| Some((path.strip_prefix(folder)?, file)))
}
