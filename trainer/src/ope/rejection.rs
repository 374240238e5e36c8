//! Replay by rejection sampling: what a policy would have earned over whole visits, in which it sees only the events
//! that it caused itself.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use foretaste::explore::{decision_rng, unit};
use foretaste::profile::{Event, LogLine};
use foretaste::{Recommender, Request};
use serde::Serialize;

use super::replay::{evaluated_request, worth};
use crate::log::{Rewards, Shown, VisitorLog};

/// What the accepted decisions earned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rejection {
    /// Number of decisions in the log: the first slots of its slates.
    pub decisions: usize,
    /// Number of accepted decisions: those that the evaluated policy would have made too.
    pub accepted: usize,
    /// Mean reward of an accepted decision; `None` if none was accepted.
    pub value: Option<f64>,
    /// 95 % interval of the value; `None` with fewer than two accepted decisions.
    pub ci95: Option<[f64; 2]>,
    /// Mean reward of the visitors' first, second, … accepted decision; it shows how the policy learns.
    pub by_place: Vec<f64>,
}

/// Runs a policy through the visits of a log. The first slot of each slate is one decision. It is accepted with
/// probability π / (M p): p is its propensity in the log, π its probability under the evaluated policy, which knows
/// only the decisions accepted before, and M is one constant for all decisions that keeps the probability at most 1.
/// The accepted decisions with their answers are then draws from visits under the evaluated policy. Li, Chu, Langford
/// and Wang, Unbiased offline evaluation of contextual-bandit-based news article recommendation algorithms, 2011; here
/// for logs of any propensities.
///
/// Few decisions are accepted if the log prefers some items or the catalog is large: from a uniform log over n items,
/// one in n. Do not trust the result if visitors react to what they were shown earlier, or if the log cannot show what
/// the policy would.
///
/// # Errors
/// No slates, a propensity outside 0 < p ≤ 1, and the errors of the recommender and the policy, with the place of the
/// line.
pub fn rejection(
    recommender: &mut Recommender,
    log: &[VisitorLog],
    policy: &Request,
    rewards: &Rewards,
    seed: u64,
) -> Result<Rejection> {
    let visits: Vec<Vec<Shown>> = log.iter().map(VisitorLog::shown).collect();
    let first = |shown: &Shown| shown.impression.slots.first().map_or(1.0, |slot| slot.propensity);
    let least = visits.iter().flatten().map(first).fold(f64::MAX, f64::min);
    ensure!(
        least > 0.0 && least <= 1.0,
        "{}",
        if least > 1.0 { "the log shows no slates" } else { "a slot has a propensity that is none" }
    );
    let mut earned: Vec<(usize, f64)> = Vec::new();
    for (visitor, visit) in log.iter().zip(&visits) {
        recommender.clear();
        // Events that answer a slate are replayed only if its decision was accepted; all other events are known to any
        // policy.
        let answers: BTreeSet<*const Event> =
            visit.iter().flat_map(|s| s.answers.iter().flatten().map(|e| std::ptr::from_ref(*e))).collect();
        let (mut shown, mut kept, mut place) = (visit.iter(), BTreeSet::new(), 0);
        let mut rng = decision_rng(seed, &format!("rejection {}", visitor.name));
        for (number, line) in visitor.lines.iter().enumerate() {
            let at = || visitor.at(number);
            match line {
                LogLine::Impression(impression) => {
                    let (Some(shown), Some(slot)) = (shown.next(), impression.slots.first()) else { continue };
                    let luck = unit(&mut rng);
                    let known = recommender.bundle().catalog.row(&slot.item).is_some();
                    let item = std::slice::from_ref(&slot.item);
                    let request = evaluated_request(policy, &Request { k: 1, ..impression.request.clone() });
                    let target = if known {
                        recommender.appraise(&request, item).with_context(at)?.first().map_or(0.0, |a| a.propensity)
                    } else {
                        0.0
                    };
                    if luck < target * least / slot.propensity {
                        let mut cut = impression.clone();
                        cut.slots.truncate(1);
                        recommender.replay(LogLine::Impression(cut)).with_context(at)?;
                        kept.extend(shown.answers[0].iter().map(|event| std::ptr::from_ref(*event)));
                        earned.push((place, shown.answers[0].iter().map(|event| worth(recommender, rewards, event)).sum()));
                        place += 1;
                    }
                }
                LogLine::Event(event)
                    if answers.contains(&std::ptr::from_ref(event)) && !kept.contains(&std::ptr::from_ref(event)) => {}
                _ => recommender.replay(line.clone()).with_context(at)?,
            }
        }
    }
    let values: Vec<f64> = earned.iter().map(|(_, reward)| *reward).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let value = (!values.is_empty()).then(|| mean(&values));
    let interval = |value: f64| {
        let variance = values.iter().map(|x| (x - value) * (x - value)).sum::<f64>() / (values.len() as f64 - 1.0);
        let half = 1.96 * (variance / values.len() as f64).sqrt();
        [value - half, value + half]
    };
    let mut by_place: Vec<Vec<f64>> = Vec::new();
    for (place, reward) in earned {
        by_place.resize(by_place.len().max(place + 1), Vec::new());
        by_place[place].push(reward);
    }
    Ok(Rejection {
        decisions: visits.iter().map(Vec::len).sum(),
        accepted: values.len(),
        value,
        ci95: value.filter(|_| values.len() > 1).map(interval),
        by_place: by_place.iter().map(|values| mean(values)).collect(),
    })
}
