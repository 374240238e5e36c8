//! Times as text and back, in the proleptic Gregorian calendar.

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

/// The Unix seconds of an ISO 8601 date or time: `2022-06-24`, `2022-06-24T21:20`, `2022-06-24 21:20:11.5+02:00`. A
/// text without an offset is in UTC, and a fraction of a second is cut off. `None` for any other text, and for a day
/// that the calendar does not have.
pub fn seconds(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y, m, d] = [0..4, 5..7, 8..10].map(|part| date.get(part).and_then(digits));
    let midnight = 86_400 * days(y?, m?, d?);
    // The text of the day must come out again: 30 February would become 2 March.
    if day(midnight) != date {
        return None;
    }
    if rest.is_empty() {
        return Some(midnight);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zulu = rest.strip_suffix(['Z', 'z']).or_else(|| rest.strip_suffix("UTC"));
    let (clock, offset) = match (zulu, rest.rfind(['+', '-'])) {
        (Some(clock), _) => (clock, 0),
        (None, Some(at)) => (&rest[..at], if rest[at..].starts_with('-') { -1 } else { 1 } * offset(&rest[at + 1..])?),
        (None, None) => (rest, 0),
    };
    Some(midnight + of_day(clock.trim_end())? - offset)
}

/// A text of digits as a number.
fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Days from 1970-01-01 to a day of the calendar; months are 1 to 12.
///
/// Source: `days_from_civil` in Hinnant, see [`day`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Seconds since midnight of `21:20`, `21:20:11` or `21:20:11.5`.
fn of_day(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let mut parts = whole.split(':').map(|part| digits(part).filter(|_| part.len() == 2));
    let (h, m, s) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    // The second 60 is a leap second.
    let fits = h < 24 && m < 60 && s <= 60 && parts.next().is_none();
    digits(fraction.get(..1)?)?;
    (fits && fraction.bytes().all(|b| b.is_ascii_digit())).then_some(h * 3600 + m * 60 + s)
}

/// Seconds of an offset without its sign: `02:00`, `0200` or `02`.
fn offset(text: &str) -> Option<i64> {
    let (h, m) = text.split_at_checked(2)?;
    let m = if m.is_empty() { "00" } else { m.strip_prefix(':').unwrap_or(m) };
    let (h, m) = (digits(h)?, digits(m).filter(|_| m.len() == 2)?);
    (h < 24 && m < 60).then_some(h * 3600 + m * 60)
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

    #[test]
    fn dates_and_times_are_read_or_refused() {
        let noon = 1_656_072_000; // 2022-06-24T12:00:00Z
        let good = [
            ("2022-06-24T12:00:00Z", noon),
            ("2022-06-24 12:00:00", noon),
            ("2022-06-24T12:00", noon),
            ("2022-06-24T12:00:00.999999999Z", noon),
            ("2022-06-24t14:00:00,5+02:00", noon),
            ("2022-06-24 06:30:00-0530", noon),
            ("2022-06-24 12:00:00 UTC", noon),
            ("2022-06-24 12:00:00+00", noon),
            ("2022-06-24T11:59:60Z", noon),
            ("2022-06-24", noon - 43_200),
            ("0000-01-01", -62_167_219_200),
            ("2000-02-29", 951_782_400),
        ];
        for (text, expected) in good {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        let bad = [
            "",
            "2022",
            "2022-06",
            "2022-6-24",
            "2022-02-29",
            "2022-02-30",
            "2022-13-01",
            "2022-00-10",
            "2022-06-00",
            "1900-02-29",
            "24-06-2022",
            "2022/06/24",
            "2022-06-24T",
            "2022-06-24 24:00:00",
            "2022-06-24 12:60",
            "2022-06-24 1:00",
            "2022-06-24 12",
            "2022-06-24T12:00:00.",
            "2022-06-24T12:00:00.5x",
            "2022-06-24T12:00:00+2",
            "2022-06-24T12:00:00+25:00",
            "2022-06-24T12:00:00+02:60",
            "2022-06-24T12:00:00:00",
            "2022-06-24x12:00",
            "2022-06-24é",
            "2022-06-2é",
            "+022-06-24",
            "2022-06-24T12:00:00+020",
            "2022-06-24T-1:00:00",
            "1701135459",
        ];
        for text in bad {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for i in -30_000..40_000_i64 {
            let ms = i * 1_987_654_321 + i;
            assert_eq!(seconds(&iso(ms)), Some(ms.div_euclid(1000)), "{}", iso(ms));
        }
    }
}
