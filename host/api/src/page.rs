//! Lists that come a page at a time.

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
