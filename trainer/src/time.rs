//! Times as text, in UTC and the proleptic Gregorian calendar.

/// The day of a time in Unix seconds, as `1998-04-22`.
///
/// Source: `civil_from_days` in Hinnant, chrono-compatible low-level date algorithms, 2013.
pub fn day(seconds: i64) -> String {
    let z = seconds.div_euclid(86_400) + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}

/// A time in Unix milliseconds as ISO 8601: `1997-09-22T22:02:38.012Z`.
pub fn iso(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let of_day = seconds.rem_euclid(86_400);
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{}T{h:02}:{m:02}:{s:02}.{:03}Z", day(seconds), ms.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_the_calendar() {
        let cases = [(0, "1970-01-01"), (-1, "1969-12-31"), (951_782_400, "2000-02-29"), (893_286_638, "1998-04-22")];
        for (seconds, expected) in cases {
            assert_eq!(day(seconds), expected);
        }
        assert_eq!((day(253_402_300_799), day(-62_167_219_200)), ("9999-12-31".into(), "0000-01-01".into()));
    }

    #[test]
    fn iso_times_have_milliseconds() {
        assert_eq!(iso(874_965_758_012), "1997-09-22T22:02:38.012Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999Z");
    }
}
