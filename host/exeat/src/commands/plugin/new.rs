//! `exeat plugin new`: a project that builds and passes its tests at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use exeat_sandbox::is_plugin_name;

use crate::cli::{KindArg, LangArg};
use crate::kits;

/// What stands in a template for the plugin's name, and for the name that a Rust crate of it has.
const NAME: &str = "{{name}}";
const CRATE: &str = "{{crate}}";

/// Files that begin with a dot where they belong, and not in the templates.
const DOTTED: [(&str, &str); 2] = [("gitignore", ".gitignore"), ("cargo/", ".cargo/")];

/// What ends the names of files that are Rust's or cargo's once the names are filled in. As they
/// lie in the repository, they are neither.
const UNFILLED: &str = ".in";

/// Makes the project.
pub(super) fn run(name: &str, kind: KindArg, lang: LangArg) -> Result<ExitCode> {
    if !is_plugin_name(name) {
        bail!(
            "a plugin's name is 1 to 64 lower-case letters, digits and hyphens, a letter first, not {name}"
        );
    }
    if exeat_shipped::find(name).is_some() {
        bail!("{name} is the name of a plugin that ships; choose another");
    }
    let folder = PathBuf::from(name);
    if folder.exists() {
        bail!("{name} exists already");
    }
    let template = format!("templates/{}-{}/", lang.name(), kind.name());
    for (path, file) in kits::under(&template) {
        let text = String::from_utf8_lossy(file.bytes)
            .replace(NAME, name)
            .replace(CRATE, &name.replace('-', "_"));
        write(
            &folder.join(dotted(path.trim_end_matches(UNFILLED))),
            text.as_bytes(),
        )?;
    }
    for (path, file) in kits::under(&format!("templates/cases-{}/", kind.name())) {
        write(&folder.join("cases").join(path), file.bytes)?;
    }
    write_kit(&folder.join(".exeat"), lang)?;
    println!("made {name}/ ({} in {}); next:", kind.name(), lang.name());
    println!("  cd {name} && exeat plugin build && exeat plugin test");
    Ok(ExitCode::SUCCESS)
}

fn dotted(path: &str) -> String {
    let renamed = DOTTED
        .iter()
        .find_map(|(plain, dotted)| Some(format!("{dotted}{}", path.strip_prefix(plain)?)));
    renamed.unwrap_or_else(|| path.to_owned())
}

/// What a project in this language needs of Exeat's own: the contract, and the language's helper.
fn write_kit(folder: &Path, lang: LangArg) -> Result<()> {
    let kit = match lang {
        LangArg::Rust => "rust/",
        LangArg::C => "c/",
        LangArg::Js | LangArg::Ts => "js/",
        LangArg::Python => "python/",
    };
    // The Rust crate names the contract by its place in the repository, and lies as it does there.
    let (wit, place) = if kit == "rust/" {
        ("wit/v0_1", "")
    } else {
        ("wit", kit)
    };
    for (path, file) in kits::under("wit/") {
        write(&folder.join(wit).join(path), file.bytes)?;
    }
    for (path, file) in kits::under(kit) {
        write(&folder.join(place).join(path), file.bytes)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("{} cannot be written", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    std::fs::write(path, bytes).with_context(cannot)
}
