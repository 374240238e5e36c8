//! Item id and columns to a vector and a bias: v = E`[id]` + x F, b = B`[id]` + x f, for the weighted slots x of the columns.
//!
//! Id index 0 stands for an unknown id: training gives it to items at random, so that columns alone make a fair vector.

use foretaste::bundle::CatalogFile;
use foretaste::features::{Encoding, Slots};

use super::params::{Tensor, fill_normal, split, split_mut, total};
use crate::onnx::{Attribute, Dim, GraphBuilder};
use crate::ops::{Real, bag};

/// Standard deviation of the numbers that training starts from.
const START_SD: f64 = 0.05;

/// Parameters of the item tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemTower<T = f32> {
    /// Dimensions of a vector.
    pub dim: usize,
    /// Tensors of `numbers`: `ids` `[n + 1, d]`, `features` `[slots, d]`, `id_bias` `[n + 1]`, `feature_bias` `[slots]`.
    pub layout: Vec<Tensor>,
    /// All numbers.
    pub numbers: Vec<T>,
}

/// A gradient flows into a slice as the tower's numbers lie.
struct Parts<S> {
    ids: S,
    features: S,
    id_bias: S,
    feature_bias: S,
}

impl<T: Real> ItemTower<T> {
    /// A tower of zeros for `items` items and `slots` slots of columns.
    pub fn zeros(dim: usize, items: usize, slots: usize) -> Self {
        let layout = vec![
            Tensor::new("ids", &[items + 1, dim]),
            Tensor::new("features", &[slots, dim]),
            Tensor::new("id_bias", &[items + 1]),
            Tensor::new("feature_bias", &[slots]),
        ];
        ItemTower { dim, numbers: vec![T::ZERO; total(&layout)], layout }
    }

    /// The start of a training: vectors are random, biases follow the events of each item: ½ ln((count + 1) / (mean + 1)).
    pub fn start(dim: usize, counts: &[u32], slots: usize, seed: u64) -> Self {
        let mut tower = Self::zeros(dim, counts.len(), slots);
        let [ids, features, id_bias, _] = split_mut(&tower.layout, &mut tower.numbers);
        fill_normal(&mut ids[dim..], START_SD, seed);
        fill_normal(features, START_SD, seed + 1);
        let mean = counts.iter().map(|c| f64::from(*c)).sum::<f64>() / counts.len() as f64;
        for (bias, count) in id_bias[1..].iter_mut().zip(counts) {
            *bias = T::of(0.5 * libm::log((f64::from(*count) + 1.0) / (mean + 1.0)));
        }
        tower
    }

    /// Gives items without training events the id of an unknown item: nothing was learnt of their own.
    pub fn forget_unseen(&mut self, counts: &[u32]) {
        let d = self.dim;
        let [ids, _, id_bias, _] = split_mut(&self.layout, &mut self.numbers);
        for row in (0..counts.len()).filter(|row| counts[*row] == 0) {
            ids.copy_within(..d, (row + 1) * d);
            id_bias[row + 1] = id_bias[0];
        }
    }

    fn parts(&self) -> Parts<&[T]> {
        let [ids, features, id_bias, feature_bias] = split(&self.layout, &self.numbers);
        Parts { ids, features, id_bias, feature_bias }
    }

    /// Vectors `[items, d]` and biases `[items]` of items with the given id indices and bags of column slots.
    pub fn forward<'a>(&self, ids: &[u32], bags: impl IntoIterator<Item = &'a Slots> + Clone) -> (Vec<T>, Vec<T>) {
        let (d, p) = (self.dim, self.parts());
        let mut vectors: Vec<T> = ids.iter().flat_map(|id| &p.ids[*id as usize * d..][..d]).copied().collect();
        let mut biases: Vec<T> = ids.iter().map(|id| p.id_bias[*id as usize]).collect();
        bag::forward(p.features, d, bags.clone(), &mut vectors);
        bag::forward(p.feature_bias, 1, bags, &mut biases);
        (vectors, biases)
    }

    /// Adds to `gradient`, which lies as `numbers`.
    pub fn backward<'a>(
        &self,
        ids: &[u32],
        bags: impl IntoIterator<Item = &'a Slots> + Clone,
        dvectors: &[T],
        dbiases: &[T],
        gradient: &mut [T],
    ) {
        let d = self.dim;
        let [dids, dfeatures, did_bias, dfeature_bias] = split_mut(&self.layout, gradient);
        let dp = Parts { ids: dids, features: dfeatures, id_bias: did_bias, feature_bias: dfeature_bias };
        for ((id, dv), db) in ids.iter().zip(dvectors.chunks_exact(d)).zip(dbiases) {
            dp.ids[*id as usize * d..][..d].iter_mut().zip(dv).for_each(|(e, v)| *e += *v);
            dp.id_bias[*id as usize] += *db;
        }
        bag::backward(d, bags.clone(), dvectors, dp.features);
        bag::backward(1, bags, dbiases, dp.feature_bias);
    }
}

impl ItemTower {
    /// Vectors `[n, d]` and biases `[n]` of the catalog; row i has the id index i + 1.
    pub fn rows(&self, encoding: &Encoding, catalog: &CatalogFile) -> (Vec<f32>, Vec<f32>) {
        let ids: Vec<u32> = (1..=catalog.ids.len() as u32).collect();
        self.forward(&ids, &encode_catalog(encoding, catalog))
    }

    /// The tower as ONNX. Inputs: `id` i64 `[batch]`, `slots` i64 `[batch, S]`, `weights` f32 `[batch, S]`, S = `encoding.item_slots()`.
    /// Outputs: `vector` f32 `[batch, d]`, `bias` f32 `[batch]`.
    pub fn onnx(&self, encoding: &Encoding) -> Vec<u8> {
        let (d, slots, p) = (self.dim, encoding.item_slots(), self.parts());
        let mut g = GraphBuilder::new("item_tower");
        let id = g.input_i64("id", &[Dim::Batch]);
        let slot = g.input_i64("slots", &[Dim::Batch, Dim::Fixed(slots)]);
        let weight = g.input_f32("weights", &[Dim::Batch, Dim::Fixed(slots)]);
        let axis = g.constant_i64("bias.last", &[1], &[1]);
        let sum = |g: &mut GraphBuilder, name: &str, table: &[f32], columns: &[f32], d: usize| {
            let ids = g.constant_f32(&format!("{name}.ids"), &[table.len() / d, d], table);
            let own = g.node("Gather", &[&ids, &id], &[("axis", Attribute::Int(0))]);
            let of_columns = bag::onnx(g, name, columns, d, &slot, &weight);
            g.node("Add", &[&own, &of_columns], &[])
        };
        let vector = sum(&mut g, "vector", p.ids, p.features, d);
        let bias = sum(&mut g, "bias", p.id_bias, p.feature_bias, 1);
        let bias = g.node("Squeeze", &[&bias, &axis], &[]);
        g.output_f32(&vector, "vector", &[Dim::Batch, Dim::Fixed(d)]);
        g.output_f32(&bias, "bias", &[Dim::Batch]);
        g.finish()
    }
}

/// The column slots of every item of a catalog.
pub fn encode_catalog(encoding: &Encoding, catalog: &CatalogFile) -> Vec<Slots> {
    let value = |column: &str, row: usize| catalog.columns.get(column).map(|values| &values[row]);
    (0..catalog.ids.len()).map(|row| encoding.encode_row(catalog.titles[row].as_deref(), |column| value(column, row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn known_values_and_gradient() {
        let mut tower = ItemTower::<f64>::zeros(2, 2, 3);
        tower.numbers = numbers(tower.numbers.len(), 1);
        let (ids, bags) = ([2, 0], vec![vec![(0, 1.0), (2, 0.5)], vec![(1, 2.0)]]);
        let (v, b) = tower.forward(&ids, &bags);
        let n = &tower.numbers;
        assert_eq!(v[0], n[4] + n[6] + 0.5 * n[10]);
        assert_eq!(b, [n[14] + n[15] + 0.5 * n[17], n[12] + 2.0 * n[16]]);

        let (dv, db) = (numbers(4, 2), numbers(2, 3));
        let mut gradient = vec![0.0; n.len()];
        tower.backward(&ids, &bags, &dv, &db, &mut gradient);
        assert_gradient("tower", n, &gradient, |n| {
            let (v, b) = ItemTower { numbers: n.to_vec(), ..tower.clone() }.forward(&ids, &bags);
            v.iter().zip(&dv).chain(b.iter().zip(&db)).map(|(y, d)| y * d).sum()
        });
    }

    #[test]
    fn starts_with_popular_items_ahead() {
        let tower = ItemTower::<f64>::start(4, &[0, 9, 99], 1, 7);
        let bias = tower.parts().id_bias;
        assert!(bias[1] < bias[2] && bias[2] < bias[3] && bias[0] == 0.0);
        assert_eq!(tower, ItemTower::start(4, &[0, 9, 99], 1, 7));
        assert_ne!(tower.numbers, ItemTower::<f64>::start(4, &[0, 9, 99], 1, 8).numbers);
    }
}
