//! What was built for a version of the contract runs for as long as this host says that it runs
//! that version: components that nobody rebuilds, with the golden cases that they passed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use exeat_sandbox::compiler::{CompileLimits, Compiler};
use exeat_sandbox::{Plugin, PluginKind, PluginLimits, Sandbox, SandboxSetup, digest};
use exeat_workbench::{Smoke, Verdict, admit, check_case, read_cases};
use wit_component::semver_check;
use wit_parser::{PackageId, Resolve};

/// The frozen plugins: folder, kind, and the component that it was and stays.
const FROZEN: [(&str, PluginKind, &str); 4] = [
    (
        "v0_1/field-map",
        PluginKind::Transform,
        "sha256:aca8b83f205863db13a1579cb8fbb6c311e2223dfe71b8933e380a77249690dd",
    ),
    (
        "v0_1/pseudonymize",
        PluginKind::Transform,
        "sha256:f8b14b07fb99293423cedb57eb794e6910c077a5f7c63d0acef20c73e03b3f71",
    ),
    (
        "v0_1/auth0",
        PluginKind::Adapter,
        "sha256:f129fc51211242ce40e89d0a7712991ccd99aa8d499354dfe44b900eda9fd0ad",
    ),
    (
        "v0_1/shout",
        PluginKind::Transform,
        "sha256:6589ec381cae6aced091aeb927ca331a23cfa39c01cb71bc43a9a51a09c0951c",
    ),
];

/// The contracts that were given out, and their packages.
const CONTRACTS: [(&str, &str); 1] = [("v0_1", "exeat:plugin@0.1.0")];

const WORLDS: [&str; 2] = ["transform-plugin", "adapter-plugin"];

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn frozen_folder() -> PathBuf {
    here().join("abi")
}

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let program = env!("CARGO_BIN_EXE_exeat-under-test").into();
    let setup = SandboxSetup {
        compiler: Compiler::new(program, CompileLimits::default()),
        cache: None,
        metered: false,
    };
    Sandbox::new(setup).expect("a machine that can run the engine")
});

/// What goes wrong is said of all cases at once.
#[track_caller]
fn assert_cases_pass(plugin: &Plugin, folder: &Path) {
    let cases = read_cases(folder).expect("golden cases");
    let mut wrong = String::new();
    for (path, case) in &cases {
        match check_case(&SANDBOX, plugin, PluginLimits::default(), case) {
            Verdict::Passed => {}
            other => wrong.push_str(&format!("\n{}: {other:#?}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}:{wrong}", plugin.label());
}

#[test]
fn frozen_plugins_are_admitted_and_pass_the_golden_cases_that_they_passed() {
    for (name, kind, built) in FROZEN {
        let folder = frozen_folder().join(name);
        let component = std::fs::read(folder.join("component.wasm")).unwrap();
        assert_eq!(digest(&component), built, "{name} is never rebuilt");
        let admitted = admit(&SANDBOX, &component, PluginLimits::default(), None)
            .unwrap_or_else(|error| panic!("{name} is no longer admitted: {error}"));
        assert_eq!(admitted.plugin.kind(), kind, "{name}");
        // Without a configuration, these two cannot know which columns are meant.
        let ran = matches!(admitted.smoke, Smoke::Ran { .. });
        let must_run = !["v0_1/field-map", "v0_1/shout"].contains(&name);
        assert!(ran || !must_run, "{name}: {:?}", admitted.smoke);
        assert_cases_pass(&admitted.plugin, &folder.join("cases"));
    }
}

#[test]
fn no_frozen_plugin_is_forgotten_or_lost() {
    let mut found = BTreeSet::new();
    for (contract, _) in CONTRACTS {
        for entry in std::fs::read_dir(frozen_folder().join(contract)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                found.insert(format!("{contract}/{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    let named: BTreeSet<String> = FROZEN.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(found, named);
}

#[test]
fn shipped_plugins_pass_their_golden_cases_in_the_sandbox() {
    let folders: Vec<PathBuf> = ["transforms", "adapters"]
        .iter()
        .flat_map(|kind| std::fs::read_dir(here().join("../plugins").join(kind)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("cases").is_dir())
        .collect();
    assert_eq!(folders.len(), exeat_shipped::PLUGINS.len(), "{folders:?}");
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy();
        let shipped = exeat_shipped::find(&name).unwrap_or_else(|| panic!("{name} is not shipped"));
        let plugin = Plugin::load(&SANDBOX, shipped.component, PluginLimits::default()).unwrap();
        assert_cases_pass(&plugin, &folder.join("cases"));
    }
}

fn contract(version: &str) -> String {
    let file = here().join("../wit").join(version).join("exeat.wit");
    std::fs::read_to_string(file).expect("the contract")
}

fn frozen_contract(version: &str) -> String {
    let file = frozen_folder().join(version).join("exeat.wit");
    std::fs::read_to_string(file).expect("the frozen contract")
}

#[test]
fn a_contract_that_was_given_out_does_not_change_by_a_byte() {
    let given_out: BTreeSet<String> = std::fs::read_dir(here().join("../wit"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let named: BTreeSet<String> = CONTRACTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(given_out, named, "each version of the contract is frozen");
    for (version, _) in CONTRACTS {
        assert!(
            contract(version) == frozen_contract(version),
            "wit/{version} has changed: a change of the contract is a new version in a folder of its own"
        );
    }
}

/// Whether `new` takes the place of `old` in every world; the first reason why it does not.
fn takes_the_place_of(old: &str, new: &str, package: &str) -> Result<(), String> {
    let mut resolve = Resolve::default();
    // Two packages of one name and version cannot stand side by side.
    let named = format!("package {package};");
    let elsewhere = named.replace(char::is_numeric, "9");
    assert!(old.contains(&named) && new.contains(&named), "both are {package}");
    let mut push = |text: &str| -> Result<PackageId, String> {
        resolve
            .push_str("exeat.wit", text)
            .map_err(|error| format!("{error:#}"))
    };
    let (old, new) = (push(&old.replace(&named, &elsewhere))?, push(new)?);
    for world in WORLDS {
        let find = |package| {
            resolve
                .select_world(&[package], Some(world))
                .map_err(|error| format!("{error:#}"))
        };
        semver_check(resolve.clone(), find(old)?, find(new)?)
            .map_err(|error| format!("{world}: {error:#}"))?;
    }
    Ok(())
}

#[test]
fn the_contract_takes_the_place_of_the_one_that_was_frozen() {
    for (version, package) in CONTRACTS {
        takes_the_place_of(&frozen_contract(version), &contract(version), package).unwrap();
    }
}

#[test]
fn a_contract_that_old_plugins_do_not_fit_would_be_noticed() {
    let [(version, package)] = CONTRACTS;
    let frozen = frozen_contract(version);
    for (what, becomes) in [
        (
            "record batch { sequence: u64, rows: u32,",
            "record batch { sequence: u64, rows: u64,",
        ),
        ("enum level { trace, debug,", "enum level { debug, trace,"),
        ("seed: u64,", "seed: u64, locale: string,"),
        (
            "finish: func() -> result<encoded, fault>;",
            "finish: func() -> result<encoded, string>;",
        ),
    ] {
        let changed = frozen.replacen(what, becomes, 1);
        assert_ne!(changed, frozen, "{what}");
        assert!(
            takes_the_place_of(&frozen, &changed, package).is_err(),
            "{becomes}"
        );
    }
    // More that a plugin may import does no harm.
    let more = frozen.replace(
        "world transform-plugin { import log;",
        "interface more { now: func() -> u64; }\nworld transform-plugin { import log; import more;",
    );
    assert_ne!(more, frozen);
    takes_the_place_of(&frozen, &more, package).unwrap();
}
