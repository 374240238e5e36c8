//! `foretaste compress`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::export::compress;

/// Compress the files of a folder beforehand: NAME.br and NAME.gz beside each NAME.
///
/// `foretaste serve` sends them, and so do nginx (gzip_static, brotli_static), Caddy (precompressed) and others. Run it
/// before the folder goes to the host, again for each version: what is up to date stays. Files that it saves less than
/// a twentieth of have none.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste compress web/dist")]
pub struct Args {
    /// The folder; folders in it are compressed too.
    dir: PathBuf,
    /// Print nothing.
    #[arg(long)]
    quiet: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let done = compress(&args.dir)?;
    if !args.quiet {
        let (dir, files) = (args.dir.display(), done.files);
        eprintln!("{dir}: {files} files of {} bytes: {} with brotli, {} with gzip", done.bytes, done.brotli, done.gzip);
    }
    Ok(())
}
