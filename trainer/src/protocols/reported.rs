//! The metrics that a protocol reports.

use super::Query;
use crate::data::Dataset;
use crate::metrics::{
    CALIBRATION, COVERAGE, DIVERSITY, Formula, GINI, GRADED_NDCG, Metric, NOVELTY, POPULARITY_LIFT, SERENDIPITY, named,
};

/// Length of the lists that the metrics beyond accuracy look at.
pub const LIST_LEN: usize = 10;

/// A metric as a protocol reports it: over which targets and candidates, and under which name.
#[derive(Debug, Clone, Copy)]
pub struct ReportedMetric {
    /// The metric.
    pub metric: Metric,
    /// Which targets of a query it is about.
    pub targets: Targets,
    /// Whether the items of the user's history stay candidates.
    pub keeps_history: bool,
    /// The two kinds of query for which it is reported apart, besides over all queries.
    pub split_by: Option<SplitBy>,
    /// Replaces the metric's own name before the `@`.
    alias: Option<&'static str>,
}

/// Which targets of a query a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// All of them together: one value a query.
    All,
    /// The first one alone: one value a query; the name starts with `next_`.
    Next,
    /// Each by itself: one value a target.
    Each,
}

/// Two kinds of query that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitBy {
    /// `tied` if the first target has the same second as the last event of the history, else `untied`. If many are
    /// tied, a model can learn their order from how ties are broken.
    Tie,
    /// `new` if the trainer knows no event of the user, else `known`.
    NewUser,
}

impl ReportedMetric {
    /// A metric over all targets of a query, under its own name.
    pub const fn of(metric: Metric) -> Self {
        ReportedMetric { metric, targets: Targets::All, keeps_history: false, split_by: None, alias: None }
    }

    /// Over the first target of each query.
    pub const fn of_next_target(self) -> Self {
        ReportedMetric { targets: Targets::Next, ..self }
    }

    /// Over each target by itself.
    pub const fn of_each_target(self) -> Self {
        ReportedMetric { targets: Targets::Each, ..self }
    }

    /// The items of the user's history stay candidates.
    pub const fn keeping_history(self) -> Self {
        ReportedMetric { keeps_history: true, ..self }
    }

    /// Also reported apart for two kinds of query.
    pub const fn split_by(self, split: SplitBy) -> Self {
        ReportedMetric { split_by: Some(split), ..self }
    }

    /// Under another name before the `@`.
    pub const fn named(self, alias: &'static str) -> Self {
        ReportedMetric { alias: Some(alias), ..self }
    }

    /// The name in reports: `rm@10`, `next_hr@10`.
    pub fn name(&self) -> String {
        let prefix = if self.targets == Targets::Next { "next_" } else { "" };
        format!("{prefix}{}", named(self.alias.unwrap_or(self.metric.family), self.metric.k))
    }

    /// The name for one of the two kinds of query: `hr@10_tied`.
    pub fn name_of(&self, kind: &str) -> String {
        format!("{}_{kind}", self.name())
    }

    /// Whether a report calls it by this name, for all queries or for one kind of them.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let kinds = self.split_by.map(SplitBy::kinds).into_iter().flatten();
        self.name() == name || kinds.into_iter().any(|kind| self.name_of(kind) == name)
    }

    /// How many values a query gives.
    pub fn values(&self, query: &Query) -> usize {
        if self.targets == Targets::Each { query.targets.len() } else { 1 }
    }

    /// Whether it needs lists of items, and of which length.
    pub fn list_len(&self) -> Option<usize> {
        let needs_list = matches!(self.metric.formula, Formula::List(_) | Formula::AllLists(_));
        self.metric.k.filter(|_| needs_list)
    }
}

impl SplitBy {
    /// The words for the two kinds.
    pub fn kinds(self) -> [&'static str; 2] {
        match self {
            SplitBy::Tie => ["tied", "untied"],
            SplitBy::NewUser => ["new", "known"],
        }
    }

    /// The kind of a query; `None` if it cannot be told, because events have no times.
    pub fn kind_of(self, data: &Dataset, query: &Query) -> Option<&'static str> {
        let [first, second] = self.kinds();
        let is_first = match self {
            SplitBy::Tie => {
                let later = &data.history(query.user as usize)[query.history.len()..];
                let target = later.iter().find(|e| e.item == query.targets[0])?;
                query.history.last()?.time? == target.time?
            }
            SplitBy::NewUser => query.is_new,
        };
        Some(if is_first { first } else { second })
    }
}

/// What lists are worth by the utility that the data declares; left out where it declares none.
pub(super) const GRADED: ReportedMetric = ReportedMetric::of(GRADED_NDCG.at(LIST_LEN));

/// What every protocol that ranks says about its lists beyond accuracy.
pub(super) fn of_lists() -> Vec<ReportedMetric> {
    [NOVELTY, DIVERSITY, POPULARITY_LIFT, SERENDIPITY, CALIBRATION, COVERAGE, GINI]
        .map(|m| ReportedMetric::of(m.at(LIST_LEN)))
        .into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;
    use super::*;
    use crate::metrics::HIT_RATE;

    #[test]
    fn names_of_reports() {
        let hits = ReportedMetric::of(HIT_RATE.at(10));
        assert_eq!(
            (hits.name(), hits.of_next_target().name(), hits.named("rm").name()),
            ("hr@10".into(), "next_hr@10".into(), "rm@10".into())
        );
        let split = hits.split_by(SplitBy::Tie);
        assert!(split.is_called("hr@10") && split.is_called("hr@10_untied") && !split.is_called("hr@10_new"));
        assert!(!hits.is_called("hr@10_tied"));
    }

    #[test]
    fn ties_are_told_apart() {
        let query =
            |data: &Dataset, known: usize| Query::new(0, data.events[..known].to_vec(), vec![data.events[known].item], vec![]);
        let kind = |data: &Dataset, known| SplitBy::Tie.kind_of(data, &query(data, known));
        let mut data = dataset(&[&[0, 1, 2, 3]]);
        assert_eq!(kind(&data, 2), Some("untied"));
        data.events.change(|events| events[2].time = events[1].time);
        assert_eq!(kind(&data, 2), Some("tied"));
        assert_eq!(kind(&data, 0), None, "there is no event before the target");
        data.events.change(|events| events[2].time = None);
        assert_eq!(kind(&data, 2), None);
    }
}
