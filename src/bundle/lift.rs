//! What a search adds to the scores of items, and the biases that include it.

use crate::kernels::{BIAS_STEPS, BLOCK, blocks};

/// Biases in whole steps of their range: the scan of codes adds integers.
pub struct BiasCodes {
    /// Largest bias less the smallest, in logits.
    pub range: f32,
    /// For each file `[blocks · 16]`, 0 to 32767.
    pub codes: Vec<Vec<i16>>,
}

impl BiasCodes {
    /// For all `biases` `[n]`; file i has those from `starts[i]` to `starts[i + 1]`.
    pub(super) fn new(starts: &[u32], biases: &[f32]) -> BiasCodes {
        let least = biases.iter().copied().fold(f32::INFINITY, f32::min);
        let range = (biases.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least).min(f32::MAX);
        let step = if range > 0.0 { BIAS_STEPS / range } else { 0.0 };
        let file = |at: &[u32]| {
            let biases = &biases[at[0] as usize..at[1] as usize];
            let mut codes: Vec<i16> = biases.iter().map(|b| libm::roundf((b - least) * step) as i16).collect();
            codes.resize(blocks(biases.len()) * BLOCK, 0);
            codes
        };
        BiasCodes { range, codes: starts.windows(2).map(file).collect() }
    }
}

/// Logits that a search adds to the score of an item.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lift {
    /// Added for each unit of the length of its vector.
    pub length: f32,
    /// Added for each unit of its rarity; see [`super::Rows::rarities`].
    pub rarity: f32,
}

impl Lift {
    /// Whether nothing is added.
    pub fn is_none(self) -> bool {
        self == Lift::default()
    }
}

/// The biases of all items with a lift added.
pub struct Lifted {
    pub(super) lift: Lift,
    /// `[n]`, in logits.
    pub biases: Vec<f32>,
    /// The same in whole steps, if the rows have codes.
    pub codes: Option<BiasCodes>,
}
