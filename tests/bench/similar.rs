//! Our side of `make bench`, native and on one thread: runs `similar` for some items of a set that `bench_data` made,
//! and the search for the queries of the set.
//!
//! Prints `{"similar": {"items": [row], "found": {"rows": [[row]], "ms": [..]}}, "search": {"accurate": {"rows", "ms"},
//! "fast": …}}`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use foretaste::Recommender;
use foretaste::bundle::Bundle;
use foretaste::retrieve::Effort;
use serde_json::{Value, json};

#[derive(Parser)]
struct Args {
    /// Folder of the set.
    set: PathBuf,
    /// Number of items to find similar ones for.
    #[arg(long, default_value_t = 300)]
    items: usize,
    /// Length of each list of similar items.
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Length of each list of the search.
    #[arg(long, default_value_t = 100)]
    best: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let read = |name: &str| std::fs::read(args.set.join(name));
    let (bundle, _) = Bundle::from_files::<_, anyhow::Error>(&read("manifest.json")?, |file| {
        let needed = matches!(file.role.as_str(), "items" | "catalog");
        Ok(needed.then(|| read(&file.path)).transpose()?)
    })?;
    let recommender = Recommender::new(bundle, Box::new(|| 0.0));
    let rows = &recommender.bundle().rows;
    let (n, dim) = (rows.len(), rows.dim());

    let items: Vec<usize> = (0..args.items).map(|i| i * n / args.items).collect();
    // The first call computes the lengths of the rows and caches them.
    recommender.similar("0", args.k)?;
    let row = |id: &str| id.parse::<u32>().unwrap_or(u32::MAX);
    let similar =
        timed(&items, |item| Ok(recommender.similar(&item.to_string(), args.k)?.iter().map(|found| row(&found.id)).collect()))?;
    let queries: Vec<f32> = read("queries.f32")?.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let queries: Vec<&[f32]> = queries.chunks_exact(dim).collect();
    let search = |effort| {
        timed(&queries, |query| Ok(recommender.search(query, args.best, effort)?.into_iter().map(|(_, row)| row).collect()))
    };
    let search = json!({ "accurate": search(Effort::Accurate)?, "fast": search(Effort::Fast)? });
    println!("{}", json!({ "similar": { "items": items, "found": similar }, "search": search }));
    Ok(())
}

/// Calls `call` for each of `asked`. Returns the lists, and for each the median milliseconds over a few calls.
fn timed<T>(asked: &[T], call: impl Fn(&T) -> Result<Vec<u32>>) -> Result<Value> {
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for one in asked {
        let mut times = [0.0; 5];
        for time in &mut times {
            let start = Instant::now();
            std::hint::black_box(call(one)?);
            *time = 1e3 * start.elapsed().as_secs_f64();
        }
        times.sort_by(f64::total_cmp);
        all.push(times[2]);
        rows.push(call(one)?);
    }
    Ok(json!({ "rows": rows, "ms": all }))
}
