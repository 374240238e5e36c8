//! Makes bundles and peers' inputs for the benchmarks: item vectors, query vectors and the true top 100 of each query.
//!
//! Each set gets a folder `OUT/KIND-D-N` with a bundle of N rows, `vectors.f32` `[n, d]`, `biases.f32` `[n]`,
//! `queries.f32` `[q, d]` and `truth.u32` `[q, 100]`: the rows of the highest u · v + b in f64, best first.
//!
//! There are two kinds. `trained` takes the item vectors and visitors of a training; a set of more rows than the
//! training has draws them from a Gaussian mixture fitted to its vectors. `gaussian` takes normal numbers scaled to
//! unit length, the worst case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use foretaste::bundle::{CatalogFile, FORMAT_VERSION, Features, FileEntry, MAX_ROWS_PER_FILE, Manifest, sha256_hex};
use foretaste::features::Fields;
use foretaste::{Recommender, VisitorState};
use foretaste_trainer::data::{event_of, read_folder};
use foretaste_trainer::export::{Contents, export, item_file};
use foretaste_trainer::random::mix;
use foretaste_trainer::towers::{CatalogRows, encode_catalog};
use foretaste_trainer::training::Run;
use foretaste_trainer::verify::open_bundle;
use rayon::prelude::*;

const TOP: usize = 100;
const CLUSTERS: usize = 64;

#[derive(Parser)]
struct Args {
    /// Folder of a finished training.
    #[arg(long)]
    run: PathBuf,
    /// Folder of the data it was trained on.
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    out: PathBuf,
    /// Number of query vectors of each set.
    #[arg(long, default_value_t = 32)]
    queries: usize,
    /// Sets to make, each KIND-D-N.
    sets: Vec<String>,
}

/// Rows with their biases, and the query vectors.
struct Set {
    dim: usize,
    vectors: Vec<f32>,
    biases: Vec<f32>,
    queries: Vec<f32>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let run = Run::load(&args.run)?;
    let bundle = args.out.join("run");
    export(&run, &bundle, Contents::default())?;
    let recommender = open_bundle(&bundle)?;
    let trained = trained(&args, &run, &recommender)?;
    for name in &args.sets {
        let mut parts = name.split('-');
        let kind = parts.next().unwrap_or_default();
        let mut number =
            || parts.next().and_then(|n| n.parse::<usize>().ok()).with_context(|| format!("`{name}` is not KIND-D-N"));
        let (dim, n) = (number()?, number()?);
        let set = match kind {
            "gaussian" => gaussian(dim, n, args.queries),
            _ if n <= trained.biases.len() => sample(&trained, n),
            _ => mixture(&trained, n),
        };
        write(&args.out.join(name), &set, &recommender)?;
        eprintln!("made {name}");
    }
    Ok(())
}

/// The item vectors and visitors' vectors that the towers of the training compute.
fn trained(args: &Args, run: &Run, recommender: &Recommender) -> Result<Set> {
    let CatalogRows { vectors, biases, .. } = run.items.rows(&encode_catalog(&run.card.encoding, &run.card.scales, &run.catalog));
    let data = read_folder(&args.data, &Default::default())?;
    let mut queries = Vec::new();
    for user in (0..data.users.len()).step_by(data.users.len() / args.queries).take(args.queries) {
        let history: Vec<_> = data.history(user).iter().map(|e| event_of(&data, e)).collect();
        let query = VisitorState { history: &history, context: &Fields::new(), time: None, tz_offset_min: None };
        queries.extend(recommender.user_vector(&recommender.encode(&query)?)?);
    }
    Ok(Set { dim: run.card.config.dim, vectors, biases, queries })
}

/// A random sample of `n` rows of a set.
fn sample(set: &Set, n: usize) -> Set {
    let mut rows: Vec<usize> = (0..set.biases.len()).collect();
    rows.sort_by_key(|row| mix(5, *row as u64));
    rows.truncate(n);
    let vectors = rows.iter().flat_map(|row| &set.vectors[row * set.dim..][..set.dim]).copied().collect();
    Set { dim: set.dim, vectors, biases: rows.iter().map(|row| set.biases[*row]).collect(), queries: set.queries.clone() }
}

/// The `i`-th number of a standard normal stream.
/// Box and Muller, A note on the generation of random normal deviates, 1958.
fn normal(seed: u64, i: u64) -> f64 {
    let unit = |k| (mix(seed, 2 * i + k) >> 11) as f64 / (1u64 << 53) as f64;
    libm::sqrt(-2.0 * libm::log(1.0 - unit(0))) * libm::cos(std::f64::consts::TAU * unit(1))
}

fn gaussian(dim: usize, n: usize, queries: usize) -> Set {
    let unit = |seed: u64, rows: usize| -> Vec<f32> {
        let row = |row: usize| {
            let numbers: Vec<f64> = (0..dim).map(|k| normal(seed, (row * dim + k) as u64)).collect();
            let length = numbers.iter().map(|x| x * x).sum::<f64>().sqrt();
            numbers.into_iter().map(|x| (x / length) as f32).collect::<Vec<f32>>()
        };
        (0..rows).into_par_iter().flat_map_iter(row).collect()
    };
    let biases = (0..n).map(|i| 0.05 * normal(3, i as u64) as f32).collect();
    Set { dim, vectors: unit(1, n), biases, queries: unit(2, queries) }
}

/// `n` rows drawn from a mixture of normal distributions. Each of 64 clusters of the set gives a mean, a spread for
/// each dimension, and a weight.
fn mixture(set: &Set, n: usize) -> Set {
    // The bias is one more dimension.
    let wide = set.dim + 1;
    let step = (set.biases.len() / 20_000).max(1);
    let row = |i: usize| set.vectors[i * set.dim..][..set.dim].iter().copied().chain([set.biases[i]]);
    let points: Vec<Vec<f32>> = (0..set.biases.len()).step_by(step).map(|i| row(i).collect()).collect();
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
    let mut centers: Vec<Vec<f32>> = (0..CLUSTERS).map(|i| points[i * points.len() / CLUSTERS].clone()).collect();
    let mut member = vec![0; points.len()];
    for _ in 0..10 {
        let nearest = |p: &Vec<f32>| {
            (0..CLUSTERS).min_by(|a, b| distance(p, &centers[*a]).total_cmp(&distance(p, &centers[*b]))).unwrap_or(0)
        };
        member = points.par_iter().map(nearest).collect();
        for (c, center) in centers.iter_mut().enumerate() {
            let own: Vec<&Vec<f32>> = points.iter().zip(&member).filter(|(_, m)| **m == c).map(|(p, _)| p).collect();
            if !own.is_empty() {
                *center = (0..wide).map(|k| own.iter().map(|p| p[k]).sum::<f32>() / own.len() as f32).collect();
            }
        }
    }
    let mut spread = vec![vec![0.0f32; wide]; CLUSTERS];
    let mut count = vec![0f32; CLUSTERS];
    for (p, m) in points.iter().zip(&member) {
        count[*m] += 1.0;
        (0..wide).for_each(|k| spread[*m][k] += (p[k] - centers[*m][k]).powi(2));
    }
    let draw = |i: usize| {
        // Takes the cluster of a random point, so that each cluster is drawn in proportion to its weight.
        let c = member[(mix(7, i as u64) % points.len() as u64) as usize];
        let number = |k: usize| centers[c][k] + (spread[c][k] / count[c]).sqrt() * normal(8, (i * wide + k) as u64) as f32;
        (0..wide).map(number).collect::<Vec<f32>>()
    };
    let rows: Vec<Vec<f32>> = (0..n).into_par_iter().map(draw).collect();
    let vectors = rows.iter().flat_map(|row| &row[..set.dim]).copied().collect();
    Set { dim: set.dim, vectors, biases: rows.iter().map(|row| row[set.dim]).collect(), queries: set.queries.clone() }
}

/// The rows of the highest u · v + b, best first.
fn truth(set: &Set, query: &[f32]) -> Vec<u32> {
    let dot = |row: &[f32]| row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let scores: Vec<f64> = set.vectors.chunks(set.dim).zip(&set.biases).map(|(row, b)| dot(row) + f64::from(*b)).collect();
    let mut rows: Vec<u32> = (0..scores.len() as u32).collect();
    let order = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    rows.select_nth_unstable_by(TOP - 1, order);
    rows.truncate(TOP);
    rows.sort_by(order);
    rows
}

fn write(out: &Path, set: &Set, recommender: &Recommender) -> Result<()> {
    _ = std::fs::remove_dir_all(out);
    std::fs::create_dir_all(out)?;
    let floats = |xs: &[f32]| xs.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let truth: Vec<Vec<u32>> = set.queries.par_chunks(set.dim).map(|query| truth(set, query)).collect();
    std::fs::write(out.join("vectors.f32"), floats(&set.vectors))?;
    std::fs::write(out.join("biases.f32"), floats(&set.biases))?;
    std::fs::write(out.join("queries.f32"), floats(&set.queries))?;
    std::fs::write(out.join("truth.u32"), truth.iter().flatten().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>())?;

    let mut files = Vec::new();
    let mut add = |path: String, role: &str, rows: Option<usize>, bytes: Vec<u8>| -> Result<()> {
        let entry =
            FileEntry { path, role: role.into(), bytes: bytes.len() as u64, sha256: sha256_hex(&bytes), rows, feature: None };
        std::fs::write(out.join(&entry.path), bytes)?;
        files.push(entry);
        Ok(())
    };
    // The manifest needs graphs. Empty ones will do, because only scores are measured.
    for role in ["user_tower", "item_tower"] {
        add(format!("{role}.onnx"), role, None, Vec::new())?;
    }
    add("golden.json".into(), "golden", None, b"{\"rows\":[]}".to_vec())?;
    let n = set.biases.len();
    for (i, biases) in set.biases.chunks(MAX_ROWS_PER_FILE).enumerate() {
        let start = i * MAX_ROWS_PER_FILE;
        let vectors = &set.vectors[start * set.dim..][..biases.len() * set.dim];
        add(
            format!("items-{i:03}.safetensors"),
            "items",
            Some(biases.len()),
            item_file(set.dim, vectors, biases, None, Some(&vec![1.0; biases.len()]), [true; 2])?,
        )?;
    }
    for start in (0..n).step_by(MAX_ROWS_PER_FILE) {
        let rows = start..n.min(start + MAX_ROWS_PER_FILE);
        let catalog = CatalogFile {
            ids: rows.clone().map(|i| i.to_string()).collect(),
            titles: vec![None; rows.len()],
            columns: BTreeMap::new(),
        };
        add(format!("catalog-{start}.json"), "catalog", Some(rows.len()), serde_json::to_vec(&catalog)?)?;
    }
    let from = &recommender.bundle().manifest;
    let mut encoding = from.encoding.clone();
    encoding.items.clear();
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        model_id: "0".repeat(16),
        name: "bench".into(),
        dim: set.dim,
        items: n,
        files,
        features: Features::default(),
        encoding,
        trained_on: from.trained_on.clone(),
        ratings: None,
        neighbours: None,
        ranker: None,
        metrics: BTreeMap::new(),
        licence: None,
        limits: None,
    };
    Ok(std::fs::write(out.join("manifest.json"), serde_json::to_vec(&manifest)?)?)
}
