//! `cargo xtask bench` builds this, everything that it measures, and the peers, and runs it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use exeat_bench::results::Results;
use exeat_bench::setup::{PeerPrograms, Setup};
use exeat_bench::{adapters, encoders, exports, life, machine, scaling, transforms};

const USAGE: &str = "\
exeat-bench --exeat PROGRAM --folder FOLDER --results FILE --readme FILE [--quick] [--only GROUP]
            [--peers FOLDER]   where the peers' programs were built

Groups: transforms, adapters, encoders, sqlite, postgres, scaling, life";

type Group = (&'static str, fn(&Setup, &mut Results) -> anyhow::Result<()>);

const GROUPS: [Group; 7] = [
    ("transforms", transforms::run),
    ("adapters", adapters::run),
    ("encoders", encoders::run),
    ("sqlite", exports::sqlite),
    ("postgres", exports::postgres),
    ("scaling", scaling::run),
    ("life", life::run),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (mut exeat, mut folder, mut file, mut readme) = (None, None, None, None);
    let (mut peers, mut only) = (None, None);
    let mut quick = false;
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .with_context(|| format!("{arg} needs a value\n\n{USAGE}"))
        };
        match arg.as_str() {
            "--exeat" => exeat = Some(PathBuf::from(value()?)),
            "--folder" => folder = Some(PathBuf::from(value()?)),
            "--results" => file = Some(PathBuf::from(value()?)),
            "--readme" => readme = Some(PathBuf::from(value()?)),
            "--peers" => peers = Some(PathBuf::from(value()?)),
            "--only" => only = Some(value()?),
            "--quick" => quick = true,
            _ => bail!("there is no option {arg}\n\n{USAGE}"),
        }
    }
    let (file, readme) = (file.context(USAGE)?, readme.context(USAGE)?);
    let setup = Setup {
        exeat: std::path::absolute(exeat.context(USAGE)?)?,
        folder: std::path::absolute(folder.context(USAGE)?)?,
        peers: peers.map(|folder| PeerPrograms::in_folder(&folder)),
        rounds: if quick { 5 } else { 7 },
        quick,
    };
    std::fs::create_dir_all(&setup.folder)?;
    let mut results = Results {
        machine: machine::describe(),
        rounds: setup.rounds,
        users: setup.users(),
        ..Results::default()
    };
    let chosen = GROUPS
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name));
    let mut ran = 0;
    for (_, group) in chosen {
        group(&setup, &mut results)?;
        ran += 1;
    }
    if ran == 0 {
        bail!("there is no group {}\n\n{USAGE}", only.unwrap_or_default());
    }
    println!("\n{}", results.table());
    for missed in results.claims.iter().filter(|claim| !claim.holds()) {
        println!("missed: {}", missed.what);
    }
    // A part, or less of everything, is told and not kept.
    if !quick {
        if let Ok(earlier) = Results::read(&file) {
            results.complete_with(earlier);
        }
        results.write(&file)?;
        let text = std::fs::read_to_string(&readme)?;
        std::fs::write(&readme, results.set_in(&text)?)?;
        println!("kept in {} and {}", file.display(), readme.display());
    }
    Ok(())
}
