//! Keeps what is fast from becoming slow: instructions are counted by callgrind and by wasmtime,
//! which say the same on a machine that is busy, and compared with what is allowed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::{Outcome, add_guest_targets, cargo, tools};

/// Where it is kept how many instructions a row may take.
const BUDGETS: &str = "bench/budgets.txt";

/// By how much a count may exceed its budget.
const BAND: f64 = 0.05;

/// Instructions a row, by case.
type Counts = BTreeMap<String, f64>;

/// Counts every case, and compares; or keeps the counts, with `--write`.
pub(crate) fn budgets(args: &[String]) -> Outcome {
    let write = match args {
        [] => false,
        [word] if word == "--write" => true,
        _ => return Err("cargo xtask budgets [--write]".to_owned()),
    };
    tools::valgrind()?;
    tools::postgresql()?;
    add_guest_targets()?;
    // With all packages, so that their tests and this one share what is compiled.
    cargo(&["build", "--locked", "--workspace", "--bin", "exeat-budgets"])?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = workspace.join("target/debug/exeat-budgets");
    let folder = workspace.join("target/budgets");
    let _ = std::fs::remove_dir_all(&folder);
    output(Command::new(&program).arg("prepare").arg(&folder))?;
    let mut counts = Counts::new();
    for case in output(Command::new(&program).arg("cases"))?.0.lines() {
        let wrong = || format!("a case is a name, a number of rows and who counts, not {case}");
        let [name, rows, counter] = case.split(' ').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let rows: f64 = rows.parse().map_err(|_| wrong())?;
        let count = |times| match counter {
            "fuel" => fuel(&program, name, times, &folder),
            _ => instructions(&program, name, times, &folder),
        };
        let (once, more) = (count(1)?, count(3)?);
        counts.insert(name.to_owned(), ((more - once) / 2.0 / rows).round());
    }
    let file = workspace.join(BUDGETS);
    if write {
        let lines = counts.iter().map(|(case, count)| format!("{case} {count}\n"));
        return std::fs::write(&file, lines.collect::<String>()).map_err(|error| error.to_string());
    }
    compare(&counts, &file)
}

fn compare(counts: &Counts, file: &Path) -> Outcome {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let budget = |line: &str| {
        let (case, count) = line.split_once(' ')?;
        Some((case.to_owned(), count.parse().ok()?))
    };
    let budgets: Option<Counts> = text.lines().map(budget).collect();
    let budgets = budgets.ok_or_else(|| format!("{BUDGETS}: a line is a case and a number"))?;
    let mut broken = Vec::new();
    println!("instructions a row     allowed   counted");
    for (case, count) in counts {
        let budget = budgets.get(case).copied().unwrap_or_default();
        let change = count / budget - 1.0;
        println!("{case:<20} {budget:>10} {count:>9} {:>+7.1} %", change * 100.0);
        if change.is_nan() || change > BAND {
            broken.push(case.as_str());
        } else if change < -BAND {
            println!("{case} has become faster: keep it so with cargo xtask budgets --write");
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} takes more than {} % over its budget in {BUDGETS}: find out why; if there is a good reason, \
         cargo xtask budgets --write",
        broken.join(", "),
        BAND * 100.0
    ))
}

/// What wasmtime counted in guests.
fn fuel(program: &Path, case: &str, times: u32, folder: &Path) -> Result<f64, String> {
    let (fuel, _) = output(Command::new(program).args([case, &times.to_string()]).arg(folder))?;
    fuel.trim()
        .parse()
        .map_err(|_| format!("{case} says nothing of fuel: {fuel}"))
}

/// Instructions of a whole run, of this process alone.
fn instructions(program: &Path, case: &str, times: u32, folder: &Path) -> Result<f64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([case, &times.to_string()])
        .arg(folder);
    let (_, report) = output(&mut valgrind)?;
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind says nothing of instructions:\n{report}"))
}

/// What a command writes to its two outputs.
fn output(command: &mut Command) -> Result<(String, String), String> {
    let called = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{called}: {error}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    if output.status.success() {
        Ok((stdout, stderr))
    } else {
        Err(format!("{called}: {}\n{stderr}", output.status))
    }
}
