//! The item tower: item id and columns to a vector and a bias.
//!
//! v = E`[id]` + x F and b = B`[id]` + x f, where x are the weighted slots of the columns. An untied tower has a second
//! vector for each item, E′`[id]` + x F′, which the history reads instead of v.
//!
//! Id index 0 stands for an unknown id. Training replaces random ids by it, so that the tower learns to make a useful
//! vector from the columns alone.

use std::collections::BTreeSet;
use std::ops::Range;

use foretaste::bundle::CatalogFile;
use foretaste::features::{Bag, Encoding};
use foretaste::model::Graph;
use foretaste::model::signature::{ItemInputs, ItemOutputs, Shapes};

use super::params::{Parameter, fill_normal, split, split_mut, total};
use super::{Scales, SlotScale};
use crate::onnx::{Attribute, GraphBuilder};
use crate::ops::{Real, bag};

/// Standard deviation of the initial vectors.
const START_SD: f64 = 0.05;

/// Parameters of the item tower.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemTower<T = f32> {
    /// Dimensions of a vector.
    pub dim: usize,
    /// The parameters in `numbers`, in order: `ids` `[n + 1, d]`, `features` `[slots, d]`, `id_bias` `[n + 1]`,
    /// `feature_bias` `[slots]`; then `input_ids` and `input_features` with the shapes of the first two, empty in a
    /// tied tower.
    pub layout: Vec<Parameter>,
    /// The numbers of all parameters.
    pub numbers: Vec<T>,
}

/// The parameters, or their gradients.
struct Parts<S> {
    ids: S,
    features: S,
    id_bias: S,
    feature_bias: S,
    input_ids: S,
    input_features: S,
}

impl<S> From<[S; 6]> for Parts<S> {
    fn from([ids, features, id_bias, feature_bias, input_ids, input_features]: [S; 6]) -> Self {
        Parts { ids, features, id_bias, feature_bias, input_ids, input_features }
    }
}

impl<T: Real> ItemTower<T> {
    /// A tower of zeros for `items` items and `slots` slots of columns. With `untied`, histories read item vectors of
    /// their own, not the ones that score.
    pub fn zeros(dim: usize, items: usize, slots: usize, untied: bool) -> Self {
        let n = usize::from(untied);
        let layout = vec![
            Parameter::new("ids", &[items + 1, dim]),
            Parameter::new("features", &[slots, dim]),
            Parameter::new("id_bias", &[items + 1]),
            Parameter::new("feature_bias", &[slots]),
            Parameter::new("input_ids", &[n * (items + 1), dim]),
            Parameter::new("input_features", &[n * slots, dim]),
        ];
        ItemTower { dim, numbers: vec![T::ZERO; total(&layout)], layout }
    }

    /// The tower at the start of training: random vectors, and the bias ½ ln((count + 1) / (mean + 1)) for an item with
    /// `count` events.
    pub fn start(dim: usize, counts: &[u32], slots: usize, untied: bool, seed: u64) -> Self {
        let mut tower = Self::zeros(dim, counts.len(), slots, untied);
        let p = Parts::from(split_mut(&tower.layout, &mut tower.numbers));
        fill_normal(&mut p.ids[dim..], START_SD, seed);
        fill_normal(p.features, START_SD, seed + 1);
        if untied {
            fill_normal(&mut p.input_ids[dim..], START_SD, seed + 2);
            fill_normal(p.input_features, START_SD, seed + 3);
        }
        let mean = counts.iter().map(|c| f64::from(*c)).sum::<f64>() / counts.len() as f64;
        for (bias, count) in p.id_bias[1..].iter_mut().zip(counts) {
            *bias = T::of(0.5 * libm::log((f64::from(*count) + 1.0) / (mean + 1.0)));
        }
        tower
    }

    /// Replaces the id vectors by the vectors `[items, d]` of another model, scaled to the standard deviation of a
    /// random start.
    ///
    /// # Panics
    /// If the length of `vectors` is not `items * d`.
    pub fn start_from(&mut self, vectors: &[f64]) {
        let d = self.dim;
        let spread = (vectors.iter().map(|x| x * x).sum::<f64>() / vectors.len() as f64).sqrt();
        let scale = if spread > 0.0 { START_SD / spread } else { 0.0 };
        let p = Parts::from(split_mut(&self.layout, &mut self.numbers));
        assert_eq!(p.ids.len(), vectors.len() + d);
        for table in [p.ids, p.input_ids] {
            table.iter_mut().skip(d).zip(vectors).for_each(|(x, start)| *x = T::of(scale * start));
        }
    }

    /// Sets the gradient of the id vectors to 0, so that a training step leaves them as they are.
    pub fn freeze_ids(&self, gradient: &mut [T]) {
        let p = Parts::from(split_mut(&self.layout, gradient));
        p.ids.fill(T::ZERO);
        p.input_ids.fill(T::ZERO);
    }

    /// The ranges of `numbers` in which the gradient can be non-zero for items with these id indices, whatever their
    /// columns. They ascend and do not overlap.
    pub fn touched(&self, ids: &[u32]) -> Vec<Range<usize>> {
        let ids: BTreeSet<usize> = ids.iter().map(|id| *id as usize).collect();
        let (mut ranges, mut at) = (Vec::new(), 0);
        for parameter in &self.layout {
            let width = parameter.shape[1..].iter().product::<usize>();
            match parameter.name.as_str() {
                _ if parameter.is_empty() => {}
                "ids" | "id_bias" | "input_ids" => ranges.extend(ids.iter().map(|id| at + id * width..at + (id + 1) * width)),
                _ => ranges.push(at..at + parameter.len()),
            }
            at += parameter.len();
        }
        ranges
    }

    /// Gives items without training events the vector and bias of the unknown id, since their own were never trained.
    pub fn forget_unseen(&mut self, counts: &[u32]) {
        let d = self.dim;
        let p = Parts::from(split_mut(&self.layout, &mut self.numbers));
        for row in (0..counts.len()).filter(|row| counts[*row] == 0) {
            p.ids.copy_within(..d, (row + 1) * d);
            p.id_bias[row + 1] = p.id_bias[0];
            if !p.input_ids.is_empty() {
                p.input_ids.copy_within(..d, (row + 1) * d);
            }
        }
    }

    fn parts(&self) -> Parts<&[T]> {
        split(&self.layout, &self.numbers).into()
    }

    /// Computes vectors `[items, d]` and biases `[items]` from id indices and bags of column slots.
    pub fn forward<'a>(&self, ids: &[u32], bags: impl IntoIterator<Item = &'a Bag> + Clone) -> (Vec<T>, Vec<T>) {
        let (d, p) = (self.dim, self.parts());
        let vectors = embed(d, (p.ids, p.features), ids, bags.clone());
        let mut biases: Vec<T> = ids.iter().map(|id| p.id_bias[*id as usize]).collect();
        bag::forward(p.feature_bias, 1, bags, &mut biases);
        (vectors, biases)
    }

    /// The vectors `[items, d]` that the history reads for these items. `None` in a tied tower, whose history reads the
    /// vectors of [`ItemTower::forward`].
    pub fn inputs<'a>(&self, ids: &[u32], bags: impl IntoIterator<Item = &'a Bag>) -> Option<Vec<T>> {
        let p = self.parts();
        (!p.input_ids.is_empty()).then(|| embed(self.dim, (p.input_ids, p.input_features), ids, bags))
    }

    /// Adds the gradient of [`ItemTower::inputs`] to `gradient`, which has the layout of `numbers`. Does nothing in a
    /// tied tower.
    pub fn backward_inputs<'a>(&self, ids: &[u32], bags: impl IntoIterator<Item = &'a Bag>, dinputs: &[T], gradient: &mut [T]) {
        let dp = Parts::from(split_mut(&self.layout, gradient));
        if !dp.input_ids.is_empty() {
            embed_backward(self.dim, ids, bags, dinputs, (dp.input_ids, dp.input_features));
        }
    }

    /// Adds the gradient of [`ItemTower::forward`] to `gradient`, which has the layout of `numbers`.
    pub fn backward<'a>(
        &self,
        ids: &[u32],
        bags: impl IntoIterator<Item = &'a Bag> + Clone,
        dvectors: &[T],
        dbiases: &[T],
        gradient: &mut [T],
    ) {
        let d = self.dim;
        let dp = Parts::from(split_mut(&self.layout, gradient));
        embed_backward(d, ids, bags.clone(), dvectors, (dp.ids, dp.features));
        ids.iter().zip(dbiases).for_each(|(id, db)| dp.id_bias[*id as usize] += *db);
        bag::backward(1, bags, dbiases, dp.feature_bias);
    }
}

/// The row of each id plus the weighted sum of its columns' slots: `[items, d]`.
fn embed<'a, T: Real>(d: usize, (table, columns): (&[T], &[T]), ids: &[u32], bags: impl IntoIterator<Item = &'a Bag>) -> Vec<T> {
    let mut vectors: Vec<T> = ids.iter().flat_map(|id| &table[*id as usize * d..][..d]).copied().collect();
    bag::forward(columns, d, bags, &mut vectors);
    vectors
}

/// Adds the gradient of [`embed`] to the gradients of both tables.
fn embed_backward<'a, T: Real>(
    d: usize,
    ids: &[u32],
    bags: impl IntoIterator<Item = &'a Bag>,
    dvectors: &[T],
    (dtable, dcolumns): (&mut [T], &mut [T]),
) {
    for (id, dv) in ids.iter().zip(dvectors.chunks_exact(d)) {
        dtable[*id as usize * d..][..d].iter_mut().zip(dv).for_each(|(e, v)| *e += *v);
    }
    bag::backward(d, bags, dvectors, dcolumns);
}

/// The item tower's outputs for a whole catalog. Row i has the id index i + 1.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogRows {
    /// `[n, d]`.
    pub vectors: Vec<f32>,
    /// `[n]`.
    pub biases: Vec<f32>,
    /// The vectors that the history reads, `[n, d]`; `None` if it reads `vectors`.
    pub inputs: Option<Vec<f32>>,
}

impl CatalogRows {
    /// The vectors that the history reads: `[n, d]`.
    pub fn read(&self) -> &[f32] {
        self.inputs.as_ref().unwrap_or(&self.vectors)
    }
}

impl ItemTower {
    /// Computes the outputs for a catalog whose items have the encoded columns `bags`.
    pub fn rows(&self, bags: &[Bag]) -> CatalogRows {
        let ids: Vec<u32> = (1..=bags.len() as u32).collect();
        let (vectors, biases) = self.forward(&ids, bags);
        CatalogRows { vectors, biases, inputs: self.inputs(&ids, bags) }
    }

    /// The tower as an ONNX file with the inputs and outputs of
    /// [`ITEM_TOWER`](foretaste::model::signature::ITEM_TOWER). The graph has the output `input` if histories read item
    /// vectors of their own. `scale` is that of the columns' slots.
    pub fn onnx(&self, encoding: &Encoding, scale: &SlotScale) -> Vec<u8> {
        let (d, p) = (self.dim, self.parts());
        let shapes = Shapes { dim: d, item: encoding.item_slots(), ..Shapes::default() };
        let mut g = GraphBuilder::new(Graph::ItemTower.name());
        let ItemInputs { id, slots, weights } = ItemInputs::each(|port| g.input(port, &shapes));
        let outputs = ItemOutputs::each(|port| port);
        let weights = scale.onnx(&mut g, "scale", &slots, &weights, shapes.item);
        let axis = g.constant_i64("bias.last", &[1], &[1]);
        let sum = |g: &mut GraphBuilder, name: &str, table: &[f32], columns: &[f32], d: usize| {
            let ids = g.constant_f32(&format!("{name}.ids"), &[table.len() / d, d], table);
            let own = g.node("Gather", &[&ids, &id], &[("axis", Attribute::Int(0))]);
            let of_columns = bag::onnx(g, name, columns, d, &slots, &weights);
            g.node("Add", &[&own, &of_columns], &[])
        };
        let vector = sum(&mut g, "vector", p.ids, p.features, d);
        let bias = sum(&mut g, "bias", p.id_bias, p.feature_bias, 1);
        let bias = g.node("Squeeze", &[&bias, &axis], &[]);
        let input = (!p.input_ids.is_empty()).then(|| sum(&mut g, "input", p.input_ids, p.input_features, d));
        g.output(outputs.vector, &vector, &shapes);
        g.output(outputs.bias, &bias, &shapes);
        if let Some(input) = input {
            g.output(outputs.input, &input, &shapes);
        }
        g.finish()
    }
}

/// Encodes the columns of every item of a catalog as a bag of slots, as the item tower reads it.
pub fn encode_catalog(encoding: &Encoding, scales: &Scales, catalog: &CatalogFile) -> Vec<Bag> {
    let scale = scales.item_slots(encoding);
    let value = |column: &str, row: usize| catalog.columns.get(column).map(|values| &values[row]);
    let bag = |row: usize| {
        let mut bag = encoding.encode_row(catalog.titles[row].as_deref(), |column| value(column, row));
        scale.apply(&mut bag);
        bag
    };
    (0..catalog.ids.len()).map(bag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn known_values_and_gradient() {
        let mut tower = ItemTower::<f64>::zeros(2, 2, 3, true);
        tower.numbers = numbers(tower.numbers.len(), 1);
        let (ids, bags) = ([2, 0], vec![vec![(0, 1.0), (2, 0.5)], vec![(1, 2.0)]]);
        let (v, b) = tower.forward(&ids, &bags);
        let n = &tower.numbers;
        assert_eq!(v[0], n[4] + n[6] + 0.5 * n[10]);
        assert_eq!(b, [n[14] + n[15] + 0.5 * n[17], n[12] + 2.0 * n[16]]);

        assert_eq!(tower.inputs(&ids, &bags).unwrap()[0], n[18 + 4] + n[24] + 0.5 * n[28]);
        assert_eq!(ItemTower::<f64>::zeros(2, 2, 3, false).inputs(&ids, &bags), None);

        let (dv, db, dinputs) = (numbers(4, 2), numbers(2, 3), numbers(4, 4));
        let mut gradient = vec![0.0; n.len()];
        tower.backward(&ids, &bags, &dv, &db, &mut gradient);
        tower.backward_inputs(&ids, &bags, &dinputs, &mut gradient);
        let touched: Vec<usize> = tower.touched(&ids).into_iter().flatten().collect();
        assert_eq!(touched, [(0..2).collect(), (4..13).collect(), (14..20).collect(), (22..30).collect::<Vec<_>>()].concat());
        assert!(gradient.iter().enumerate().all(|(i, x)| *x == 0.0 || touched.contains(&i)));
        assert_gradient("tower", n, &gradient, |n| {
            let tower = ItemTower { numbers: n.to_vec(), ..tower.clone() };
            let ((v, b), inputs) = (tower.forward(&ids, &bags), tower.inputs(&ids, &bags).unwrap());
            let sum = |y: &[f64], d: &[f64]| y.iter().zip(d).map(|(y, d)| y * d).sum::<f64>();
            sum(&v, &dv) + sum(&b, &db) + sum(&inputs, &dinputs)
        });
    }

    #[test]
    fn starts_from_vectors_of_another_model() {
        let mut tower = ItemTower::<f64>::start(2, &[1, 2], 1, true, 7);
        tower.start_from(&[3.0, 0.0, 0.0, -4.0]);
        let p = tower.parts();
        // The root mean square of the four is 2.5.
        assert_eq!(p.ids, [0.0, 0.0, 3.0 * 0.02, 0.0, 0.0, -4.0 * 0.02]);
        assert_eq!(p.ids, p.input_ids);
        let mut gradient = vec![1.0; tower.numbers.len()];
        tower.freeze_ids(&mut gradient);
        let d = Parts::from(split(&tower.layout, &gradient));
        assert!(d.ids.iter().chain(d.input_ids).all(|x| *x == 0.0) && d.features.iter().chain(d.id_bias).all(|x| *x == 1.0));
    }

    #[test]
    fn starts_with_popular_items_ahead() {
        let tower = ItemTower::<f64>::start(4, &[0, 9, 99], 1, true, 7);
        let bias = tower.parts().id_bias;
        assert!(bias[1] < bias[2] && bias[2] < bias[3] && bias[0] == 0.0);
        assert_eq!(tower, ItemTower::start(4, &[0, 9, 99], 1, true, 7));
        assert_ne!(tower.numbers, ItemTower::<f64>::start(4, &[0, 9, 99], 1, true, 8).numbers);
    }
}
