//! Embeds what `exeat plugin new` writes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Folders of the repository, and where they lie among the kits.
const FOLDERS: [(&str, &str); 7] = [
    ("guest-sdk/templates", "templates"),
    ("guest-sdk/js", "js"),
    ("guest-sdk/python", "python"),
    ("guest-sdk/c", "c"),
    ("guest-sdk/src", "rust/guest-sdk/src"),
    ("guest-sdk/kit", "rust"),
    ("wit/v0_1", "wit"),
];

/// Files of the helpers that authors do not need: our own tests of them.
const OURS: [&str; 4] = ["test.mjs", "test_exeat.py", "test_exeat.c", "__pycache__"];

/// What a build in a template would leave behind.
const LEFT_BEHIND: [&str; 3] = ["node_modules", "target", "build"];

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut table = "const FILES: &[(&str, KitFile)] = &[\n".to_owned();
    for (folder, name) in FOLDERS {
        let folder = workspace.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        collect(&folder, &mut files);
        files.sort();
        for file in files {
            let path = file
                .strip_prefix(&folder)
                .expect("a file of the folder")
                .display();
            let file = file.canonicalize().expect("a readable file");
            let line = format!(
                "    ({:?}, KitFile {{ bytes: include_bytes!({file:?}) }}),",
                format!("{name}/{path}")
            );
            writeln!(table, "{line}").expect("text can be written");
        }
    }
    let manifest = workspace
        .join("guest-sdk/Cargo.toml")
        .canonicalize()
        .expect("a readable file");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let line =
        format!("    (\"rust/guest-sdk/Cargo.toml\", KitFile {{ bytes: include_bytes!({manifest:?}) }}),");
    writeln!(table, "{line}").expect("text can be written");
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("kits.rs");
    std::fs::write(out, table).expect("the table can be written");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if OURS.contains(&name.as_str()) || LEFT_BEHIND.contains(&name.as_str()) || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
