//! Instants: microseconds since 1970-01-01T00:00:00Z in the database, RFC 3339 for people.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The current instant.
pub fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// RFC 3339 in UTC, with fractions of a second only where there are any.
pub fn format_timestamp(us: i64) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| "out of range".to_owned(), |at| at.to_string())
}

/// An RFC 3339 instant, or a date: its first instant in UTC.
pub fn parse_instant(text: &str) -> Option<i64> {
    // RFC 3339 has four digits for the year, and no sign.
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_microsecond());
    }
    let date: Date = (text.len() == "2025-01-01".len()).then(|| text.parse().ok())??;
    date.to_zoned(TimeZone::UTC)
        .ok()
        .map(|at| at.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_instants_are_understood() {
        assert_eq!(parse_instant("1970-01-02"), Some(86_400_000_000));
        assert_eq!(parse_instant("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(format_timestamp(1_768_471_200_000_000), "2026-01-15T10:00:00Z");
        for wrong in [
            "",
            "2025",
            "2025-13-01",
            "yesterday",
            "2025-01-01T00:00:00",
            "-009999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_instant(wrong), None, "{wrong}");
        }
    }
}
