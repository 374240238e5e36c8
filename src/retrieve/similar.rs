//! Items similar to one item.

use super::TopK;
use crate::bundle::Rows;
use crate::kernels::Kernels;

/// The `k` rows with the highest cosine with `row`, without `row` itself, and these cosines; best first, ties by row.
/// Biases take no part.
///
/// # Panics
/// If the row is past the end.
pub fn similar(rows: &Rows, row: u32, k: usize) -> Vec<(f32, u32)> {
    let lengths = rows.inverse_lengths();
    let query: Vec<i16> = rows.vector(row).iter().map(|q| i16::from(*q)).collect();
    let mut best = TopK::new(k);
    let mut dots = Vec::new();
    for (first, file) in rows.files() {
        dots.resize(file.len(), 0);
        Kernels::best().dots(file.vectors(), &query, &mut dots);
        for ((other, dot), inverse) in (first as u32..).zip(&dots).zip(&lengths[first..]).filter(|((other, _), _)| *other != row)
        {
            best.offer(*dot as f32 * inverse * lengths[row as usize], other);
        }
    }
    best.into_ranked()
}
