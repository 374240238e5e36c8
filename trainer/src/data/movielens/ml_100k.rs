//! MovieLens 100K. GroupLens' files and RecBole's copy give the same bytes.

use anyhow::{Context, Result};

use super::{Find, Release, ReleaseFile, Tables, latin_1, rows};

/// 100,000 ratings of 943 users on 1,682 films.
pub const ML_100K: Release = Release {
    name: "ml-100k",
    url: "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    archive: None,
    package: Some("recbole==1.2.1"),
    licence: "MovieLens 100K, GroupLens Research, University of Minnesota: for research only, no redistribution, no commercial use \
        without permission; cite Harper and Konstan 2015, doi:10.1145/2827872",
    files: [
        ReleaseFile {
            name: "events.csv",
            rows: 100_000,
            sha256: Some("99a930993ab4ede918f884038aca70c11c9f9ab24ec223ee33cfcfb62e0598b8"),
        },
        ReleaseFile {
            name: "items.csv",
            rows: 1_682,
            sha256: Some("89510913025085c45702b030dd1b775843e6e23de751275ea275e8dd2f7f270e"),
        },
        ReleaseFile {
            name: "users.csv",
            rows: 943,
            sha256: Some("1705771c52753ebed3a679a2bedf33b4ce63cfde801bcdd338b838648c586723"),
        },
    ],
    age: "number",
    tables,
};

/// The genres in the order of the flags in `u.item`.
const GENRES: [&str; 19] = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];
/// The tables from GroupLens' files (`u.data` …) if `find` has them, else from RecBole's (`ml-100k.inter` …).
fn tables(find: Find) -> Result<Tables> {
    let Some(ratings) = find("u.data")? else { return recbole(find) };
    let mut text = |name: &str| find(name)?.map(latin_1).with_context(|| format!("no {name}"));
    let mut films = Vec::new();
    for [id, title, _, _, _, flags @ ..] in rows::<24>("u.item", &text("u.item")?, "|", 0)? {
        let genres = GENRES.iter().zip(&flags).filter(|(_, flag)| *flag == "1").map(|(genre, _)| genre.to_string());
        films.push((id, title.trim_end().to_owned(), genres.collect()));
    }
    let user = |[id, age, gender, occupation, _]: [String; 5]| [id, age, gender, occupation];
    Ok(Tables {
        ratings: rows("u.data", &latin_1(ratings), "\t", 0)?,
        films,
        users: rows("u.user", &text("u.user")?, "|", 0)?.into_iter().map(user).collect(),
    })
}

/// RecBole moved the year out of the title. Putting it back gives GroupLens' title, except for one misspelt film
/// without a year.
fn recbole(find: Find) -> Result<Tables> {
    let mut text = |ending: &str| {
        let name = format!("ml-100k.{ending}");
        let bytes = find(&name)?.with_context(|| format!("neither u.data nor {name}"))?;
        String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))
    };
    let film = |[id, title, year, genres]: [String; 4]| {
        let title = if title == "unkonwn" { "unknown".to_owned() } else { format!("{title} ({year})") };
        (id, title, GENRES.iter().filter(|g| genres.split(' ').any(|have| have == **g)).map(|g| g.to_string()).collect())
    };
    let user = |[id, age, gender, occupation, _]: [String; 5]| [id, age, gender, occupation];
    Ok(Tables {
        ratings: rows("ml-100k.inter", &text("inter")?, "\t", 1)?,
        films: rows("ml-100k.item", &text("item")?, "\t", 1)?.into_iter().map(film).collect(),
        users: rows("ml-100k.user", &text("user")?, "\t", 1)?.into_iter().map(user).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::super::tests::archive;
    use super::*;

    const FLAGS_UNKNOWN: &str = "1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0";
    const FLAGS_CHILDREN: &str = "0|0|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0";

    /// The same three films, as GroupLens and as RecBole write them.
    fn sources() -> [Vec<(&'static str, Vec<u8>)>; 2] {
        let item = format!(
            "1|Mis\u{e9}rables, Les (1995)|01-Jan-1995||x|{FLAGS_CHILDREN}\n267|unknown||||{FLAGS_UNKNOWN}\n\
             1412|Great Giving (1995) (V)|01-Jan-1995||x|{FLAGS_CHILDREN}\n"
        );
        let item_1 = item.chars().map(|c| c as u8).collect();
        let grouplens = vec![
            ("ml-100k/README", b"u.data".to_vec()),
            ("ml-100k/u.data", b"196\t267\t3\t881250949\n22\t1\t1\t878887116\n".to_vec()),
            ("ml-100k/u.item", item_1),
            ("ml-100k/u.user", b"196|49|M|writer|55105\n22|25|M|writer|40206\n".to_vec()),
        ];
        let recbole = vec![
            ("recbole/ml-100k.inter", b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t267\t3\t881250949\n22\t1\t1\t878887116\n".to_vec()),
            (
                "recbole/ml-100k.item",
                "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tMisérables, Les\t1995\tChildren's Animation\n\
                 267\tunkonwn\tunkonwn\tunknown\n1412\tGreat Giving (1995)\tV\tAnimation Children's\n"
                    .as_bytes()
                    .to_vec(),
            ),
            ("recbole/ml-100k.user", b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n196\t49\tM\twriter\t55105\n22\t25\tM\twriter\t40206\n".to_vec()),
        ];
        [grouplens, recbole]
    }

    #[test]
    fn both_sources_give_the_same_bytes() {
        let expected = [
            "user,item,rating,timestamp\n196,267,3,881250949\n22,1,1,878887116\n",
            "item,title,year,genres\n1,\"Misérables, Les (1995)\",1995,Animation|Children's\n267,unknown,,unknown\n\
             1412,Great Giving (1995) (V),1995,Animation|Children's\n",
            "user,age,gender,occupation\n196,49,M,writer\n22,25,M,writer\n",
        ];
        for files in sources() {
            assert_eq!(ML_100K.in_archive(archive(&files).path()).unwrap().csv(), expected);
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &sources()[0] {
            let path = folder.path().join(name.strip_prefix("ml-100k/").unwrap());
            if name.ends_with("u.data") {
                let mut packed = flate2::write::GzEncoder::new(
                    File::create(format!("{}.gz", path.display())).unwrap(),
                    flate2::Compression::fast(),
                );
                packed.write_all(bytes).unwrap();
                packed.finish().unwrap();
            } else {
                fs::write(path, bytes).unwrap();
            }
        }
        assert_eq!(ML_100K.gather(folder.path().to_str().unwrap(), folder.path()).unwrap().csv(), expected);
    }

    #[test]
    fn other_contents_are_refused() {
        let work = tempfile::tempdir().unwrap();
        let error = |files: &[(&str, Vec<u8>)]| {
            let file = archive(files);
            format!("{:#}", ML_100K.write(file.path().to_str(), work.path()).unwrap_err())
        };
        let [grouplens, recbole] = sources();
        assert!(error(&grouplens).contains("events.csv: 100000 rows expected, got 2"));
        assert!(error(&grouplens[..2]).contains("no u.item"));
        assert!(error(&recbole[1..]).contains("neither u.data nor ml-100k.inter"));
        assert!(
            error(&[("u.data", b"1\t2\n".to_vec()), ("u.item", vec![]), ("u.user", vec![])])
                .contains("u.data:1: 4 fields expected, got 2")
        );
        let text = work.path().join("text");
        fs::write(&text, "<!doctype html>").unwrap();
        assert!(format!("{:#}", ML_100K.write(text.to_str(), work.path()).unwrap_err()).contains("not a zip archive"));
        assert!(!work.path().join("events.csv").exists());
    }
}
