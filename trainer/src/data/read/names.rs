//! The columns that a file must or may have: what to say if one is missing, and usual other names of it.

use crate::data::cell::Rows;
use crate::data::notes;

/// Usual names of the columns with a meaning, in small letters and without signs; the likeliest come first.
const USUAL_NAMES: [(&str, &[&str]); 6] = [
    (
        "user",
        &[
            "user",
            "userid",
            "uid",
            "username",
            "visitorid",
            "visitor",
            "customerid",
            "customer",
            "reviewerid",
            "account",
            "accountid",
            "member",
            "memberid",
            "sessionid",
            "session",
        ],
    ),
    (
        "item",
        &[
            "item",
            "itemid",
            "iid",
            "productid",
            "product",
            "movieid",
            "movie",
            "bookid",
            "isbn",
            "parentasin",
            "asin",
            "sku",
            "articleid",
            "newsid",
            "trackid",
            "songid",
            "videoid",
            "contentid",
            "businessid",
            "gameid",
            "jobid",
        ],
    ),
    (
        "timestamp",
        &[
            "timestamp",
            "time",
            "ts",
            "datetime",
            "date",
            "unixtime",
            "unixtimestamp",
            "unixreviewtime",
            "eventtime",
            "eventtimestamp",
            "timestampms",
            "createdat",
            "created",
            "utc",
        ],
    ),
    ("rating", &["rating", "ratings", "stars", "score", "overall", "bookrating", "userrating", "preference"]),
    (
        "type",
        &[
            "type",
            "eventtype",
            "event",
            "eventname",
            "action",
            "behavior",
            "behaviour",
            "feedback",
            "feedbacktype",
            "interaction",
            "interactiontype",
        ],
    ),
    ("title", &["title", "itemtitle", "movietitle", "booktitle", "producttitle", "name", "itemname", "productname"]),
];

/// A name in small letters, without signs and without a type after a colon: `User-ID` and `user_id:token` are `userid`.
fn folded(name: &str) -> String {
    let name = name.split(':').next().unwrap_or_default();
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The column that seems to have a meaning under another name.
fn other_name<'a>(meaning: &str, columns: &'a [String]) -> Option<&'a String> {
    let usual = USUAL_NAMES.iter().find(|(name, _)| *name == meaning)?.1;
    usual.iter().find_map(|usual| columns.iter().find(|column| folded(column) == *usual))
}

/// What `data.toml` may say about an optional column that is missing; `None` if no column seems to be it.
pub(super) fn proposal(meaning: &str, columns: &[String]) -> Option<String> {
    let name = other_name(meaning, columns)?;
    Some(format!("no column `{meaning}`; data.toml may say [columns] {meaning} = {name:?}"))
}

/// Why a file without the columns of these meanings is refused, and the way out.
pub(super) fn missing(meanings: &[&str], source: &Rows) -> String {
    let columns = &source.columns;
    let told = source.told.as_ref().map(|told| format!(" ({told})")).unwrap_or_default();
    let any = |test: fn(&str) -> bool| columns.iter().any(|column| test(column));
    let way_out = if any(|name| name.trim().parse::<f64>().is_ok()) {
        "the first line looks like data: a header line expected, such as user,item,timestamp".to_owned()
    } else if any(|name| name.starts_with('"')) {
        "a table with tabs has no quotes around names and values".to_owned()
    } else if columns.len() == 1 && any(|name| name.contains(['\t', '|', ':'])) {
        "fields are separated by commas or semicolons in .csv, by tabs in .tsv".to_owned()
    } else {
        let name = |meaning: &&str| format!("{meaning} = {:?}", other_name(meaning, columns).map_or("…", String::as_str));
        format!("data.toml may say [columns] {}", meanings.iter().map(name).collect::<Vec<_>>().join(", "))
    };
    let meanings = meanings.iter().map(|meaning| format!("`{meaning}`")).collect::<Vec<_>>().join(" and no column ");
    format!("no column {meanings} among {}{told}; {way_out}", notes::list(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(columns: &[&str], told: Option<&str>) -> Rows {
        Rows {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            numbers: Vec::new(),
            structures: Vec::new(),
            told: told.map(str::to_owned),
            rows: Box::new(std::iter::empty()),
        }
    }

    #[test]
    fn usual_names_are_proposed() {
        let cases = [
            ("timestamp", &["feedback", "Rating", "Timestamp"][..], Some("Timestamp")),
            ("timestamp", &["rating:float", "timestamp:float"], Some("timestamp:float")),
            ("timestamp", &["date", "event_time", "Unix Time"], Some("date")),
            ("rating", &["Book-Rating"], Some("Book-Rating")),
            ("rating", &["price"], None),
            ("type", &["eventType"], Some("eventType")),
            ("item", &["uid", "movieId"], Some("movieId")),
        ];
        for (meaning, columns, expected) in cases {
            let columns = source(columns, None).columns;
            assert_eq!(other_name(meaning, &columns).map(String::as_str), expected, "{columns:?}");
        }
        let columns = source(&["Timestamp"], None).columns;
        let expected = "no column `timestamp`; data.toml may say [columns] timestamp = \"Timestamp\"";
        assert_eq!(proposal("timestamp", &columns).as_deref(), Some(expected));
    }

    #[test]
    fn a_missing_column_has_a_way_out() {
        let cases = [
            (
                &["User-ID", "ISBN"][..],
                Some("fields separated by `;`"),
                "no column `user` among User-ID, ISBN (fields separated by `;`); data.toml may say [columns] user = \"User-ID\"",
            ),
            (&["a", "b,c"], None, "no column `user` among a, \"b,c\"; data.toml may say [columns] user = \"…\""),
            (
                &["196", "242"],
                None,
                "no column `user` among 196, 242; the first line looks like data: a header line expected, such as user,item,timestamp",
            ),
            (
                &["\"user\"", "x"],
                None,
                "no column `user` among \"\\\"user\\\"\", x; a table with tabs has no quotes around names and values",
            ),
            (
                &["user\titem"],
                None,
                "no column `user` among \"user\\titem\"; fields are separated by commas or semicolons in .csv, by tabs in .tsv",
            ),
        ];
        for (columns, told, expected) in cases {
            assert_eq!(missing(&["user"], &source(columns, told)), expected);
        }
        let both = "no column `user` and no column `item` among userId, movieId; data.toml may say [columns] user = \"userId\", item = \"movieId\"";
        assert_eq!(missing(&["user", "item"], &source(&["userId", "movieId"], None)), both);
    }
}
