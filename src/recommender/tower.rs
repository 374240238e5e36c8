//! Running the towers: their inputs are packed here, and their outputs checked.

use super::Recommender;
use crate::error::{ErrorKind, Result};
use crate::features::{Bag, EncodedState, Fields};
use crate::model::{Graph, Tensor};

/// The output of the user tower.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The visitor's vector `[d]`.
    pub vector: Vec<f32>,
    /// `[1 + d]`, c and then w: the rating of an item with the vector v is c + w · v. `None` if the bundle predicts no
    /// ratings.
    pub rating: Option<Vec<f32>>,
}

impl Recommender {
    /// Runs the user tower.
    ///
    /// # Errors
    /// `no-model` before a runtime is set; `model` if the run fails, or gives another shape or a number that is not
    /// finite.
    pub fn user(&self, state: &EncodedState) -> Result<User> {
        let runtime = self.runtime.as_ref().ok_or_else(|| ErrorKind::NoModel.at("user_tower"))?;
        let outputs = runtime.run(Graph::UserTower, &self.user_inputs(state))?;
        let dim = self.bundle.manifest.dim;
        let lengths: &[usize] = if self.bundle.manifest.ratings.is_some() { &[dim, 1 + dim] } else { &[dim] };
        let fits = outputs.iter().map(Vec::len).eq(lengths.iter().copied());
        if !fits || !outputs.iter().flatten().all(|x| x.is_finite()) {
            let fault = "the outputs are not finite vectors of the bundle's dimension";
            return Err(ErrorKind::Model(fault.into()).at("user_tower"));
        }
        let mut outputs = outputs.into_iter();
        Ok(User { vector: outputs.next().unwrap_or_default(), rating: outputs.next() })
    }

    /// The vector `[d]` of [`Recommender::user`].
    ///
    /// # Errors
    /// Same errors as [`Recommender::user`].
    pub fn user_vector(&self, state: &EncodedState) -> Result<Vec<f32>> {
        Ok(self.user(state)?.vector)
    }

    /// Runs the item tower on columns alone, as for an item that is not in the catalog: its vector `[d]` and bias.
    ///
    /// # Errors
    /// Same errors as [`Recommender::user_vector`]; `unknown-key` if a column is not in the bundle.
    pub fn item_vector(&self, fields: &Fields) -> Result<(Vec<f32>, f32)> {
        self.run_item_tower(0, &self.bundle.manifest.encoding.encode_item(fields)?)
    }

    /// Runs the item tower on a row of the catalog: its vector `[d]` and bias before quantization. With `known` false
    /// its id is left out, and its columns alone count.
    ///
    /// # Errors
    /// Same errors as [`Recommender::user_vector`].
    pub fn catalog_vector(&self, row: u32, known: bool) -> Result<(Vec<f32>, f32)> {
        let catalog = &self.bundle.catalog;
        let slots = self.bundle.manifest.encoding.encode_row(catalog.title(row), |column| catalog.value(column, row));
        self.run_item_tower(if known { i64::from(row) + 1 } else { 0 }, &slots)
    }

    fn run_item_tower(&self, id: i64, bag: &Bag) -> Result<(Vec<f32>, f32)> {
        let runtime = self.runtime.as_ref().ok_or_else(|| ErrorKind::NoModel.at("item_tower"))?;
        let (slots, weights) = padded(bag, self.bundle.manifest.encoding.item_slots());
        let outputs = runtime.run(Graph::ItemTower, &[Tensor::I64(vec![1], vec![id]), slots, weights])?;
        match outputs.as_slice() {
            [vector, bias, ..] if vector.len() == self.bundle.manifest.dim && bias.len() == 1 => Ok((vector.clone(), bias[0])),
            _ => Err(ErrorKind::Model("the outputs are not a vector and a bias".into()).at("item_tower")),
        }
    }

    /// The tower's inputs, in the order of its graph.
    fn user_inputs(&self, state: &EncodedState) -> Vec<Tensor> {
        let encoding = &self.bundle.manifest.encoding;
        let (len, dim) = (encoding.history.len, self.bundle.manifest.dim);
        let history = &state.history;
        let mut vectors = vec![0.0; len * dim];
        for (out, row) in vectors.chunks_exact_mut(dim).zip(&history.rows) {
            self.bundle.rows.history_vector_into(*row, out);
        }
        let indices = |values: &[u16]| {
            let mut out: Vec<i64> = values.iter().map(|v| i64::from(*v)).collect();
            out.resize(len, 0);
            Tensor::I64(vec![1, len], out)
        };
        let mut mask = vec![1.0; history.rows.len()];
        mask.resize(len, 0.0);
        let (slots, weights) = padded(&state.context, encoding.context_slots());
        vec![
            Tensor::F32(vec![1, len, dim], vectors),
            indices(&history.types),
            indices(&history.values),
            indices(&history.gaps),
            indices(&history.runs),
            Tensor::F32(vec![1, len], mask),
            slots,
            weights,
        ]
    }
}

/// Bag and weights of a bag, padded to `width` by slot 0 of weight 0.
fn padded(bag: &Bag, width: usize) -> (Tensor, Tensor) {
    let mut slots: Vec<i64> = bag.iter().map(|(slot, _)| i64::from(*slot)).collect();
    let mut weights: Vec<f32> = bag.iter().map(|(_, weight)| *weight).collect();
    slots.resize(width, 0);
    weights.resize(width, 0.0);
    (Tensor::I64(vec![1, width], slots), Tensor::F32(vec![1, width], weights))
}
