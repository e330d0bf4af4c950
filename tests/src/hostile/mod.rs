//! Guests that mean harm, for tests of the sandbox: in Rust, in WebAssembly text, and made up.

pub mod bombs;
mod compose;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A transform that does one thing wrong, as its configuration says: `{"misdeed": "NAME"}`, where
/// NAME is one of [`misdeeds`] or `none`.
pub fn rust_guest() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"))
}

/// The same for adapters: one of [`adapter_misdeeds`] or `none`.
pub fn adapter_guest() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/hostile_adapter.wasm"))
}

/// A transform from `wat/NAME.wat`: what the file defines, and for the rest what `wat/defaults`
/// define. `NAME.wit` beside it widens the world; what lies in `wat/beside/NAME.wat` is put into
/// the component beside the guest. `none` behaves.
///
/// # Panics
/// There is no such guest, or it cannot be assembled.
pub fn wat_guest(name: &str) -> Vec<u8> {
    let texts = folder("hostile/wat");
    let module = texts.join(name).with_extension("wat");
    let beside = texts.join("beside").join(name).with_extension("wat");
    assert!(
        name == "none" || module.exists() || beside.exists(),
        "there is no guest {name}"
    );
    let text = if module.exists() {
        read(&module)
    } else {
        String::new()
    };
    let widened = module.with_extension("wit");
    let widened = widened.exists().then(|| read(&widened));
    let guest = compose::guest(&texts.join("defaults"), &text, widened.as_deref());
    if beside.exists() {
        compose::put_beside(guest, &assemble(&beside))
    } else {
        guest
    }
}

/// What `wat/components/NAME.wat` says, as it is.
///
/// # Panics
/// There is no such text, or it cannot be assembled.
pub fn component_text(name: &str) -> Vec<u8> {
    assemble(&folder("hostile/wat/components").join(name).with_extension("wat"))
}

/// What [`rust_guest`] can do wrong: the names of its files.
pub fn misdeeds() -> BTreeSet<String> {
    names(&folder("hostile/src/misdeeds"), "rs")
}

/// What [`adapter_guest`] can do wrong: the names of its files.
pub fn adapter_misdeeds() -> BTreeSet<String> {
    names(&folder("hostile-adapter/src/misdeeds"), "rs")
}

/// What [`wat_guest`] can make.
pub fn wat_guests() -> BTreeSet<String> {
    let texts = folder("hostile/wat");
    let beside = names(&texts.join("beside"), "wat");
    names(&texts, "wat").into_iter().chain(beside).collect()
}

/// What [`component_text`] can assemble.
pub fn component_texts() -> BTreeSet<String> {
    names(&folder("hostile/wat/components"), "wat")
}

/// A folder of guests.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests").join(name)
}

/// The files of a folder, without their endings, and without `mod`.
fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder of guests can be read") {
        let path = entry.expect("the folder of guests can be read").path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        if path.extension().is_some_and(|found| found == ending) {
            names.extend(name.filter(|name| name != "mod"));
        }
    }
    names
}

fn assemble(path: &Path) -> Vec<u8> {
    wat::parse_str(read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
