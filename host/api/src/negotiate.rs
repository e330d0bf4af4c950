//! What the caller wants the answer to be like: `Accept` and `Accept-Encoding` (RFC 9110 §12.5).

use axum::http::{HeaderMap, header};
use exeat_encode::{Compression, Format};

use crate::problem::Problem;

/// What streams are made of, the first one where the caller does not mind.
const FORMATS: [(&str, &str, Format); 4] = [
    ("application", "x-ndjson", Format::Ndjson),
    ("application", "ndjson", Format::Ndjson),
    ("application", "jsonl", Format::Ndjson),
    ("text", "csv", Format::Csv),
];

/// Codings of the bytes on their way, the best one first.
const CODINGS: [(&str, Compression); 2] = [("zstd", Compression::Zstd), ("gzip", Compression::Gzip)];

/// The format that the caller likes best.
pub(crate) fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let accepted = preferences(headers, &header::ACCEPT);
    if accepted.is_empty() {
        return Ok(Format::Ndjson);
    }
    let weight = |(kind, subtype, _): &(&str, &str, Format)| {
        // The most precise range counts, whatever it weighs.
        let ranges = [format!("{kind}/{subtype}"), format!("{kind}/*"), "*/*".to_owned()];
        let found = ranges
            .iter()
            .find_map(|range| accepted.iter().find(|(accepted, _)| accepted == range));
        found.map_or(0.0, |(_, weight)| *weight)
    };
    best(&FORMATS, weight)
        .map(|(_, _, format)| *format)
        .ok_or_else(|| {
            Problem::new("not-acceptable", "users come as application/x-ndjson or text/csv")
                .hint("send one of them as Accept, or no Accept at all")
        })
}

/// The coding that the caller likes best; none where it names none of ours.
pub(crate) fn coding(headers: &HeaderMap) -> Compression {
    let accepted = preferences(headers, &header::ACCEPT_ENCODING);
    let weight = |(name, _): &(&str, Compression)| {
        let found = [*name, "*"]
            .into_iter()
            .find_map(|wanted| accepted.iter().find(|(accepted, _)| accepted == wanted));
        found.map_or(0.0, |(_, weight)| *weight)
    };
    best(&CODINGS, weight).map_or(Compression::None, |(_, compression)| *compression)
}

/// The first of the heaviest, of those that weigh something.
fn best<T>(candidates: &[T], weight: impl Fn(&T) -> f64) -> Option<&T> {
    let mut best = None;
    let mut heaviest = 0.0;
    for candidate in candidates {
        let weight = weight(candidate);
        if weight > heaviest {
            (best, heaviest) = (Some(candidate), weight);
        }
    }
    best
}

/// What a header names, in lower case and without other parameters, and how much it weighs there.
fn preferences(headers: &HeaderMap, name: &header::HeaderName) -> Vec<(String, f64)> {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let elements = values.flat_map(|value| value.split(','));
    elements
        .filter_map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?;
            let weight = parts.find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim()
                    .eq_ignore_ascii_case("q")
                    .then(|| value.trim().parse().ok())?
            });
            Some((name.to_ascii_lowercase(), weight.unwrap_or(1.0)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn the_format_is_the_one_that_weighs_most() {
        assert_eq!(format(&HeaderMap::new()).unwrap(), Format::Ndjson);
        let cases = [
            ("*/*", Some(Format::Ndjson)),
            ("text/csv", Some(Format::Csv)),
            ("Text/*", Some(Format::Csv)),
            ("application/x-ndjson;q=0.5, text/csv;q=0.9", Some(Format::Csv)),
            ("text/csv;q=0, */*;q=0.1", Some(Format::Ndjson)),
            (
                "text/csv; header=present; q=1, application/jsonl;q=0.2",
                Some(Format::Csv),
            ),
            ("application/json", None),
            ("application/x-ndjson;q=0", None),
        ];
        for (accept, expected) in cases {
            assert_eq!(format(&with("accept", accept)).ok(), expected, "{accept}");
        }
    }

    #[test]
    fn bytes_are_coded_only_for_those_who_ask() {
        assert_eq!(coding(&HeaderMap::new()), Compression::None);
        let cases = [
            ("gzip", Compression::Gzip),
            ("gzip, deflate, br, zstd", Compression::Zstd),
            ("zstd;q=0.1, gzip;q=0.2", Compression::Gzip),
            ("identity", Compression::None),
            ("gzip;q=0", Compression::None),
            ("*", Compression::Zstd),
        ];
        for (accept, expected) in cases {
            assert_eq!(coding(&with("accept-encoding", accept)), expected, "{accept}");
        }
    }
}
