//! Times as RFC 3339 text.

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days from 0000-01-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_528;
/// Days from 0000-01-01 to 10000-01-01.
const DAYS_OF_FOUR_DIGITS: i64 = days_before_year(10_000);

/// Days of a common year before each month, and the length of the year.
const COMMON: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
/// The same for a leap year.
const LEAP: [i64; 13] = [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366];

/// The time does not fit into the four digits that RFC 3339 has for the year.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfRange;

/// Writes times, and remembers the day of the last one: users who are exported one after the other
/// often signed up on the same day.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    /// Days since 0000-01-01, and how they are written.
    day: i64,
    date: [u8; 10],
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            day: 0,
            date: *b"0000-01-01",
        }
    }
}

impl Calendar {
    /// Appends a time, given in microseconds since 1970, as in `2026-01-15T10:00:00.25Z`. The
    /// fraction is as long as it must be to be exact, and absent where it is zero.
    #[inline]
    pub(crate) fn write_timestamp(&mut self, micros: i64, out: &mut Vec<u8>) -> Result<(), OutOfRange> {
        let day = micros.div_euclid(MICROS_PER_DAY) + DAYS_BEFORE_1970;
        if day != self.day {
            self.turn_to(day)?;
        }
        let of_day = micros.rem_euclid(MICROS_PER_DAY);
        let (seconds, mut fraction) = (of_day / MICROS_PER_SECOND, of_day % MICROS_PER_SECOND);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        text[..10].copy_from_slice(&self.date);
        put(&mut text, 11, seconds / 3600);
        put(&mut text, 14, seconds / 60 % 60);
        put(&mut text, 17, seconds % 60);
        let mut end = 19;
        if fraction != 0 {
            put(&mut text, 20, fraction / 10_000);
            put(&mut text, 22, fraction / 100 % 100);
            put(&mut text, 24, fraction % 100);
            end = 26;
            while fraction % 10 == 0 {
                fraction /= 10;
                end -= 1;
            }
        }
        text[end] = b'Z';
        // All of it, then back: a copy of constant length needs no call.
        let end = out.len() + end + 1;
        out.extend_from_slice(&text);
        out.truncate(end);
        Ok(())
    }

    fn turn_to(&mut self, day: i64) -> Result<(), OutOfRange> {
        if !(0..DAYS_OF_FOUR_DIGITS).contains(&day) {
            return Err(OutOfRange);
        }
        let (year, month, of_month) = date(day);
        put(&mut self.date, 0, year / 100);
        put(&mut self.date, 2, year % 100);
        put(&mut self.date, 5, month);
        put(&mut self.date, 8, of_month);
        self.day = day;
        Ok(())
    }
}

/// Writes a number below 100 as two digits.
fn put(text: &mut [u8], at: usize, number: i64) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month and day in the Gregorian calendar, of the days since 0000-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    // 400 years are 146,097 days, so this is off by one year at most, around New Year.
    let mut year = days * 400 / 146_097;
    if days < days_before_year(year) {
        year -= 1;
    } else if days >= days_before_year(year + 1) {
        year += 1;
    }
    let of_year = days - days_before_year(year);
    let starts = if is_leap(year) { &LEAP } else { &COMMON };
    // No month is longer than 32 days, and a year of such months ends less than one month late:
    // this is the month, or the one before it.
    let mut month = (of_year / 32) as usize;
    if of_year >= starts[month + 1] {
        month += 1;
    }
    (year, month as i64 + 1, of_year - starts[month] + 1)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 0000-01-01 to the first of January. The year 0000 is a leap year.
const fn days_before_year(year: i64) -> i64 {
    365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn text(micros: i64) -> String {
        let mut out = Vec::new();
        Calendar::default()
            .write_timestamp(micros, &mut out)
            .expect("a time in range");
        String::from_utf8(out).expect("ASCII")
    }

    fn micros(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("RFC 3339").as_microsecond()
    }

    const FIRST: i64 = -DAYS_BEFORE_1970 * MICROS_PER_DAY;
    const LAST: i64 = (DAYS_OF_FOUR_DIGITS - DAYS_BEFORE_1970) * MICROS_PER_DAY - 1;

    #[test]
    fn times_look_like_the_promised_ones() {
        assert_eq!(text(1_768_471_200_000_000), "2026-01-15T10:00:00Z");
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(1), "1970-01-01T00:00:00.000001Z");
        assert_eq!(text(250_000), "1970-01-01T00:00:00.25Z");
        assert_eq!(text(951_782_400_000_000), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn times_before_1970_are_exact() {
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text(-1_000_000), "1969-12-31T23:59:59Z");
        assert_eq!(text(-2_208_988_800_000_000), "1900-01-01T00:00:00Z");
    }

    #[test]
    fn a_year_without_four_digits_is_refused() {
        assert_eq!(text(FIRST), "0000-01-01T00:00:00Z");
        assert_eq!(text(LAST), "9999-12-31T23:59:59.999999Z");
        for out_of_range in [i64::MIN, FIRST - 1, LAST + 1, i64::MAX] {
            let mut out = Vec::new();
            assert_eq!(
                Calendar::default().write_timestamp(out_of_range, &mut out),
                Err(OutOfRange)
            );
            assert!(out.is_empty());
        }
    }

    #[test]
    fn every_day_of_ten_thousand_years_is_followed_by_the_next() {
        let mut expected = (0, 1, 1);
        for days in 0..DAYS_OF_FOUR_DIGITS {
            assert_eq!(date(days), expected);
            let (year, month, day) = expected;
            let length = match month {
                2 if is_leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = if day < length {
                (year, month, day + 1)
            } else if month < 12 {
                (year, month + 1, 1)
            } else {
                (year + 1, 1, 1)
            };
        }
    }

    proptest! {
        #[test]
        fn a_remembered_day_changes_nothing(times in proptest::collection::vec(FIRST..=LAST, 1..20), again in any::<bool>()) {
            let mut calendar = Calendar::default();
            for time in times {
                for time in [time, if again { time } else { (time + 1_000_000).min(LAST) }] {
                    let mut out = Vec::new();
                    calendar.write_timestamp(time, &mut out).expect("a time in range");
                    prop_assert_eq!(String::from_utf8(out).expect("ASCII"), text(time));
                }
            }
        }

        #[test]
        fn a_time_reads_back_to_the_microsecond(time in FIRST..=253_402_207_200_000_000) {
            // The upper end is the last time that jiff reads, a day before the last of ours.
            prop_assert_eq!(micros(&text(time)), time);
        }
    }
}
