//! How long browsers keep an answer without asking again.

use super::client::Head;

/// How long an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keeping {
    /// Browsers ask again each time.
    Never,
    /// So many seconds.
    Seconds(u64),
    /// The answer does not say: browsers guess, often a tenth of the file's age.
    Guessed,
}

impl Keeping {
    /// What the headers of an answer say ([RFC 9111](https://www.rfc-editor.org/rfc/rfc9111), sections 4.2 and 5.2).
    pub fn of(head: &Head) -> Keeping {
        let control = head.get("cache-control").to_ascii_lowercase();
        let directives = || control.split(',').map(str::trim);
        if directives().any(|name| name == "no-store" || name == "no-cache" || name.starts_with("no-cache=")) {
            return Keeping::Never;
        }
        let age = head.get("age").parse().unwrap_or(0);
        if let Some(most) = directives().find_map(|directive| directive.strip_prefix("max-age=")) {
            // What cannot be read counts as stale.
            let seconds: u64 = most.trim_matches('"').parse().unwrap_or(0);
            return Keeping::Seconds(seconds.saturating_sub(age));
        }
        match (head.get("expires").as_str(), httpdate::parse_http_date(&head.get("date"))) {
            ("", _) => Keeping::Guessed,
            (expires, Ok(date)) => {
                let lasts = httpdate::parse_http_date(expires).ok().and_then(|expires| expires.duration_since(date).ok());
                Keeping::Seconds(lasts.map_or(0, |lasts| lasts.as_secs()))
            }
            (_, Err(_)) => Keeping::Guessed,
        }
    }

    /// Whether a new file is seen after at most so many seconds.
    pub fn is_at_most(self, seconds: u64) -> bool {
        matches!(self, Keeping::Never) || matches!(self, Keeping::Seconds(n) if n <= seconds)
    }

    /// Whether the file is surely kept for so many seconds.
    pub fn is_at_least(self, seconds: u64) -> bool {
        matches!(self, Keeping::Seconds(n) if n >= seconds)
    }

    /// For people.
    pub fn said(self) -> String {
        match self {
            Keeping::Never => "asked for each time".into(),
            Keeping::Seconds(seconds) => format!("kept for {seconds} s"),
            Keeping::Guessed => "no Cache-Control, so browsers guess".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_how_long() {
        let date = "Date: Mon, 30 Nov 2026 22:00:00 GMT";
        for (lines, expected) in [
            (vec!["Cache-Control: public, max-age=31536000, immutable"], Keeping::Seconds(31_536_000)),
            (vec!["Cache-Control: Max-Age=600", "Age: 590"], Keeping::Seconds(10)),
            (vec!["Cache-Control: max-age=10", "Age: 99"], Keeping::Seconds(0)),
            (vec!["Cache-Control: s-maxage=600, max-age=5"], Keeping::Seconds(5)),
            (vec!["Cache-Control: max-age=soon"], Keeping::Seconds(0)),
            (vec!["Cache-Control: no-cache"], Keeping::Never),
            (vec!["Cache-Control: max-age=600", "Cache-Control: no-store"], Keeping::Never),
            (vec![date, "Expires: Mon, 30 Nov 2026 22:01:40 GMT"], Keeping::Seconds(100)),
            (vec![date, "Expires: 0"], Keeping::Seconds(0)),
            (vec!["Expires: Mon, 30 Nov 2026 22:01:40 GMT"], Keeping::Guessed),
            (vec!["Cache-Control: public"], Keeping::Guessed),
            (vec![], Keeping::Guessed),
        ] {
            assert_eq!(Keeping::of(&Head::of(&lines)), expected, "{lines:?}");
        }
        assert!(Keeping::Never.is_at_most(60) && Keeping::Seconds(60).is_at_most(60) && !Keeping::Seconds(61).is_at_most(60));
        assert!(!Keeping::Guessed.is_at_most(60) && !Keeping::Guessed.is_at_least(1) && Keeping::Seconds(9).is_at_least(9));
    }
}
