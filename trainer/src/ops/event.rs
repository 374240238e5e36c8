//! Embeds an event of the history as a vector: `h = 2.5 v (1 + g[value]) + R[value] + Y[type] + G[gap] + S[run]`.

use super::Real;
use crate::onnx::{Attribute, GraphBuilder, Value};

/// Weight of the item's vector beside the embeddings, which start at 0.
const ITEM_WEIGHT: f64 = 2.5;

/// An encoded event: `item` is a row of the vectors, the others are rows of the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventIndex {
    /// Row of the item vectors.
    pub item: u32,
    /// Row of the value tables.
    pub value: u16,
    /// Row of the type table.
    pub kind: u16,
    /// Row of the gap table.
    pub gap: u16,
    /// Row of the run table.
    pub run: u16,
}

/// Parameters of the embedding, or their gradients. Each is `[rows, d]` except `gain`, which is `[value rows]`.
pub struct Tables<S> {
    /// g: how much the value scales the item's vector.
    pub gain: S,
    /// R: embedding of the value.
    pub values: S,
    /// Y: embedding of the event type.
    pub types: S,
    /// G: embedding of the time gap to the event before.
    pub gaps: S,
    /// S: embedding of the place in a run of equal times.
    pub runs: S,
}

/// Writes `h` `[events, d]` from the item vectors `v` `[items, d]`.
pub fn forward<T: Real>(d: usize, events: &[EventIndex], v: &[T], tables: &Tables<&[T]>, h: &mut [T]) {
    for (event, h) in events.iter().zip(h.chunks_exact_mut(d)) {
        let scale = T::of(ITEM_WEIGHT) * (T::ONE + tables.gain[event.value as usize]);
        h.iter_mut().zip(&v[event.item as usize * d..][..d]).for_each(|(h, v)| *h = scale * *v);
        for (table, row) in
            [(tables.values, event.value), (tables.types, event.kind), (tables.gaps, event.gap), (tables.runs, event.run)]
        {
            h.iter_mut().zip(&table[row as usize * d..][..d]).for_each(|(h, t)| *h += *t);
        }
    }
}

/// The backward pass for `dh` `[events, d]`. Adds to `dv` `[items, d]` and to the gradients of the tables.
pub fn backward<T: Real>(
    d: usize,
    events: &[EventIndex],
    v: &[T],
    gain: &[T],
    dh: &[T],
    dv: &mut [T],
    dtables: &mut Tables<&mut [T]>,
) {
    let weight = T::of(ITEM_WEIGHT);
    for (event, dh) in events.iter().zip(dh.chunks_exact(d)) {
        let (item, value) = (event.item as usize * d, event.value as usize);
        let along = dh.iter().zip(&v[item..item + d]).map(|(h, v)| *h * *v).sum::<T>();
        dtables.gain[value] += weight * along;
        let scale = weight * (T::ONE + gain[value]);
        dv[item..item + d].iter_mut().zip(dh).for_each(|(v, h)| *v += scale * *h);
        let rows = [event.value, event.kind, event.gap, event.run];
        let tables = [&mut *dtables.values, &mut *dtables.types, &mut *dtables.gaps, &mut *dtables.runs];
        for (table, row) in tables.into_iter().zip(rows) {
            table[row as usize * d..][..d].iter_mut().zip(dh).for_each(|(t, h)| *t += *h);
        }
    }
}

/// ONNX nodes: from `vectors` f32 `[batch, L, d]` and the rows `[values, types, gaps, runs]`, each i64 `[batch, L]`, to
/// h `[batch, L, d]`.
pub fn onnx(g: &mut GraphBuilder, d: usize, tables: &Tables<&[f32]>, vectors: &Value, rows: [&Value; 4]) -> Value {
    let scale: Vec<f32> = tables.gain.iter().map(|g| ITEM_WEIGHT as f32 * (1.0 + g)).collect();
    let scale = g.constant_f32("event.scale", &[scale.len(), 1], &scale);
    let scale = g.node("Gather", &[&scale, rows[0]], &[("axis", Attribute::Int(0))]);
    let mut h = g.node("Mul", &[vectors, &scale], &[]);
    let named = [("values", tables.values), ("types", tables.types), ("gaps", tables.gaps), ("runs", tables.runs)];
    for ((name, table), rows) in named.into_iter().zip(rows) {
        let table = g.constant_f32(&format!("event.{name}"), &[table.len() / d, d], table);
        let embedding = g.node("Gather", &[&table, rows], &[("axis", Attribute::Int(0))]);
        h = g.node("Add", &[&h, &embedding], &[]);
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    fn tables(parts: &[Vec<f64>; 5]) -> Tables<&[f64]> {
        let [gain, values, types, gaps, runs] = parts;
        Tables { gain, values, types, gaps, runs }
    }

    #[test]
    fn known_values_and_gradients() {
        let d = 2;
        let event = |item, value, kind, gap, run| EventIndex { item, value, kind, gap, run };
        let events = [event(1, 0, 1, 0, 0), event(0, 1, 0, 1, 1), event(1, 1, 1, 1, 0)];
        let v = numbers(4, 1);
        let parts = [numbers(2, 2), numbers(4, 3), numbers(4, 4), numbers(4, 5), numbers(4, 6)];
        let mut h = vec![9.0; 6];
        forward(d, &events, &v, &tables(&parts), &mut h);
        let expected = 2.5 * v[2] * (1.0 + parts[0][0]) + parts[1][0] + parts[2][2] + parts[3][0] + parts[4][0];
        assert!((h[0] - expected).abs() < 1e-12);

        let dh = numbers(6, 7);
        let loss = |v: &[f64], parts: &[Vec<f64>; 5]| {
            let mut h = vec![0.0; 6];
            forward(d, &events, v, &tables(parts), &mut h);
            h.iter().zip(&dh).map(|(y, d)| y * d).sum()
        };
        let (mut dv, mut dparts) = (vec![0.0; 4], parts.clone().map(|p| vec![0.0; p.len()]));
        let [gain, values, types, gaps, runs] = &mut dparts;
        backward(d, &events, &v, &parts[0], &dh, &mut dv, &mut Tables { gain, values, types, gaps, runs });
        assert_gradient("v", &v, &dv, |v| loss(v, &parts));
        for i in 0..5 {
            assert_gradient("table", &parts[i], &dparts[i], |part| {
                let mut parts = parts.clone();
                parts[i] = part.to_vec();
                loss(&v, &parts)
            });
        }
    }
}
