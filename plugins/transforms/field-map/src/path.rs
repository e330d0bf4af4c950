//! Paths into JSON: `user_metadata.country`, `identities[0].connection`.

/// A column, and the way on from there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) root: String,
    pub(crate) steps: Vec<Step>,
}

/// One step into a JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    pub(crate) fn parse(path: &str) -> Result<Self, String> {
        let mut root = None;
        let mut steps = Vec::new();
        for segment in path.split('.') {
            let (key, indexes) = segment.split_at(segment.find('[').unwrap_or(segment.len()));
            match root {
                None if key.is_empty() => return Err("a path begins with the name of a column".to_owned()),
                None => root = Some(key.to_owned()),
                Some(_) if key.is_empty() => return Err("a name is missing between two dots".to_owned()),
                Some(_) => steps.push(Step::Key(key.to_owned())),
            }
            parse_indexes(indexes, &mut steps)?;
        }
        Ok(Self {
            root: root.unwrap_or_default(),
            steps,
        })
    }
}

fn parse_indexes(mut indexes: &str, steps: &mut Vec<Step>) -> Result<(), String> {
    while !indexes.is_empty() {
        let index = indexes.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (digits, rest) = index.ok_or("an index is written [0]")?;
        steps.push(Step::Index(
            digits.parse().map_err(|_| "an index is a whole number: [0]")?,
        ));
        indexes = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_keys_and_indexes() {
        let path = Path::parse("identities[0].profile.tags[1][2]").unwrap();
        assert_eq!(path.root, "identities");
        let key = |key: &str| Step::Key(key.to_owned());
        assert_eq!(
            path.steps,
            [
                Step::Index(0),
                key("profile"),
                key("tags"),
                Step::Index(1),
                Step::Index(2)
            ]
        );
    }

    #[test]
    fn a_broken_path_is_refused() {
        for path in ["", ".a", "a..b", "a[", "a[x]", "a[0]b", "[0]"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
