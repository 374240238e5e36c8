//! Files and bundles for tests.

use std::sync::Arc;

use include_dir::{Dir, include_dir};

use super::item_file::{ItemFile, Parts};
use super::ranker::{FeatureFile, FeatureTables, RankerSpec};
use super::rows::Rows;
use super::{Bundle, FileEntry, NeighbourFile, NeighbourWeights, Neighbours};
use crate::error::Error;
use crate::json::from_json;
use crate::kernels::{BLOCK, CENTROIDS, blocks, pairs, quantize_row, residual_row, subspaces};

/// One item file; `counts` are the training events of each row.
pub(crate) fn rows_with_counts(dim: usize, vectors: &[f32], biases: &[f32], counts: &[f32]) -> Rows {
    let parts = Parts { counts: Some(counts.to_vec()), ..parts(dim, vectors, biases, false) };
    Rows::new(dim, vec![ItemFile::of_parts(biases.len(), dim, parts)])
}

/// Item files of `sizes` rows each from vectors `[n, d]`; with codes and residuals if `planes` says so.
pub(crate) fn rows(dim: usize, vectors: &[f32], biases: &[f32], sizes: &[usize], planes: bool) -> Rows {
    let mut start = 0;
    let file = |n: &usize| {
        let (vectors, biases) = (&vectors[start * dim..][..n * dim], &biases[start..][..*n]);
        start += n;
        ItemFile::of_parts(*n, dim, parts(dim, vectors, biases, planes))
    };
    Rows::new(dim, sizes.iter().map(file).collect())
}

/// Tensors as the trainer writes them, but with the codebook of the normal distribution: four levels a dimension. Max,
/// Quantizing for minimum distortion, 1960.
fn parts(dim: usize, vectors: &[f32], biases: &[f32], planes: bool) -> Parts {
    let level = |x: f32| [-0.98, 0.0, 0.98].iter().filter(|edge| x >= **edge).count();
    let center = |level: usize| [-1.51, -0.453, 0.453, 1.51][level];
    let (n, half) = (biases.len(), dim.div_ceil(2));
    let (mut ints, mut residuals) = (vec![0i8; n * dim], vec![0; n * half]);
    let mut codes = vec![0u8; blocks(n) * pairs(dim) * BLOCK];
    let mut scales = Vec::new();
    for (i, row) in vectors.chunks(dim).enumerate() {
        let out = &mut ints[i * dim..][..dim];
        scales.push(quantize_row(row, out));
        residual_row(row, out, scales[i], &mut residuals[i * half..][..half]);
        for (k, x) in row.iter().enumerate() {
            let place = (i / BLOCK * pairs(dim) + k / 4) * BLOCK + i % BLOCK;
            codes[place] |= (level(*x) << (2 * (k % 4))) as u8;
        }
    }
    let codebook = (0..subspaces(dim) * CENTROIDS).flat_map(|c| [center(c % 4), center(c / 4 % 4)]).collect();
    Parts {
        vectors: ints,
        scales,
        biases: biases.to_vec(),
        counts: None,
        residuals: planes.then_some(residuals),
        codes: planes.then_some(codes),
        codebook,
    }
}

/// The tensors of a neighbours file.
#[derive(Clone, Default)]
pub(crate) struct NeighbourParts {
    pub ends: Vec<u32>,
    pub rows: Vec<u32>,
    pub weights: Vec<i8>,
    pub scales: Vec<f32>,
}

impl NeighbourParts {
    /// For each row its neighbours with their weights, and the scale of these.
    pub fn of(lists: &[(Vec<(u32, i8)>, f32)]) -> NeighbourParts {
        let mut parts = NeighbourParts::default();
        for (list, scale) in lists {
            parts.rows.extend(list.iter().map(|(row, _)| *row));
            parts.weights.extend(list.iter().map(|(_, weight)| *weight));
            parts.ends.push(parts.rows.len() as u32);
            parts.scales.push(*scale);
        }
        parts
    }

    /// The file; rows take four bytes each if it is `wide`. Scales stand last, at any address.
    pub fn bytes(&self, wide: bool) -> Vec<u8> {
        let mut data: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        let mut header = Vec::new();
        let mut from = 0;
        let mut tensor = |name: &str, dtype: &str, len: usize, to: usize| {
            header.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":[{len}],"data_offsets":[{from},{to}]}}"#));
            from = to;
        };
        tensor("ends", "U32", self.ends.len(), data.len());
        let width = if wide { 4 } else { 2 };
        data.extend(self.rows.iter().flat_map(|row| row.to_le_bytes().into_iter().take(width)));
        tensor("rows", if wide { "U32" } else { "U16" }, self.rows.len(), data.len());
        data.extend(self.weights.iter().map(|weight| *weight as u8));
        tensor("weights", "I8", self.weights.len(), data.len());
        data.extend(self.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        tensor("scales", "F32", self.scales.len(), data.len());
        let header = format!("{{{}}}", header.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }
}

/// A safetensors file of f32 tensors: names, shapes and numbers.
pub(crate) fn f32_file(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let (mut data, mut header) = (Vec::<u8>::new(), Vec::new());
    for (name, shape, numbers) in tensors {
        let from = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        header.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{from},{}]}}"#, data.len()));
    }
    let header = format!("{{{}}}", header.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// The packaged bundle of 60 items without its graphs, with neighbours and with a ranker: a view of each kind, an input
/// of each source, two heads.
pub(crate) fn ranked_bundle() -> Bundle {
    static TINY: Dir = include_dir!("$CARGO_MANIFEST_DIR/models/tiny");
    let read = |path: &str| TINY.get_file(path).expect("a file of the packaged bundle").contents();
    let is_read = |file: &FileEntry| ["items", "catalog"].contains(&file.role.as_str());
    let open = |file: &FileEntry| Ok::<_, Error>(is_read(file).then(|| read(&file.path)));
    let mut bundle = Bundle::from_files(read("manifest.json"), open).expect("the packaged bundle").0;
    let manifest = Arc::make_mut(&mut bundle.manifest);
    let spec: RankerSpec = from_json(RANKER.as_bytes()).expect("a ranker");
    let weights = NeighbourWeights { events: 5, share: 1.0, decay: 0.8, types: vec![1.0, 0.5], values: vec![1.0; 6] };
    weights.check(&manifest.encoding.history).expect("weights of neighbours");
    spec.check(&manifest.encoding).expect("a ranker");
    let lists: Vec<(Vec<(u32, i8)>, f32)> = (0..60).map(|row| (vec![(row % 30, 9), (row % 30 + 30, -9)], 0.05)).collect();
    let file = NeighbourFile::new(NeighbourParts::of(&lists).bytes(false), 60, 60).expect("a neighbours file");
    bundle.neighbours = Some(Neighbours::new(vec![file]));
    let shown: Vec<f32> = (0..60).map(|row| if row % 7 == 0 { f32::NAN } else { row as f32 }).collect();
    let hourly: Vec<f32> = (0..60 * 24).map(|i| if i % 5 == 0 { f32::NAN } else { (i % 24) as f32 / 24.0 }).collect();
    // Two files, so that rows are found over files.
    let file = |from: usize, to: usize| {
        let tensors: [(&str, &[usize], &[f32]); 2] =
            [("shown", &[to - from], &shown[from..to]), ("hourly", &[to - from, 24], &hourly[24 * from..24 * to])];
        FeatureFile::new(f32_file(&tensors), to - from, &spec, &manifest.encoding).expect("a features file")
    };
    bundle.features = Some(FeatureTables::new(vec![file(0, 25), file(25, 60)]));
    (manifest.neighbours, manifest.ranker) = (Some(weights), Some(spec));
    bundle
}

/// The ranker of [`ranked_bundle`], as the manifest has it.
pub(crate) const RANKER: &str = r#"{"candidates":20,
    "views":[
        {"name":"likes","of":"user","measure":"count","types":["like"]},
        {"name":"alike","of":"user","column":"tags","measure":"decay","half_life_ms":86400000},
        {"name":"shown","of":"item","measure":"count"},
        {"name":"hourly","of":"item","column":"hour","measure":"rate","types":["like"],"window_ms":2592000000}],
    "inputs":[
        {"name":"score","kind":{"type":"number","edges":[-1,0,1],"mean":0.5,"sd":2}},
        {"name":"neighbours","kind":{"type":"number","edges":[0],"mean":0,"sd":0.5}},
        {"name":"place","kind":{"type":"number","edges":[1.5,2.5],"mean":2,"sd":1}},
        {"name":"source","kind":{"type":"category","vocabulary":["neighbours","towers"]}},
        {"name":"likes","kind":{"type":"number","edges":[0.5,1],"mean":1,"sd":1}},
        {"name":"alike","kind":{"type":"number","edges":[0.5],"mean":0.5,"sd":0.5}},
        {"name":"shown","kind":{"type":"number","edges":[2,3],"mean":3,"sd":1}},
        {"name":"hourly","kind":{"type":"number","edges":[0.5],"mean":0.5,"sd":0.2}},
        {"name":"tags","kind":{"type":"set","vocabulary":["classic","tense"]}},
        {"name":"title","kind":{"type":"text","vocabulary":[],"hash_buckets":16}},
        {"name":"segment","kind":{"type":"category","vocabulary":["collector","regular"]}},
        {"name":"day","kind":{"type":"cyclic","period_ms":86400000}},
        {"name":"likes_segment","kind":{"type":"cross","of":["likes","segment"],"buckets":8}}],
    "heads":[
        {"name":"like","weight":1,"platt":[2,-1]},
        {"name":"rating","weight":0.25,"isotonic_x":[-1,0,2],"isotonic_y":[-3,0,1]}]}"#;
