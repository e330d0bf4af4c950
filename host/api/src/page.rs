//! Lists that come a page at a time.

use crate::problem::Problem;

/// How many entries a page has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSize {
    /// Where nobody says.
    pub(crate) usual: u32,
    /// At most.
    pub(crate) most: u32,
}

impl PageSize {
    /// The size that is asked for.
    pub(crate) fn of(self, asked: Option<u32>) -> Result<u32, Problem> {
        match asked {
            None => Ok(self.usual),
            Some(limit) if (1..=self.most).contains(&limit) => Ok(limit),
            Some(_) => {
                let detail = format!("a limit is between 1 and {}", self.most);
                Err(Problem::new("invalid-query", detail))
            }
        }
    }
}

/// How many entries to ask for: one more than the page has, which tells whether there is another.
pub(crate) fn asked(limit: u32) -> u32 {
    limit.saturating_add(1)
}

/// Cuts what was found to a page; says the cursor of the next one, if there is one.
pub(crate) fn cut<T, C>(found: &mut Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Option<C> {
    let limit = limit as usize;
    let more = found.len() > limit;
    found.truncate(limit);
    found.last().filter(|_| more).map(cursor)
}
