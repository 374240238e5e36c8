//! Closed forms and factorisations of the user–item matrix: EASE, PureSVD, iALS.
//!
//! They serve as baselines, as the start values of the towers, and EASE as neighbours beside them. Settings are chosen
//! by a measure that the caller passes in ([`Quality`]), so this room knows no protocol's metrics.

mod choose;
mod ease;
mod ials;
mod inverse;
mod subspace;
mod svd;
mod user_item;

pub use choose::{Quality, best, chosen};
pub use ease::Ease;
pub use ials::Ials;
pub use svd::Svd;
pub use user_item::{MAX_DENSE, co_occurrence, users_by_item, weighted_rows};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::protocols::{Sequence, Split};

/// A factorisation that gives every item a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factors {
    /// Truncated SVD.
    Svd,
    /// iALS; its setting is chosen on the validation part.
    Ials,
    /// The strongest eigenvectors of EASE's symmetrised matrix.
    Ease,
}

impl Factors {
    /// Vectors of all items `[items, dim]`, row-major, learnt from `fitted`. Dimensions beyond the item count are 0.
    ///
    /// `quality` chooses the setting of iALS among models learnt from the split's training part.
    ///
    /// # Errors
    /// The catalog is too large for EASE's dense matrix.
    pub fn vectors(self, items: usize, split: &Split, fitted: &[Sequence], dim: usize, quality: Quality) -> Result<Vec<f64>> {
        let vectors = match self {
            Factors::Svd => Svd::with(items, fitted, dim).vectors(),
            Factors::Ials => Ials::fit_on(items, split, fitted, dim, quality).into_vectors(),
            Factors::Ease => Ease::fit(items, fitted, None)?.vectors(dim),
        };
        Ok(padded(&vectors, vectors.len() / items.max(1), dim))
    }
}

/// Cuts rows of `rank` numbers to `dim`, or fills them up with zeros.
fn padded(rows: &[f64], rank: usize, dim: usize) -> Vec<f64> {
    let row = |row: &[f64]| row.iter().copied().chain(std::iter::repeat(0.0)).take(dim).collect::<Vec<f64>>();
    rows.chunks_exact(rank.max(1)).flat_map(row).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::data::DatasetEvent;
    use crate::protocols::{Query, Sequence};

    pub fn events(items: &[u32]) -> Vec<DatasetEvent> {
        items.iter().map(|item| DatasetEvent { user: 0, item: *item, kind: 0, rating: None, time: None, weight: 1.0 }).collect()
    }

    pub fn sequences(histories: &[&[u32]]) -> Vec<Sequence> {
        histories.iter().enumerate().map(|(u, h)| Sequence { user: u as u32, events: events(h).into() }).collect()
    }

    pub fn query(items: &[u32]) -> Query {
        Query::new(0, events(items), vec![], vec![])
    }
}
