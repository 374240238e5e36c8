//! `foretaste data`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::data::movielens::{ML_1M, ML_100K};
use foretaste_trainer::data::{place_folder, synthetic};

use super::Usage;

/// Get a data set: MovieLens 100K, MovieLens 1M, or generated events.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Get(Get),
}

/// Write a data set as a folder of events, items and users, which the other commands read.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste data get synthetic --to data
  foretaste data get ml-100k --to data --from ml-100k.zip")]
struct Get {
    /// The data set.
    name: Name,
    /// ml-100k and ml-1m: read from this zip, folder or URL of a zip instead of downloading from GroupLens. ml-100k
    /// also reads a Python wheel.
    #[arg(long, value_name = "PATH_OR_URL")]
    from: Option<String>,
    /// The folder to create.
    #[arg(long, value_name = "DATA")]
    to: PathBuf,
    /// synthetic: number of users [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: Option<u32>,
    /// synthetic: number of items [default: 600]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    items: Option<u32>,
    /// synthetic: exact number of events [default: 60000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    events: Option<u32>,
    /// synthetic: seed of the generator; equal seeds give equal bytes [default: 0]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Print nothing but the licence.
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Name {
    /// MovieLens 100K: 100,000 ratings of 943 users on 1,682 films; for research only.
    #[value(name = "ml-100k")]
    Ml100k,
    /// MovieLens 1M: 1,000,209 ratings of 6,040 users on 3,883 films; for research only.
    #[value(name = "ml-1m")]
    Ml1m,
    /// Generated events with a known ground truth; no licence restricts them.
    Synthetic,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let Verb::Get(get) = args.verb;
    let generated = get.users.is_some() || get.items.is_some() || get.events.is_some() || get.seed.is_some();
    match get.name {
        Name::Ml100k | Name::Ml1m if generated => {
            Err(Usage("--users, --items, --events and --seed are for `synthetic` only".into()).into())
        }
        Name::Synthetic if get.from.is_some() => Err(Usage("--from is for `ml-100k` and `ml-1m` only".into()).into()),
        Name::Ml100k | Name::Ml1m => {
            let release = if get.name == Name::Ml1m { ML_1M } else { ML_100K };
            let source = place_folder(&get.to, |folder| release.write(get.from.as_deref(), folder))?;
            if !get.quiet {
                let [ratings, films, users] = release.files.each_ref().map(|file| file.rows);
                eprintln!("{}: {ratings} ratings, {users} users, {films} films; from {source}", get.to.display());
                for (name, sha256) in release.files.iter().filter_map(|file| Some((file.name, file.sha256?))) {
                    eprintln!("{name}: SHA-256 {sha256}, as expected");
                }
            }
            eprintln!("licence: {}", release.licence);
            Ok(())
        }
        Name::Synthetic => {
            let default = synthetic::Size::default();
            let size = synthetic::Size {
                users: get.users.unwrap_or(default.users),
                items: get.items.unwrap_or(default.items),
                events: get.events.unwrap_or(default.events),
            };
            size.check().map_err(|fault| Usage(format!("--{fault}")))?;
            place_folder(&get.to, |folder| synthetic::write(&size, get.seed.unwrap_or(0), folder))?;
            if !get.quiet {
                eprintln!("{}: {} events, {} users, {} items; generated", get.to.display(), size.events, size.users, size.items);
            }
            eprintln!("licence: {}", synthetic::LICENCE);
            Ok(())
        }
    }
}
