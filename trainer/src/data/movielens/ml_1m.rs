//! MovieLens 1M: `ratings.dat`, `movies.dat` and `users.dat`, with fields separated by `::`, in ISO-8859-1.

use anyhow::{Context, Result};

use super::{Find, Release, ReleaseFile, Tables, latin_1, rows};

/// 1,000,209 ratings of 6,040 users; 3,883 films, of which 3,706 are rated.
///
/// The SHA-256 is that of GroupLens' archive, whose published MD5 is c4d9eecfca2ab87c1945afe126590906. Of a folder only
/// the number of ratings is checked.
pub const ML_1M: Release = Release {
    name: "ml-1m",
    url: "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    archive: Some("a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
    package: None,
    licence: "MovieLens 1M, GroupLens Research, University of Minnesota: for research only, no redistribution, no commercial use \
        without permission; cite Harper and Konstan 2015, doi:10.1145/2827872",
    files: [
        ReleaseFile { name: "events.csv", rows: 1_000_209, sha256: None },
        ReleaseFile {
            name: "items.csv",
            rows: 3_883,
            sha256: Some("3a10584797d25af4460e101fca9e30d1adf34109a42592b3cbde45a96b766c1b"),
        },
        ReleaseFile {
            name: "users.csv",
            rows: 6_040,
            sha256: Some("ec7f2cadf326f1d12924f10e913a85ad294880471b4684f388acfd4158730974"),
        },
    ],
    age: "category",
    tables,
};

/// Codes and meanings of the users' ages.
const AGES: [(&str, &str); 7] = [
    ("1", "under 18"),
    ("18", "18-24"),
    ("25", "25-34"),
    ("35", "35-44"),
    ("45", "45-49"),
    ("50", "50-55"),
    ("56", "56 and more"),
];
/// Meanings of the users' occupations, by code.
const OCCUPATIONS: [&str; 21] = [
    "other or not specified",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
];

fn tables(find: Find) -> Result<Tables> {
    let mut text = |name: &str| find(name)?.map(latin_1).with_context(|| format!("no {name}"));
    let film = |[id, title, genres]: [String; 3]| (id, title, genres.split('|').map(str::to_owned).collect());
    let mut users = Vec::new();
    for [id, gender, age, occupation, _] in rows::<5>("users.dat", &text("users.dat")?, "::", 0)? {
        let age = AGES.iter().find(|(code, _)| *code == age).with_context(|| format!("users.dat: user {id}: no age `{age}`"))?.1;
        let name = occupation.parse().ok().and_then(|code: usize| OCCUPATIONS.get(code));
        let name = name.with_context(|| format!("users.dat: user {id}: no occupation `{occupation}`"))?;
        users.push([id, age.to_owned(), gender, (*name).to_owned()]);
    }
    Ok(Tables {
        ratings: rows("ratings.dat", &text("ratings.dat")?, "::", 0)?,
        films: rows("movies.dat", &text("movies.dat")?, "::", 0)?.into_iter().map(film).collect(),
        users,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::archive;
    use super::*;

    const ANY: Release = Release { archive: None, ..ML_1M };

    fn files(users: &str) -> Vec<(&'static str, Vec<u8>)> {
        let movies = "73::Mis\u{e9}rables, Les (1995)::Drama|Musical\n1166::Zero Kelvin (1995)::Action\n";
        vec![
            ("ml-1m/README", b"ratings.dat".to_vec()),
            ("ml-1m/movies.dat", movies.chars().map(|c| c as u8).collect()),
            ("ml-1m/ratings.dat", b"1::73::5::978300760\n2::1166::3::978302109\n1::1166::4::978301968\n".to_vec()),
            ("ml-1m/users.dat", users.as_bytes().to_vec()),
        ]
    }

    #[test]
    fn an_archive_and_a_folder_give_the_same_tables() {
        let expected = [
            "user,item,rating,timestamp\n1,73,5,978300760\n2,1166,3,978302109\n1,1166,4,978301968\n",
            "item,title,year,genres\n73,\"Misérables, Les (1995)\",1995,Drama|Musical\n1166,Zero Kelvin (1995),1995,Action\n",
            "user,age,gender,occupation\n1,under 18,F,K-12 student\n2,56 and more,M,self-employed\n",
        ];
        let files = files("1::F::1::10::48067\n2::M::56::16::70072\n");
        let file = archive(&files);
        assert_eq!(ANY.in_archive(file.path()).unwrap().csv(), expected);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ml-1m")).unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
        assert_eq!(ML_1M.gather(folder.path().to_str().unwrap(), folder.path()).unwrap().csv(), expected);
    }

    #[test]
    fn other_contents_are_refused() {
        let work = tempfile::tempdir().unwrap();
        for (users, named) in [
            ("1::F::7::10::48067\n", "user 1: no age `7`"),
            ("1::F::1::21::48067\n", "user 1: no occupation `21`"),
            ("1::F::1::10\n", "users.dat:1: 5 fields expected, got 4"),
            ("1::F::1::10::48067\n", "events.csv: 1000209 rows expected, got 3"),
        ] {
            let file = archive(&files(users));
            let error = format!("{:#}", ANY.write(file.path().to_str(), work.path()).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
        assert!(!work.path().join("events.csv").exists());
    }
}
