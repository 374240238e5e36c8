//! Looks for features that know what came after: each is computed again from the events before the label alone.

use std::collections::BTreeSet;

use anyhow::Result;
use foretaste::bundle::RankerSpec;

use super::requests::{BUILT_IN, Moment, Retrieval};
use super::{Comparison, Stage, tables};
use crate::protocols::Sequence;
use crate::ranker::ItemTables;

/// Labels whose features are computed again.
const LABELS: usize = 8;
/// Numbers that differ by more, relative to 1, are different: sums are added in another order.
const TOLERANCE: f64 = 1e-9;

/// Of a label, how many of the visitor's first events are known, and the moment of the views.
pub type Request = fn(&Sequence, usize) -> (usize, Moment);

/// The request of a label: the events before it are known, and views count those at earlier times.
pub fn request(sequence: &Sequence, at: usize) -> (usize, Moment) {
    let time = sequence.events[at].time.map(|t| t.saturating_mul(1000));
    (at, Moment { of_user: time, of_items: time })
}

impl Comparison<'_> {
    /// The views whose values for a label change once the events at its time and later are gone. `labels` are places in
    /// the sequences, of which a few are looked at; without times nothing can be told.
    ///
    /// # Errors
    /// Context that the encoding does not know.
    pub fn leaks(
        &self,
        before: &Stage,
        spec: &RankerSpec,
        labels: &[(usize, usize)],
        request: Request,
    ) -> Result<BTreeSet<String>> {
        let all = tables(self.data, self.encoding, &spec.views, self.train);
        let mut leaks = BTreeSet::new();
        for (i, at) in labels.iter().step_by(labels.len().div_ceil(LABELS).max(1)) {
            let sequence = &self.train[*i];
            let label = &sequence.events[*at];
            let Some(time) = label.time else { break };
            let earlier = |sequence: &Sequence| Sequence {
                user: sequence.user,
                events: sequence.events.part(0..sequence.events.partition_point(|event| event.time < Some(time))),
            };
            let past: Vec<Sequence> = self.train.iter().map(earlier).collect();
            let of_past = tables(self.data, self.encoding, &spec.views, &past);
            let (known, moment) = request(sequence, *at);
            let numbers = |tables: &ItemTables, sequence: &Sequence, known: usize, moment: Moment| -> Result<Vec<f64>> {
                let retrieval: Retrieval = self.retrieval(before, &spec.views, tables);
                let allowed = (self.data.in_events.as_slice(), &[][..]);
                let found = retrieval.find(sequence.user, &sequence.events[..known], moment, allowed, 1)?;
                Ok(found.numbers(spec, &[found.candidate(label.item, 0)]).concat())
            };
            let got = numbers(&all, sequence, known, moment)?;
            let moment = Moment { of_user: Some(time * 1000), of_items: Some(time * 1000) };
            let right = numbers(&of_past, &past[*i], past[*i].events.len(), moment)?;
            for ((view, got), right) in spec.views.iter().zip(&got[BUILT_IN.len()..]).zip(&right[BUILT_IN.len()..]) {
                let is_same = (got - right).abs() <= TOLERANCE * right.abs().max(1.0) || (got.is_nan() && right.is_nan());
                if !is_same {
                    leaks.insert(view.name.clone());
                }
            }
        }
        Ok(leaks)
    }
}

#[cfg(test)]
mod tests {
    use foretaste::features::Value;

    use super::super::super::{Config, encoding, validation::Validation};
    use super::super::{LossChoice, RankerChoice};
    use super::*;
    use crate::data::{Column, type_of};
    use crate::protocols::tests::dataset;
    use crate::protocols::{Protocol, Split};
    use crate::towers::{Encoder, ItemTower, UserShape, UserTower, encode_catalog};

    /// Twelve visitors of nine items of two kinds; two events of each visitor have one time.
    fn data() -> crate::data::Dataset {
        let histories: Vec<Vec<u32>> = (0..12).map(|user| (0..7).map(|place| (user * 2 + place * 4) % 9).collect()).collect();
        let mut data = dataset(&histories.iter().map(Vec::as_slice).collect::<Vec<_>>());
        data.types = vec![type_of("rate")];
        data.events.change(|events| {
            for event in events {
                let (place, user) = (event.time.unwrap(), i64::from(event.user));
                event.time = Some(86_400 * (user + 2 * place.min(5)));
                event.rating = Some(1.0 + ((user + place) % 5) as f64);
            }
        });
        let values = (0..9).map(|item| Value::Text(["a", "b"][item % 2].into())).collect();
        data.item_table.columns.push(Column { name: "kind".into(), kind: "category", values });
        data
    }

    fn leaks(request: Request) -> BTreeSet<String> {
        let data = data();
        let split = Split::of(&data, Protocol::All, None).unwrap();
        let config = Config { dim: 4, hidden: 4, history_len: 5, ..Config::default() };
        let train = crate::protocols::histories(&data, |_| true);
        let (encoding, scales) = encoding::fit(&data, &train, &config).unwrap();
        let scale = scales.context_slots(&encoding);
        let validation = Validation::new(&data, &split, &encoding, &scale, None).unwrap();
        let bags = encode_catalog(&encoding, &scales, &super::super::super::catalog_of(&data));
        let rows = ItemTower::start(4, &[1; 9], encoding.item_width(), false, 1).rows(&bags);
        let shape = UserShape::of(&encoding, Encoder::Sum, 4, 4, false);
        let user = UserTower::start(shape, config.pool_rates, 2);
        let spec = RankerSpec { candidates: 1, ..super::super::declared::spec(&data, &encoding) };
        let comparison = Comparison {
            data: &data,
            encoding: &encoding,
            scale: &scale,
            validation: &validation,
            queries: &[],
            train: &train,
            choice: (RankerChoice::Auto, LossChoice::Auto),
            seed: 1,
        };
        let labels: Vec<(usize, usize)> = (0..12).map(|user| (user, 6)).collect();
        comparison.leaks(&Stage { user: &user, rows: &rows, neighbours: None }, &spec, &labels, request).unwrap()
    }

    /// The fifth kind of leak, a column that is the label, is one of `suspicious`.
    #[test]
    fn planted_leaks_are_found_and_named() {
        assert_eq!(leaks(request), BTreeSet::new());
        let found = |request: Request| leaks(request).into_iter().collect::<Vec<_>>().join(" ");
        // The label's own event is counted.
        let own = found(|sequence, at| {
            let moment = request(sequence, at).1;
            (at + 1, Moment { of_user: moment.of_user.map(|t| t + 1), ..moment })
        });
        assert!(own.contains("user_kind_count") && own.contains("user_mean") && !own.contains("item_"), "{own}");
        // Events at the label's time count.
        let ties = found(|sequence, at| {
            let moment = request(sequence, at).1;
            (at, Moment { of_user: moment.of_user.map(|t| t + 1), ..moment })
        });
        assert!(ties.contains("user_kind_count") && !ties.contains("item_"), "{ties}");
        // An item is as popular as it will be in a week.
        let future = found(|sequence, at| {
            let moment = request(sequence, at).1;
            (at, Moment { of_items: moment.of_items.map(|t| t + 7 * 86_400_000), ..moment })
        });
        assert!(future.contains("item_count") && !future.contains("user_"), "{future}");
        // The table is that of the end.
        let end = found(|sequence, at| (at, Moment { of_items: None, ..request(sequence, at).1 }));
        assert!(end.contains("item_count") && !end.contains("user_"), "{end}");
    }
}
