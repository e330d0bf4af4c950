//! Measures contenders beside each other: a machine that is busy for a while is so for all of them.

use std::time::Duration;

/// Something that is measured.
pub struct Contender<'a> {
    /// What it is called in results.
    pub name: &'static str,
    /// Rows of one run.
    pub rows: u64,
    /// Runs once; says how long the part took that counts.
    pub run: Box<dyn FnMut() -> anyhow::Result<Duration> + 'a>,
}

impl<'a> Contender<'a> {
    /// One of this name, whose runs have so many rows.
    pub fn new(name: &'static str, rows: u64, run: impl FnMut() -> anyhow::Result<Duration> + 'a) -> Self {
        Self {
            name,
            rows,
            run: Box::new(run),
        }
    }
}

/// Nanoseconds a row of every contender, in every round.
pub struct Rounds {
    measured: Vec<(&'static str, Vec<f64>)>,
}

/// Runs every contender once for nothing, then once in each round. The order turns, so that nobody
/// always follows the same one.
///
/// # Errors
/// One of them fails.
pub fn interleave(contenders: &mut [Contender<'_>], rounds: usize) -> anyhow::Result<Rounds> {
    let mut measured: Vec<(&'static str, Vec<f64>)> =
        contenders.iter().map(|one| (one.name, Vec::new())).collect();
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            let contender = &mut contenders[place];
            let taken = (contender.run)()
                .map_err(|error| error.context(format!("{} cannot be measured", contender.name)))?;
            if round > 0 {
                measured[place]
                    .1
                    .push(taken.as_nanos() as f64 / contender.rows.max(1) as f64);
            }
        }
    }
    Ok(Rounds { measured })
}

impl Rounds {
    fn of(&self, name: &str) -> &[f64] {
        let found = self.measured.iter().find(|(measured, _)| *measured == name);
        found.map_or(&[], |(_, times)| times)
    }

    /// The median time of a row, in nanoseconds.
    pub fn ns_per_row(&self, name: &str) -> f64 {
        median(self.of(name).to_vec())
    }

    /// How many times as long `slow` takes as `fast`: the median of the rounds' ratios.
    pub fn ratio(&self, slow: &str, fast: &str) -> f64 {
        let pairs = self.of(slow).iter().zip(self.of(fast));
        median(pairs.map(|(slow, fast)| slow / fast).collect())
    }

    /// Prints the median of every contender.
    pub fn print(&self) {
        for (name, times) in &self.measured {
            let ns = median(times.clone());
            println!("  {name:<40} {ns:>12.1} ns/row {:>14.0} rows/s", 1e9 / ns);
        }
    }

    /// The medians, for the results' file.
    pub fn medians(&self) -> Vec<(String, f64)> {
        let medians = self.measured.iter();
        medians
            .map(|(name, times)| ((*name).to_owned(), median(times.clone())))
            .collect()
    }
}

/// The middle one of some figures; zero of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        n if n % 2 == 1 => figures[n / 2],
        n => f64::midpoint(figures[n / 2 - 1], figures[n / 2]),
    }
}
