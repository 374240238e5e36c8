//! The `foretaste` command: it turns interaction events into a bundle that a browser recommends from.

mod command;

use clap::{Parser, Subcommand};

/// Recommendations without a server: trains two towers on interaction events and exports them as a folder of static
/// files.
#[derive(Parser)]
#[command(
    name = "foretaste",
    version,
    propagate_version = true,
    after_help = "\
first steps:
  foretaste data get synthetic --to data            generate events, items and users
  foretaste train --data data --out run             train the towers
  foretaste export --run run --out bundle           write a folder of static files
  foretaste recommend bundle --history 3,14 -k 5    print what a page would show"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Data(command::data::Args),
    Split(command::split::Args),
    Prepare(command::prepare::Args),
    Features(command::features::Args),
    Train(command::train::Args),
    Export(command::export::Args),
    Evaluate(command::evaluate::Args),
    Experiment(command::experiment::Args),
    Compare(command::compare::Args),
    Log(command::log::Args),
    Ope(command::ope::Args),
    Ab(command::ab::Args),
    Simulate(command::simulate::Args),
    Update(command::update::Args),
    Promote(command::promote::Args),
    Rollback(command::rollback::Args),
    Recommend(command::recommend::Args),
    Verify(command::verify::Args),
    Compress(command::compress::Args),
    Serve(command::serve::Args),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().verb {
        Verb::Data(args) => command::data::run(args),
        Verb::Split(args) => command::split::run(args),
        Verb::Prepare(args) => command::prepare::run(args),
        Verb::Features(args) => command::features::run(args),
        Verb::Train(args) => command::train::run(args),
        Verb::Export(args) => command::export::run(args),
        Verb::Evaluate(args) => command::evaluate::run(args),
        Verb::Experiment(args) => command::experiment::run(args),
        Verb::Compare(args) => command::compare::run(args),
        Verb::Log(args) => command::log::run(args),
        Verb::Ope(args) => command::ope::run(args),
        Verb::Ab(args) => command::ab::run(args),
        Verb::Simulate(args) => command::simulate::run(args),
        Verb::Update(args) => command::update::run(args),
        Verb::Promote(args) => command::promote::run(args),
        Verb::Rollback(args) => command::rollback::run(args),
        Verb::Recommend(args) => command::recommend::run(args),
        Verb::Verify(args) => command::verify::run(args),
        Verb::Compress(args) => command::compress::run(args),
        Verb::Serve(args) => command::serve::run(args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", command::output::plain(&format!("{error:#}")));
            std::process::ExitCode::from(if error.is::<command::Usage>() { 2 } else { 1 })
        }
    }
}
