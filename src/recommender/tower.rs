//! Runs the towers: packs their inputs and checks their outputs.

use super::Recommender;
use crate::bundle::NEIGHBOURS;
use crate::error::{Error, ErrorKind, Result};
use crate::features::{Bag, EncodedHistory, EncodedState, Fields};
use crate::model::signature::{ItemInputs, ItemOutputs, UserInputs, UserOutputs};
use crate::model::{Graph, Shapes, TensorData};
use crate::retrieve::Sums;

/// What scores are made of for one visitor: the outputs of the user tower, and the sums over neighbours.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct User {
    /// The visitor's vector `[d]`.
    pub vector: Vec<f32>,
    /// `[1 + d]`, c and then w: the rating of an item with the vector v is c + w · v. `None` if the bundle predicts no
    /// ratings.
    pub rating: Option<Vec<f32>>,
    /// What the neighbours of the history's items add to scores; nothing if the bundle has no neighbours.
    pub sums: Sums,
}

impl Recommender {
    /// Runs the user tower and adds up the neighbours of the history.
    ///
    /// # Errors
    /// `missing` before the neighbours of a bundle that has some are there; `no-model` before a runtime is set; `model`
    /// if the run fails, or gives another shape or a number that is not finite.
    pub fn user(&self, state: &EncodedState) -> Result<User> {
        let (vector, rating) = self.run_user_tower(state)?;
        Ok(User { vector, rating, sums: self.sums(&state.history)? })
    }

    /// The vector `[d]` and the rating of [`User`].
    pub(super) fn run_user_tower(&self, state: &EncodedState) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        let mut outputs = self.run(Graph::UserTower, 1, self.user_inputs(state).in_order())?;
        let UserOutputs { user, rating } = UserOutputs::each(|_| outputs.next());
        match user {
            Some(vector) if rating.is_some() == self.bundle.manifest.ratings.is_some() => Ok((vector, rating)),
            _ => Err(outputs_differ(Graph::UserTower)),
        }
    }

    /// What the neighbours of the history's items add to scores; nothing if the bundle has no neighbours.
    ///
    /// # Errors
    /// `missing` before the neighbours of a bundle that has some are there.
    pub(super) fn sums(&self, history: &EncodedHistory) -> Result<Sums> {
        let Some(weights) = &self.bundle.manifest.neighbours else { return Ok(Sums::default()) };
        let neighbours = self.bundle.neighbours.as_ref().ok_or_else(|| ErrorKind::Missing.at(NEIGHBOURS))?;
        Ok(Sums::of(neighbours, weights, history))
    }

    /// The vector `[d]` of [`Recommender::user`].
    ///
    /// # Errors
    /// Those of [`Recommender::user`].
    pub fn user_vector(&self, state: &EncodedState) -> Result<Vec<f32>> {
        Ok(self.run_user_tower(state)?.0)
    }

    /// The vector `[d]` and the bias that the item tower gives an item by its columns alone. The catalog need not have
    /// it.
    ///
    /// # Errors
    /// Those of [`Recommender::user`], and `unknown-key` for a column that the bundle does not have.
    pub fn item_vector(&self, fields: &Fields) -> Result<(Vec<f32>, f32)> {
        self.run_item_tower(0, &self.bundle.manifest.encoding.encode_item(fields)?)
    }

    /// Runs the item tower on a row of the catalog: its vector `[d]` and bias before quantization. With `known` false
    /// its id is left out, and its columns alone count.
    ///
    /// # Errors
    /// Those of [`Recommender::user`].
    pub fn catalog_vector(&self, row: u32, known: bool) -> Result<(Vec<f32>, f32)> {
        let catalog = &self.bundle.catalog;
        let slots = self.bundle.manifest.encoding.encode_row(catalog.title(row), |column| catalog.value(column, row));
        self.run_item_tower(if known { i64::from(row) + 1 } else { 0 }, &slots)
    }

    fn run_item_tower(&self, id: i64, bag: &Bag) -> Result<(Vec<f32>, f32)> {
        let (slots, weights) = unzipped(bag);
        let inputs = ItemInputs { id: TensorData::I64(vec![id]), slots, weights };
        let mut outputs = self.run(Graph::ItemTower, 1, inputs.in_order())?;
        let ItemOutputs { vector, bias, .. } = ItemOutputs::each(|_| outputs.next());
        match (vector, bias.as_deref()) {
            (Some(vector), Some([bias])) => Ok((vector, *bias)),
            _ => Err(outputs_differ(Graph::ItemTower)),
        }
    }

    /// Runs a graph on a batch, to which inputs are padded, and checks its outputs.
    pub(super) fn run(&self, graph: Graph, batch: usize, inputs: Vec<TensorData>) -> Result<std::vec::IntoIter<Vec<f32>>> {
        let runtime = self.runtime.as_ref().ok_or_else(|| ErrorKind::NoModel.at(graph.name()))?;
        let (signature, shapes) = (graph.signature(), Shapes { batch, ..self.bundle.manifest.shapes() });
        let outputs = runtime.run(graph, &signature.pack(inputs, &shapes))?;
        if !signature.fits(&outputs, &shapes) {
            return Err(outputs_differ(graph));
        }
        Ok(outputs.into_iter())
    }

    fn user_inputs(&self, state: &EncodedState) -> UserInputs<TensorData> {
        let (dim, history) = (self.bundle.manifest.dim, &state.history);
        let mut vectors = vec![0.0; history.rows.len() * dim];
        for (out, row) in vectors.chunks_exact_mut(dim).zip(&history.rows) {
            self.bundle.rows.history_vector_into(*row, out);
        }
        let indices = |values: &[u16]| TensorData::I64(values.iter().map(|v| i64::from(*v)).collect());
        let (context_slots, context_weights) = unzipped(&state.context);
        UserInputs {
            vectors: TensorData::F32(vectors),
            types: indices(&history.types),
            values: indices(&history.values),
            gaps: indices(&history.gaps),
            runs: indices(&history.runs),
            mask: TensorData::F32(vec![1.0; history.rows.len()]),
            context_slots,
            context_weights,
        }
    }
}

/// The slots and the weights of a bag.
fn unzipped(bag: &Bag) -> (TensorData, TensorData) {
    let slots = bag.iter().map(|(slot, _)| i64::from(*slot)).collect();
    (TensorData::I64(slots), TensorData::F32(bag.iter().map(|(_, weight)| *weight).collect()))
}

fn outputs_differ(graph: Graph) -> Error {
    ErrorKind::Model("the outputs have other lengths than expected, or numbers that are not finite".into()).at(graph.name())
}
