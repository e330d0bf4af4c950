//! `exeat plugin`: for authors of plugins, and for those who manage a tenant's.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::place::{HouseArgs, OptionalHouseArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a project that builds and passes its tests at once
    #[command(after_help = "\
Examples:
  exeat plugin new shout --kind transform --lang rust
  exeat plugin new to-acme --kind adapter --lang ts")]
    New {
        /// Name of the plugin and its folder: lower-case letters, digits and hyphens
        name: String,
        /// What the plugin does
        #[arg(long, value_enum)]
        kind: KindArg,
        /// The language to write it in
        #[arg(long, value_enum)]
        lang: LangArg,
    },
    /// Build the component of a project
    Build {
        /// Folder of the project
        #[arg(default_value = ".")]
        project: PathBuf,
    },
    /// Look at a component as the server does before it admits one, offline
    #[command(after_help = "\
Exit code 4 says that the component would not be admitted; the line tells at which step and why.")]
    Check {
        #[command(flatten)]
        component: ComponentArg,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run the golden cases in the sandbox
    #[command(after_help = "\
A case is a JSON file: config, rows, and what must come out of them: expected_rows,
expected_files, expected_dropped, expected_rejects or expected_config_error. Exit code 5 says
that a case came out otherwise.

Examples:
  exeat plugin test
  exeat plugin test --component shout.wasm --cases cases --bless")]
    Test {
        /// Folder of the project
        #[arg(default_value = ".")]
        project: PathBuf,
        /// The component; left out, the one that the project builds
        #[arg(long, value_name = "FILE")]
        component: Option<PathBuf>,
        /// Folder of the cases; left out, the project's folder cases
        #[arg(long, value_name = "DIR")]
        cases: Option<PathBuf>,
        /// Write what comes out into the cases, as what is expected from now on
        #[arg(long)]
        bless: bool,
    },
    /// Run a component on users in a file, and print what comes out
    #[command(after_help = "\
The users are NDJSON, as exeat export writes it. Rows go to standard output; the files of an
adapter go to the folder that --adapter-output names.

Examples:
  exeat plugin run shout.wasm --config shout.json --input users.ndjson
  exeat plugin run to-acme.wasm --input users.ndjson --adapter-output out/")]
    Run(RunArgs),
    /// Measure a component: time and instructions a row, memory, the share of crossing the wall
    #[command(after_help = "\
Examples:
  exeat plugin bench shout.wasm --config shout.json
  exeat plugin bench shout.wasm --config shout.json --rows 200000 --json")]
    Bench(BenchArgs),
    /// Show what a component is: imports, exports, contract, digest, schema, reads
    Inspect {
        #[command(flatten)]
        component: ComponentArg,
        /// Configuration with which it is asked what it reads, as JSON
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Upload a component, and wait until it is admitted
    #[command(after_help = "\
Examples:
  exeat plugin push --tenant acme                      into the data folder, without a server
  EXEAT_TOKEN=exeat_… exeat plugin push --server http://127.0.0.1:8787 shout.wasm")]
    Push {
        #[command(flatten)]
        component: ComponentArg,
        #[command(flatten)]
        house: HouseArgs,
    },
    /// List the plugins that exports can use
    List {
        #[command(flatten)]
        house: OptionalHouseArgs,
        /// Print the JSON Schema of each configuration, too
        #[arg(long)]
        schemas: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a plugin logged, oldest first
    Logs {
        #[command(flatten)]
        version: VersionArg,
        #[command(flatten)]
        house: HouseArgs,
        /// How many lines at most
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Print NDJSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a plugin cost and did, as JSON
    Metrics {
        #[command(flatten)]
        version: VersionArg,
        #[command(flatten)]
        house: HouseArgs,
    },
    /// Let exports use a version again that was disabled or quarantined
    Enable {
        #[command(flatten)]
        version: VersionArg,
        #[command(flatten)]
        house: HouseArgs,
    },
    /// Let no export use a version
    Disable {
        #[command(flatten)]
        version: VersionArg,
        #[command(flatten)]
        house: HouseArgs,
    },
    /// Delete a version; refused while an export uses it
    Delete {
        #[command(flatten)]
        version: VersionArg,
        #[command(flatten)]
        house: HouseArgs,
    },
    /// Show or set the limits of a tenant's plugins, up to the operator's ceiling
    #[command(after_help = "\
Without --set, the limits that hold. The operator's ceiling is the file plugin-ceiling.json in
the data folder; without one, the built-in ceiling holds.

Examples:
  exeat plugin limits --tenant acme
  exeat plugin limits --tenant acme --set memory_bytes=134217728
  exeat plugin limits --tenant acme --plugin shout --set call_deadline_ms=5000 --set traps_to_quarantine=1
  exeat plugin limits --tenant acme --plugin shout --reset")]
    Limits {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Name of one plugin; left out, all of the tenant's
        #[arg(long)]
        plugin: Option<String>,
        /// A limit and its value; may be repeated
        #[arg(long, value_name = "LIMIT=NUMBER")]
        set: Vec<String>,
        /// Go back to the defaults first
        #[arg(long)]
        reset: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ComponentArg {
    /// The component; left out, the one that the project in this folder builds
    pub(crate) component: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) component: ComponentArg,
    /// Users, as NDJSON; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Configuration, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for the files that an adapter writes
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter_output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) component: ComponentArg,
    /// Users, as NDJSON; left out, some are made up
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Configuration, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Rows of one round
    #[arg(long, default_value_t = 100_000)]
    pub(crate) rows: usize,
    /// Rounds; the median counts
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Do not count instructions, for which the component is compiled once more
    #[arg(long)]
    pub(crate) no_fuel: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArg {
    /// Name and version, such as shout@0.1.0
    #[arg(value_name = "NAME@VERSION")]
    pub(crate) plugin: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// Changes rows: maps, anonymizes, filters
    Transform,
    /// Renders rows in the import format of another platform
    Adapter,
}

impl KindArg {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Adapter => "adapter",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LangArg {
    /// Rust: the fastest, a component of 230 KB
    Rust,
    /// C, with clang and wasi-libc, a component of 50 KB
    C,
    /// JavaScript, on the QuickJS engine, 1.8 MB
    Js,
    /// TypeScript, on the QuickJS engine, 1.8 MB
    Ts,
    /// Python, an 18 MB component
    Python,
}

impl LangArg {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Js => "js",
            Self::Ts => "ts",
            Self::Python => "python",
        }
    }
}
