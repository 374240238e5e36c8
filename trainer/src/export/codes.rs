//! The coarse plane of an item file: one codebook for every pair of dimensions, learned from the rows, and the codes of
//! each row.

use foretaste::kernels::{BLOCK, CENTROIDS, blocks, pairs, subspaces};
use rayon::prelude::*;

/// Rounds of Lloyd's algorithm; further rounds lower the error by less than 1 %.
const ROUNDS: usize = 12;
/// A codebook is learned from at most this many rows, evenly spaced over the catalog.
const SAMPLE: usize = 8192;

type Point = [f32; 2];

/// Returns the codebook `[subspaces, 16, 2]` and the codes `[blocks, pairs, 16]` of the rows `[n, d]`. Each code byte
/// holds two subspaces, the even one in its low four bits.
pub(super) fn encode(dim: usize, vectors: &[f32]) -> (Vec<f32>, Vec<u8>) {
    let n = vectors.len() / dim;
    let subspaces: Vec<(Vec<Point>, Vec<u8>)> = (0..subspaces(dim))
        .into_par_iter()
        .map(|s| {
            let number = |row: usize, k: usize| if k < dim { vectors[row * dim + k] } else { 0.0 };
            let point = |row: usize| [number(row, 2 * s), number(row, 2 * s + 1)];
            let centroids = centroids((0..n).step_by(n.div_ceil(SAMPLE).max(1)).map(point).collect());
            let codes = (0..n).map(|row| nearest(&centroids, point(row)) as u8).collect();
            (centroids, codes)
        })
        .collect();
    let codebook = subspaces.iter().flat_map(|(centroids, _)| centroids.iter().flatten().copied()).collect();
    let mut codes = vec![0; blocks(n) * pairs(dim) * BLOCK];
    for row in 0..n {
        for pair in 0..pairs(dim) {
            let place = (row / BLOCK * pairs(dim) + pair) * BLOCK + row % BLOCK;
            codes[place] = subspaces[2 * pair].1[row] | subspaces[2 * pair + 1].1[row] << 4;
        }
    }
    (codebook, codes)
}

/// Returns sixteen centroids of the points. There must be at least one point.
///
/// Lloyd, Least squares quantization in PCM, 1982.
fn centroids(mut points: Vec<Point>) -> Vec<Point> {
    // Start: cut the points into four strips of equal counts along the first axis, and each strip into four along the
    // second.
    points.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]));
    let quarter = |n: usize, q: usize| n * q / 4..(n * (q + 1) / 4).max(n * q / 4 + 1).min(n);
    let mut centroids = Vec::with_capacity(CENTROIDS);
    for strip in 0..4 {
        let mut strip = points[quarter(points.len(), strip)].to_vec();
        strip.sort_unstable_by(|a, b| a[1].total_cmp(&b[1]));
        centroids.extend((0..4).map(|q| mean(&strip[quarter(strip.len(), q)]).unwrap_or(points[0])));
    }
    for _ in 0..ROUNDS {
        let mut members = vec![Vec::new(); CENTROIDS];
        points.iter().for_each(|point| members[nearest(&centroids, *point)].push(*point));
        for (centroid, members) in centroids.iter_mut().zip(&members) {
            *centroid = mean(members).unwrap_or(*centroid);
        }
    }
    centroids
}

fn mean(points: &[Point]) -> Option<Point> {
    let sum = |k: usize| points.iter().map(|p| f64::from(p[k])).sum::<f64>() / points.len() as f64;
    (!points.is_empty()).then(|| [sum(0) as f32, sum(1) as f32])
}

/// Index of the nearest centroid; ties go to the lowest index.
fn nearest(centroids: &[Point], point: Point) -> usize {
    let distance = |c: &Point| (c[0] - point[0]) * (c[0] - point[0]) + (c[1] - point[1]) * (c[1] - point[1]);
    let mut best = (f32::INFINITY, 0);
    for (i, c) in centroids.iter().enumerate() {
        if distance(c) < best.0 {
            best = (distance(c), i);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;

    /// A draw that is nearly standard normal: the sum of twelve uniform numbers, less 6.
    fn normal(i: u64) -> f32 {
        (0..12).map(|j| mix(9, i * 12 + j) as f64 / u64::MAX as f64).sum::<f64>() as f32 - 6.0
    }

    #[test]
    fn sixteen_distinct_points_are_kept_exactly() {
        let vectors: Vec<f32> = (0..64).flat_map(|i| [(i % 4) as f32, (i / 4 % 4) as f32 * 10.0]).collect();
        let (codebook, codes) = encode(2, &vectors);
        assert_eq!((codebook.len(), codes.len()), (2 * 16 * 2, 64));
        for (row, vector) in vectors.chunks(2).enumerate() {
            let code = usize::from(codes[row] & 15);
            assert_eq!(&codebook[2 * code..][..2], vector, "row {row}");
        }
    }

    /// The best 16-point quantizer of a two-dimensional normal distribution has a mean squared error of about .107 for
    /// each dimension. Quantising each dimension to four values has .1175 (Max, Quantizing for minimum distortion,
    /// 1960).
    #[test]
    fn the_error_is_close_to_that_of_the_best_codebook() {
        let (n, dim) = (5000, 5);
        let vectors: Vec<f32> = (0..n * dim as u64).map(normal).collect();
        let (codebook, codes) = encode(dim, &vectors);
        let mut error = 0.0;
        for (row, vector) in vectors.chunks(dim).enumerate() {
            for (k, x) in vector.iter().enumerate() {
                let byte = codes[(row / 16 * 2 + k / 4) * 16 + row % 16];
                let code = usize::from(if k / 2 % 2 == 0 { byte & 15 } else { byte >> 4 });
                error += (codebook[(k / 2 * 16 + code) * 2 + k % 2] - x).powi(2);
            }
        }
        // The fifth dimension has a codebook to itself, so its error is small: divide by four dimensions.
        let mean = error / (n as f32 * 4.0);
        assert!(mean < 0.118, "{mean}");
        assert_eq!(encode(dim, &vectors).1, codes);
    }

    #[test]
    fn one_row_and_equal_rows_encode() {
        for n in [1, 2, 3, 17, 100] {
            let (codebook, codes) = encode(3, &vec![0.5; 3 * n]);
            assert!(codebook.iter().all(|x| [0.0, 0.5].contains(x)), "{n}: {codebook:?}");
            assert_eq!(codes.len(), n.div_ceil(16) * 16);
        }
    }
}
