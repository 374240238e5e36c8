//! Product quantization with 4-bit codes, in a layout that looks up 16 rows at once.
//!
//! A row of d numbers is cut into ⌈d/2⌉ subspaces of two dimensions. In each subspace it is replaced by the nearest of
//! 16 centroids, 4 bits. The score of a row is then a sum of table entries, with one table per subspace for each query.
//! Jégou, Douze, Schmid, Product quantization for nearest neighbor search, 2011; the layout after André, Kermarrec, Le
//! Scouarnec, Cache locality is not enough, 2015.

/// Number of rows in a block.
pub const BLOCK: usize = 16;
/// Number of centroids of a subspace.
pub const CENTROIDS: usize = 16;
/// The largest table entry, so that the sum of eight entries fits eight bits. Rounding to 32 steps adds a tenth to what
/// the codes lose.
const TABLE_MAX: f32 = 31.0;
/// How many pairs of subspaces are summed in eight bits.
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
pub(super) const GROUP: usize = 4;
/// Number of steps in the range of the biases.
pub const BIAS_STEPS: f32 = 32767.0;
/// The most that a bias, and the base of a file, add to a sum.
const PART_MAX: f32 = 8191.0;
/// Above every sum: 256 table entries of 31, a bias and a base.
pub const SUM_LIMIT: usize = 1 << 15;

/// Bytes of the codes of one row. A byte holds a pair of subspaces, four dimensions.
pub fn pairs(dim: usize) -> usize {
    dim.div_ceil(4)
}

/// Number of subspaces, which is even. The last one is empty if ⌈d/2⌉ is odd.
pub fn subspaces(dim: usize) -> usize {
    2 * pairs(dim)
}

/// Number of blocks for `rows` rows.
pub fn blocks(rows: usize) -> usize {
    rows.div_ceil(BLOCK)
}

/// What a scan reads. The codes of a block are `[pairs, 16]`: byte r of pair p belongs to row r. Its low half is the
/// code of subspace 2p, its high half that of 2p + 1.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// `[blocks, pairs, 16]`.
    pub codes: &'a [u8],
    /// `[2 · pairs, 16]`, entries 0 to 31.
    pub tables: &'a [u8],
    /// `[blocks · 16]`, 0 to 32767.
    pub biases: &'a [i16],
    /// What the largest bias adds to a sum, 0 to 8191.
    pub factor: i16,
    /// Added to every sum, 0 to 8191.
    pub offset: i16,
}

/// The tables of one query for several files of codes, all in the same unit.
pub struct Tables {
    tables: Vec<Vec<u8>>,
    offsets: Vec<i16>,
    factor: i16,
}

impl Tables {
    /// Tables for a query `[d]`. `codebooks` gives the codebook `[subspaces, 16, 2]` of each file. `bias_range` is the
    /// largest bias minus the smallest.
    pub fn new<'a>(query: &[f32], codebooks: impl Iterator<Item = &'a [f32]>, bias_range: f32) -> Tables {
        let exact: Vec<(Vec<f32>, f32)> = codebooks.map(|book| products(query, book)).collect();
        let largest = |file: &(Vec<f32>, f32)| file.0.iter().fold(0.0f32, |m, x| m.max(*x));
        let least = exact.iter().fold(f32::INFINITY, |m, file| m.min(file.1));
        let spread = exact.iter().fold(0.0f32, |m, file| m.max(file.1 - least));
        let unit = (exact.iter().map(largest).fold(0.0, f32::max) / TABLE_MAX).max(bias_range / PART_MAX).max(spread / PART_MAX);
        // For a query of zeros and equal biases every row is equally good.
        let unit = if unit > 0.0 && unit.is_finite() { unit } else { f32::INFINITY };
        let steps = |x: f32, most: f32| super::quantize::rounded(x / unit, 0.0, most);
        Tables {
            tables: exact.iter().map(|(table, _)| table.iter().map(|x| steps(*x, TABLE_MAX) as u8).collect()).collect(),
            offsets: exact.iter().map(|(_, base)| steps(base - least, PART_MAX) as i16).collect(),
            factor: steps(bias_range, PART_MAX) as i16,
        }
    }

    /// What a scan of some blocks of file number `file` reads.
    pub fn scan<'a>(&'a self, file: usize, codes: &'a [u8], biases: &'a [i16]) -> Scan<'a> {
        Scan { codes, tables: &self.tables[file], biases, factor: self.factor, offset: self.offsets[file] }
    }
}

/// The products of the query with every centroid, minus the smallest of the subspace: `[subspaces, 16]`. And the sum of
/// these smallest products.
fn products(query: &[f32], codebook: &[f32]) -> (Vec<f32>, f32) {
    let mut table = Vec::with_capacity(codebook.len() / 2);
    let mut base = 0.0;
    for (s, centroids) in codebook.chunks_exact(2 * CENTROIDS).enumerate() {
        let part = [0, 1].map(|i| query.get(2 * s + i).copied().unwrap_or(0.0));
        let dot = |c: &[f32]| c[0] * part[0] + c[1] * part[1];
        let least = centroids.chunks_exact(2).map(dot).fold(f32::INFINITY, f32::min);
        table.extend(centroids.chunks_exact(2).map(|c| dot(c) - least));
        base += least;
    }
    (table, base)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn tables_keep_order_and_range() {
        let book: Vec<f32> = (0..2 * 16 * 2).map(|i| ((i * 37) % 64) as f32 / 10.0 - 3.0).collect();
        let moved: Vec<f32> = book.iter().map(|x| x + 1.0).collect();
        let query = [1.0, -2.0, 0.5];
        let tables = Tables::new(&query, [&book[..], &moved].into_iter(), 4.0);
        assert!(tables.tables.iter().flatten().all(|x| *x <= 31));
        let apart = tables.tables[0].iter().zip(&tables.tables[1]).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(1), "a shift of all centroids moves the base alone, but for rounding");
        // The base differs by the sum of the query, -0.5, and the unit is that of the widest table.
        let (exact, _) = products(&query, &book);
        let unit = exact.iter().fold(0.0f32, |m, x| m.max(*x)) / 31.0;
        assert_eq!(tables.offsets, [libm::roundf(0.5 / unit) as i16, 0]);
        assert_eq!(tables.factor, libm::roundf(4.0 / unit) as i16);
    }

    #[test]
    fn zeros_and_huge_numbers_make_tables() {
        for query in [[0.0; 2], [f32::MAX; 2], [f32::MIN_POSITIVE; 2]] {
            let tables = Tables::new(&query, [&[3.0f32; 64][..]].into_iter(), 0.0);
            assert!(tables.tables[0].iter().all(|x| *x == 0) && tables.factor == 0);
        }
    }
}
