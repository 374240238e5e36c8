//! Puts the numbers of vector columns on one scale before a tower reads them.
//!
//! A page passes vectors as they stand in the data, so the scale is part of the graphs: the first nodes of a tower
//! subtract the mean and divide by the spread. Weights of other columns enter as they are.

use std::collections::BTreeMap;

use foretaste::features::{Bag, ColumnEncoding, ColumnKind, Encoding};
use serde::{Deserialize, Serialize};

use crate::onnx::{Attribute, GraphBuilder, Value};

/// The scale of one vector column: x enters as (x − mean) / spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorScale {
    /// Mean of each dimension: `[dim]`.
    pub mean: Vec<f64>,
    /// The root mean square distance of a vector from the mean, above 0. So a vector enters with a length of about 1,
    /// and directions keep their meaning.
    pub spread: f64,
}

impl VectorScale {
    /// The scale of some vectors of one length; `None` if they are all equal, are none, or are beyond the range of f32.
    pub fn of<'a>(vectors: impl Iterator<Item = &'a [f64]> + Clone) -> Option<VectorScale> {
        let n = vectors.clone().count() as f64;
        let mut mean = vec![0.0; vectors.clone().next()?.len()];
        vectors.clone().for_each(|v| mean.iter_mut().zip(v).for_each(|(m, x)| *m += x / n));
        let square = |v: &[f64]| v.iter().zip(&mean).map(|(x, m)| (x - m) * (x - m)).sum::<f64>();
        let spread = (vectors.map(square).sum::<f64>() / n).sqrt();
        // The graphs compute in f32.
        let fits = |x: f64| (x as f32).is_normal() && ((x * 1e3) as f32).is_finite();
        (fits(spread) && mean.iter().all(|m| (*m as f32).is_finite())).then_some(VectorScale { mean, spread })
    }
}

/// The scales of all vector columns, by name. A column without an entry enters as it is: earlier trainers scaled none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scales {
    /// Columns of items.
    pub items: BTreeMap<String, VectorScale>,
    /// Columns of requests.
    pub context: BTreeMap<String, VectorScale>,
}

impl Scales {
    /// Whether no column has a scale.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.context.is_empty()
    }

    /// The scale of the slots of an item.
    pub fn item_slots(&self, encoding: &Encoding) -> SlotScale {
        SlotScale::of(&encoding.items, &self.items)
    }

    /// The scale of the slots of a request.
    pub fn context_slots(&self, encoding: &Encoding) -> SlotScale {
        SlotScale::of(&encoding.context, &self.context)
    }
}

/// What is subtracted from the weight of each slot, and what it is then divided by. Both lists are empty if no column
/// has a scale.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlotScale {
    mean: Vec<f32>,
    spread: Vec<f32>,
}

impl SlotScale {
    fn of(columns: &[ColumnEncoding], scales: &BTreeMap<String, VectorScale>) -> SlotScale {
        let mut out = SlotScale::default();
        for column in columns {
            match scales.get(&column.name).filter(|_| matches!(column.kind, ColumnKind::Vector { .. })) {
                // A graph cannot tell a weight of 0 in slot 0 from padding unless another slot of the column follows.
                // So a single number there is divided by its root mean square, and 0 stays 0.
                Some(VectorScale { mean, spread }) if out.mean.is_empty() && mean.len() == 1 => {
                    out.mean.push(0.0);
                    out.spread.push(libm::hypot(*spread, mean[0]) as f32);
                }
                Some(VectorScale { mean, spread }) => {
                    out.mean.extend(mean.iter().map(|m| *m as f32));
                    out.spread.resize(out.mean.len(), *spread as f32);
                }
                None => {
                    out.mean.resize(out.mean.len() + column.width(), 0.0);
                    out.spread.resize(out.mean.len(), 1.0);
                }
            }
        }
        if scales.is_empty() { SlotScale::default() } else { out }
    }

    /// Scales the weights of a bag.
    pub fn apply(&self, bag: &mut Bag) {
        if self.mean.is_empty() {
            return;
        }
        for (slot, weight) in bag {
            *weight = (*weight - self.mean[*slot as usize]) / self.spread[*slot as usize];
        }
    }

    /// ONNX nodes: scales `weights` f32 `[batch, S]` of `slots` i64 `[batch, S]`. Padding, which is slot 0 with weight
    /// 0, stays 0. No nodes without a scale.
    pub(super) fn onnx(&self, g: &mut GraphBuilder, name: &str, slots: &Value, weights: &Value, width: usize) -> Value {
        if self.mean.is_empty() {
            return weights.clone();
        }
        let by_slot = |g: &mut GraphBuilder, what: &str, table: &[f32]| {
            let table = g.constant_f32(&format!("{name}.{what}"), &[table.len()], table);
            g.node("Gather", &[&table, slots], &[("axis", Attribute::Int(0))])
        };
        // Slot 0 is also the padding's. Its own mean is subtracted at the first place of the bag, where a column that
        // begins with slot 0 has it, and only if slot 1 of that column is in the bag too.
        let first = self.mean[0];
        let mut others = self.mean.clone();
        others[0] = 0.0;
        let mut mean = by_slot(g, "mean", &others);
        if first != 0.0 {
            let mut second = vec![0.0; self.mean.len()];
            second[1] = 1.0;
            let second = by_slot(g, "second", &second);
            let axis = g.constant_i64(&format!("{name}.last"), &[1], &[1]);
            let is_there = g.node("ReduceSum", &[&second, &axis], &[("keepdims", Attribute::Int(1))]);
            let mut place = vec![0.0; width];
            place[0] = first;
            let place = g.constant_f32(&format!("{name}.first"), &[1, width], &place);
            let own = g.node("Mul", &[&is_there, &place], &[]);
            mean = g.node("Add", &[&mean, &own], &[]);
        }
        let spread = by_slot(g, "spread", &self.spread);
        let centred = g.node("Sub", &[weights, &mean], &[]);
        g.node("Div", &[&centred, &spread], &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: ColumnKind) -> ColumnEncoding {
        ColumnEncoding { name: name.into(), kind }
    }

    fn scaled(columns: &[ColumnEncoding], scales: &[(&str, VectorScale)], mut bag: Bag) -> Bag {
        let scales = scales.iter().map(|(name, scale)| ((*name).to_owned(), scale.clone())).collect();
        SlotScale::of(columns, &scales).apply(&mut bag);
        bag
    }

    #[test]
    fn vectors_have_a_length_of_about_one() {
        let vectors = [[1000.0, 1.0], [1000.0, 5.0], [1006.0, 3.0], [994.0, 3.0]];
        let scale = VectorScale::of(vectors.iter().map(|v| &v[..])).unwrap();
        assert_eq!(scale, VectorScale { mean: vec![1000.0, 3.0], spread: 20f64.sqrt() });
        let columns = [column("a", ColumnKind::HistoryLength { buckets: 2 }), column("v", ColumnKind::Vector { dim: 2 })];
        let bag = scaled(&columns, &[("v", scale)], vec![(1, 1.0), (2, 1006.0), (3, 3.0)]);
        assert_eq!(bag, [(1, 1.0), (2, 6.0 / 20f32.sqrt()), (3, 0.0)]);
    }

    #[test]
    fn what_tells_nothing_or_overflows_has_no_scale() {
        let of = |vectors: &[[f64; 2]]| VectorScale::of(vectors.iter().map(|v| &v[..]));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[[1.0, 2.0]; 3]), None);
        for far in [1e38, 1e-45, f64::INFINITY] {
            assert_eq!(of(&[[far, 0.0], [0.0, far]]), None, "{far}");
        }
        assert!(of(&[[1e30, 0.0], [0.0, 1e30]]).is_some() && of(&[[1e-30, 0.0], [0.0, 1e-30]]).is_some());
    }

    #[test]
    fn a_leading_single_number_keeps_its_zero() {
        let (columns, scale) = ([column("v", ColumnKind::Vector { dim: 1 })], VectorScale { mean: vec![4.0], spread: 3.0 });
        assert_eq!(scaled(&columns, &[("v", scale)], vec![(0, 10.0)]), [(0, 2.0)]);
        assert_eq!(scaled(&columns, &[], vec![(0, 10.0)]), [(0, 10.0)]);
    }
}
