//! From logs to the reward of each unit.

use std::collections::{BTreeMap, BTreeSet};

use foretaste::profile::{Assignment, LogLine};

use crate::log::{Rewards, VisitorLog, time};

/// A unit of an experiment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unit {
    /// The arm that the unit was given.
    pub arm: String,
    /// Sum of the rewards of the slates shown after its first assignment.
    pub reward: f64,
    /// Number of these slates.
    pub slates: usize,
    /// Sum of the rewards of the slates shown before its first assignment.
    pub before: f64,
}

/// The units of an experiment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Units {
    /// Units by arm, in the order of the names of the arms.
    pub units: Vec<Unit>,
    /// Number of units that were given two arms or more; they are left out.
    pub mixed: usize,
}

/// Names of the experiments that occur in the logs.
pub fn experiments(visitors: &[VisitorLog]) -> BTreeSet<&str> {
    visitors.iter().flat_map(|visitor| &visitor.lines).filter_map(given).map(|given| given.experiment.as_str()).collect()
}

/// The units of an experiment with their rewards.
///
/// The lines of a log belong to the unit that was assigned last; the lines before the first assignment belong to the
/// first unit. Parts of one unit in several logs are joined in the order of their first known times.
pub fn units(visitors: &[VisitorLog], experiment: &str, rewards: &Rewards) -> Units {
    let of = |line: &LogLine| given(line).filter(|given| given.experiment == experiment).is_some();
    let mut parts: BTreeMap<&str, Vec<&[LogLine]>> = BTreeMap::new();
    for visitor in visitors {
        let places: Vec<usize> = visitor.lines.iter().enumerate().filter(|(_, line)| of(line)).map(|(i, _)| i).collect();
        for (i, place) in places.iter().enumerate() {
            let start = if i == 0 { 0 } else { *place };
            let end = places.get(i + 1).copied().unwrap_or(visitor.lines.len());
            let unit = given(&visitor.lines[*place]).map_or("", |given| &given.unit);
            parts.entry(unit).or_default().push(&visitor.lines[start..end]);
        }
    }
    let mut found = Units::default();
    for mut parts in parts.into_values() {
        parts.sort_by_key(|part| part.iter().find_map(time));
        let lines = parts.concat();
        let arms: BTreeSet<&str> =
            lines.iter().filter(|line| of(line)).filter_map(given).map(|given| given.arm.as_str()).collect();
        let mut arms = arms.into_iter();
        if let (Some(arm), None) = (arms.next(), arms.next()) {
            let (before, after) = lines.split_at(lines.iter().position(of).unwrap_or(0));
            let [before, after] = [before, after].map(|lines| earned(lines, rewards));
            found.units.push(Unit { arm: arm.to_owned(), reward: after.0, slates: after.1, before: before.0 });
        } else {
            found.mixed += 1;
        }
    }
    found.units.sort_by(|a, b| a.arm.cmp(&b.arm));
    found
}

fn given(line: &LogLine) -> Option<&Assignment> {
    if let LogLine::Assignment(given) = line { Some(given) } else { None }
}

/// Sum of rewards and number of slates in some lines.
fn earned(lines: &[LogLine], rewards: &Rewards) -> (f64, usize) {
    let visitor = VisitorLog::new("", lines.to_vec());
    let shown = visitor.shown();
    // The sum of no values is −0; adding 0 makes it 0.
    (0.0 + shown.iter().flat_map(|shown| &shown.answers).map(|answers| rewards.of(answers)).sum::<f64>(), shown.len())
}

#[cfg(test)]
mod tests {
    use foretaste::profile::{Event, Impression, Slot};

    use super::*;

    fn assigned(unit: &str, arm: &str, time: i64) -> LogLine {
        let [experiment, unit, arm] = ["e", unit, arm].map(String::from);
        LogLine::Assignment(Assignment { experiment, unit, arm, time: Some(time), ..Assignment::default() })
    }

    fn shown(slate: &str, item: &str) -> LogLine {
        let slots = vec![Slot { item: item.into(), ..Slot::default() }];
        LogLine::Impression(Box::new(Impression { slate: slate.into(), slots, ..Impression::default() }))
    }

    fn answer(item: &str, kind: &str) -> LogLine {
        LogLine::Event(Event { item: item.into(), kind: kind.into(), ..Event::default() })
    }

    fn found(logs: &[Vec<LogLine>], rewards: &[(&str, f64)]) -> Units {
        let visitors: Vec<VisitorLog> = logs.iter().map(|lines| VisitorLog::new("v", lines.clone())).collect();
        let named = rewards.iter().map(|(name, worth)| (name.to_string(), *worth)).collect();
        units(&visitors, "e", &Rewards { named })
    }

    fn unit(arm: &str, reward: f64, slates: usize, before: f64) -> Unit {
        Unit { arm: arm.into(), reward, slates, before }
    }

    #[test]
    fn rewards_lie_before_or_after_the_assignment() {
        let lines = vec![
            shown("s0", "1"),
            answer("1", "view"),
            assigned("u", "b", 5),
            // An answer to a slate from before the assignment is neither outcome nor covariate.
            answer("1", "buy"),
            shown("s1", "2"),
            answer("2", "view"),
            answer("2", "buy"),
            shown("s2", "3"),
            answer("3", "hide"),
            answer("77", "buy"),
        ];
        let plain = found(std::slice::from_ref(&lines), &[]);
        assert_eq!(plain, Units { units: vec![unit("b", 1.0, 2, 1.0)], mixed: 0 });
        assert_eq!(found(&[lines], &[("buy", 5.0), ("hide", -1.0)]).units, [unit("b", 4.0, 2, 0.0)]);
    }

    #[test]
    fn logs_of_a_unit_are_joined_by_time() {
        let later = vec![shown("s", "1"), answer("1", "view"), assigned("u", "a", 9)];
        let first = vec![shown("s", "2"), answer("2", "view"), assigned("u", "a", 5), shown("t", "3")];
        let later = [vec![assigned("other", "b", 8)], later].concat();
        let expected = [unit("a", 0.0, 1, 1.0), unit("b", 1.0, 1, 0.0)];
        assert_eq!(found(&[later, first], &[]).units, expected);
    }

    #[test]
    fn units_of_two_arms_are_left_out() {
        let logs = [vec![assigned("u", "a", 1)], vec![assigned("u", "b", 2)], vec![assigned("w", "b", 3), assigned("w", "b", 4)]];
        assert_eq!(found(&logs, &[]), Units { units: vec![unit("b", 0.0, 0, 0.0)], mixed: 1 });
        assert_eq!(found(&[vec![shown("s", "1")]], &[]), Units::default());
    }
}
