//! The page of `simulate`: what each policy costs and gains, and which one suits which aim.

use std::fmt::Write;

use super::chart::{Series, escape, lines};
use super::{figure, page, tiles};
use crate::simulate::{FIGURES, Outcome, OverSeeds, Round, Setting};

/// How much of the best reward may be given up for wider coverage, as a share.
const COST: f64 = 0.03;

/// Explanations of the figures in the table.
const SAYS: [&str; 8] = [
    "expected clicks a slate",
    "the same in the last round",
    "clicks a slate missed, over all rounds",
    "share of the items out that the last round showed",
    "0: items are shown alike; 1: one alone",
    "slots with items outside the most clicked fifth",
    "of the best new items, those with five clicks or more",
    "items that the slates of two visitors share",
];

/// The page of a simulation with `slots` slots in each slate.
pub fn html(outcome: &Outcome, setting: &Setting, slots: usize) -> String {
    let mut out = format!(
        "<p class='licence'>Visitors of known tastes are served, click, and are learnt from, round after round; tastes drift by {}, half of the items come out on the way. \
         Means over {} seeds, with 95 % intervals; differences are seed by seed.</p></header>",
        setting.drift,
        outcome.seeds.len()
    );
    out += &tiles([
        ("visitors", setting.users.to_string()),
        ("new in each round", format!("{:.0} %", 100.0 * setting.newcomers)),
        ("items", setting.items.to_string()),
        ("items met before", setting.met.to_string()),
        ("rounds", outcome.rounds().to_string()),
        ("slates a visitor and round", setting.slates.to_string()),
        ("slots", slots.to_string()),
        ("policies", outcome.policies.len().to_string()),
        ("seeds", outcome.seeds.len().to_string()),
    ]);
    out += &format!("<section><h2>Which to take</h2>{}</section>", advice(outcome));
    out += &table(outcome);
    out += "<div class='pair'>";
    for Curve { title, says, value } in CURVES {
        out += &figure(title, says, &lines(title, &curves(outcome, value)));
    }
    out += "</div>";
    page("simulation", "What exploring costs and brings", &out)
}

/// A curve over rounds.
struct Curve {
    title: &'static str,
    /// What the values are.
    says: &'static str,
    value: fn(&Round) -> f64,
}

const CURVES: [Curve; 4] = [
    Curve { title: "Reward", says: "expected clicks a slate, by round", value: |round| round.reward },
    Curve { title: "Cumulative regret", says: "clicks a slate missed so far, by round", value: |round| round.cumulative_regret },
    Curve { title: "Coverage", says: "share of the items out that are shown, by round", value: |round| round.coverage },
    Curve {
        title: "Discovery",
        says: "of the best new items, those with five clicks or more, by round",
        value: |round| round.discovery,
    },
];

fn curves(outcome: &Outcome, of: fn(&Round) -> f64) -> Vec<Series<'_>> {
    let at = |policy, round: usize| outcome.figure(policy, |rounds| rounds.get(round).map_or(0.0, of));
    let point = |figure: OverSeeds| [figure.mean, figure.mean - figure.half, figure.mean + figure.half];
    let points = |policy| (0..outcome.rounds()).map(|round| point(at(policy, round))).collect();
    outcome.policies.iter().enumerate().map(|(policy, (name, _))| Series { name, points: points(policy) }).collect()
}

fn table(outcome: &Outcome) -> String {
    let mut out = "<section><h2>Costs and benefits</h2><table><tr><th>policy</th>".to_owned();
    for ((name, _), says) in FIGURES.iter().zip(SAYS) {
        _ = write!(out, "<th class='n' title='{says}'>{}</th>", name.replace('_', " "));
    }
    out += "</tr>";
    for (policy, (name, _)) in outcome.policies.iter().enumerate() {
        _ = write!(out, "<tr><td>{}</td>", escape(name));
        for (_, figure) in FIGURES {
            let OverSeeds { mean, half, diff, diff_half } = outcome.figure(policy, figure);
            _ = write!(out, "<td class='n'>{mean:.3}<span class='half'> ±{half:.3}");
            if policy > 0 {
                _ = write!(out, "<br>{diff:+.3} ±{diff_half:.3}");
            }
            out += "</span></td>";
        }
        out += "</tr>";
    }
    out += "</table><p class='hash'>";
    for ((name, _), says) in FIGURES.iter().zip(SAYS) {
        _ = write!(out, "{}: {says}. ", name.replace('_', " "));
    }
    out + "Below a figure its difference to the first policy.</p></section>"
}

/// Advice that follows from the figures alone.
fn advice(outcome: &Outcome) -> String {
    let figure = |policy: usize, name: &str| {
        FIGURES.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, figure)| outcome.figure(policy, figure).mean)
    };
    let all = || 0..outcome.policies.len();
    let name = |policy: usize| format!("<b>{}</b>", escape(&outcome.policies[policy].0));
    let best = |name: &str, sign: f64| all().max_by(|a, b| (sign * figure(*a, name)).total_cmp(&(sign * figure(*b, name))));
    let (Some(earns), Some(reward)) = (best("cumulative_regret", -1.0), best("reward", 1.0)) else { return String::new() };
    let regret = outcome.figure(earns, FIGURES[2].1);
    let mut out = format!("<p>For the most clicks over these rounds: {}", name(earns));
    if earns > 0 {
        let is_sure = regret.diff.abs() > regret.diff_half && outcome.seeds.len() > 1;
        _ = write!(
            out,
            ", whose regret is {:+.2} ±{:.2} beside {}{}",
            regret.diff,
            regret.diff_half,
            name(0),
            if is_sure { "" } else { ", which may be chance" }
        );
    }
    out += ".</p>";
    let cheap = all().filter(|policy| figure(*policy, "reward") >= (1.0 - COST) * figure(reward, "reward"));
    if let Some(wide) = cheap.max_by(|a, b| figure(*a, "coverage").total_cmp(&figure(*b, "coverage"))) {
        _ = write!(
            out,
            "<p>For the most of the catalog at a cost below {} % of the best reward: {}, which shows {:.0} % of the items in the last round, and {} {:.0} %.</p>",
            100.0 * COST,
            name(wide),
            100.0 * figure(wide, "coverage"),
            name(0),
            100.0 * figure(0, "coverage")
        );
    }
    if let Some(finds) = best("discovery", 1.0) {
        _ = write!(
            out,
            "<p>To find good new items soonest: {}, with {:.0} % of the best of them.</p>",
            name(finds),
            100.0 * figure(finds, "discovery")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_to_take() {
        let run = |reward: f64, regret: f64, coverage: f64| {
            vec![vec![Round { reward, cumulative_regret: regret, coverage, ..Round::default() }; 2]; 2]
        };
        let policies = vec![
            ("greedy".to_owned(), run(1.0, 5.0, 0.2)),
            ("thompson".to_owned(), run(1.2, 4.0, 0.4)),
            ("<wide>".to_owned(), run(1.17, 4.5, 0.6)),
            ("uniform".to_owned(), run(0.5, 9.0, 1.0)),
        ];
        let page = html(&Outcome { seeds: vec![0, 1], policies }, &Setting::default(), 10);
        assert!(page.contains("rounds: <b>thompson</b>, whose regret is -1.00 ±0.00 beside <b>greedy</b>.</p>"), "{page}");
        assert!(page.contains(
            "best reward: <b>&lt;wide&gt;</b>, which shows 60 % of the items in the last round, and <b>greedy</b> 20 %"
        ));
        assert!(!page.contains("<wide>") && !page.contains("NaN"));
    }
}
