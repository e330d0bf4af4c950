//! What was measured, what was wanted, and the table that says both.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Where the README's table begins and ends.
const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->";

/// Everything that a run measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// On what.
    pub machine: String,
    /// Rounds of every comparison.
    pub rounds: usize,
    /// Users of the end-to-end comparisons.
    pub users: u64,
    /// What was claimed, and what came of it, in order.
    pub claims: Vec<Claim>,
    /// Medians in nanoseconds a row (or in the unit of the name), by group and contender.
    pub medians: BTreeMap<String, BTreeMap<String, f64>>,
}

/// A ratio or a limit that is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// Its name in the results.
    pub name: String,
    /// What is compared with what, for people.
    pub what: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// What was measured, in the unit of what is wanted.
    pub measured: f64,
    /// After the number: `×`, ` ms`, …
    pub unit: String,
}

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

impl Claim {
    /// Whether what is wanted was reached.
    pub fn holds(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(least) => self.measured >= least,
            Wanted::AtMost(most) => self.measured <= most,
        }
    }

    fn row(&self) -> String {
        let (sign, bound) = match self.wanted {
            Wanted::AtLeast(least) => ("≥", least),
            Wanted::AtMost(most) => ("≤", most),
        };
        let missed = if self.holds() { "" } else { " (missed)" };
        let unit = &self.unit;
        format!(
            "| {} | {sign} {}{unit} | {}{unit}{missed} |",
            self.what,
            number(bound),
            number(self.measured)
        )
    }
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => trimmed(format!("{value:.1}")),
        _ => trimmed(format!("{value:.2}")),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Results {
    /// Notes what was measured for a claim, and prints it.
    pub fn claim(&mut self, name: &str, what: &str, wanted: Wanted, measured: f64, unit: &str) {
        let claim = Claim {
            name: name.to_owned(),
            what: what.to_owned(),
            wanted,
            // As precise as it is: the file should not differ in the sixteenth digit.
            measured: (measured * 1e4).round() / 1e4,
            unit: unit.to_owned(),
        };
        println!("  {}", claim.row());
        self.claims.push(claim);
    }

    /// Notes medians of a group.
    pub fn note(&mut self, group: &str, medians: impl IntoIterator<Item = (String, f64)>) {
        let rounded = medians
            .into_iter()
            .map(|(name, figure)| (name, (figure * 10.0).round() / 10.0));
        self.medians.entry(group.to_owned()).or_default().extend(rounded);
    }

    /// Reads results that were kept.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Takes over from `earlier` what this run did not measure.
    pub fn complete_with(&mut self, earlier: Self) {
        let missing = |claim: &Claim| self.claims.iter().all(|known| known.name != claim.name);
        let kept: Vec<Claim> = earlier
            .claims
            .iter()
            .filter(|claim| missing(claim))
            .cloned()
            .collect();
        let order: Vec<String> = earlier.claims.into_iter().map(|claim| claim.name).collect();
        self.claims.extend(kept);
        let place = |claim: &Claim| order.iter().position(|name| *name == claim.name);
        self.claims
            .sort_by_key(|claim| place(claim).unwrap_or(usize::MAX));
        for (group, medians) in earlier.medians {
            self.medians.entry(group).or_insert(medians);
        }
    }

    /// Keeps the results.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(file, json).with_context(|| file.display().to_string())
    }

    /// The table, as it stands in the README.
    pub fn table(&self) -> String {
        let head = format!(
            "Measured by `cargo xtask bench` on {}, {} users, medians of {} interleaved rounds:\n\n\
             | | wanted | measured |\n|---|---|---|\n",
            self.machine, self.users, self.rounds
        );
        let rows: Vec<String> = self.claims.iter().map(Claim::row).collect();
        head + &rows.join("\n") + "\n"
    }

    /// A text with the table between its marks.
    ///
    /// # Errors
    /// The text has no marks.
    pub fn set_in(&self, text: &str) -> anyhow::Result<String> {
        let (before, rest) = text
            .split_once(BEGIN)
            .context("the mark of the table is missing")?;
        let (_, after) = rest.split_once(END).context("the end of the table is missing")?;
        Ok(format!("{before}{BEGIN}{}{END}{after}", self.table()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_what_was_measured() {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
        let results = Results::read(&bench.join("results.json")).expect("results are kept");
        let readme = std::fs::read_to_string(bench.join("../README.md")).expect("there is a README");
        let fresh = results.set_in(&readme).expect("the README has a place for them");
        assert_eq!(readme, fresh, "cargo xtask bench writes both");
    }

    #[test]
    fn a_claim_that_does_not_hold_says_so() {
        let claim = |wanted| Claim {
            name: "x".to_owned(),
            what: "this against that".to_owned(),
            wanted,
            measured: 1.25,
            unit: "×".to_owned(),
        };
        assert_eq!(
            claim(Wanted::AtLeast(1.2)).row(),
            "| this against that | ≥ 1.2× | 1.25× |"
        );
        assert_eq!(
            claim(Wanted::AtMost(1.2)).row(),
            "| this against that | ≤ 1.2× | 1.25× (missed) |"
        );
    }

    #[test]
    fn a_part_that_was_measured_anew_leaves_the_rest_as_it_was() {
        let results = |names: &[&str], measured: f64| {
            let mut results = Results::default();
            for name in names {
                results.claim(name, name, Wanted::AtLeast(1.0), measured, "");
            }
            results
        };
        let mut fresh = results(&["b"], 2.0);
        fresh.complete_with(results(&["a", "b", "c"], 1.0));
        let kept: Vec<_> = fresh
            .claims
            .iter()
            .map(|claim| (claim.name.as_str(), claim.measured))
            .collect();
        assert_eq!(kept, [("a", 1.0), ("b", 2.0), ("c", 1.0)]);
    }
}
