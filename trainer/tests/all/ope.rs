//! Tests of off-policy evaluation: against obp, against known truths, and with logs of the recommender itself.

use std::path::Path;

use foretaste::explore::{below, decision_rng, unit};
use foretaste::profile::{Event, LogLine};
use foretaste::{Explore, Request};
use foretaste_trainer::log::{Rewards, VisitorLog};
use foretaste_trainer::ope::{
    Estimate, Logged, Modelled, Replay, Report, Shrinkage, checks, estimate, estimators, examination, read_table, rejection,
};
use foretaste_trainer::verify::open_bundle;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ope").join(name)
}

fn of(name: &str, shrinkage: Shrinkage, log: &[Logged]) -> Estimate {
    let all = estimators(shrinkage);
    estimate(all.iter().find(|e| e.name() == name).unwrap().as_ref(), log, 1)
}

/// `expected.py` in the tables' folder computed the expected numbers.
#[test]
fn equals_obp() {
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    let mut compared = 0;
    for (table, names) in expected.as_object().unwrap() {
        let log = read_table(&fixture(&format!("{table}.csv.gz"))).unwrap().rows;
        for (name, value) in names.as_object().unwrap() {
            let (name, knob) = name.split_once('@').unwrap_or((name, "1"));
            let knob = knob.parse().unwrap();
            let name = if table == "slates" { format!("slate-{name}") } else { name.to_owned() };
            let got = of(&name, Shrinkage { tau: knob, lambda: knob }, &log).value;
            assert!((got - value.as_f64().unwrap()).abs() < 1e-12, "{name}: {got} {value}");
            compared += 1;
        }
    }
    assert_eq!(compared, 12);
    // From obp 0.5.5, on the same slates.
    let log = read_table(&fixture("slates.csv.gz")).unwrap().rows;
    for (name, value) in
        [("standard", 0.9087365998187508), ("independent", 0.9209709341826235), ("reward-interaction", 0.8860163448681321)]
    {
        assert!((of(&format!("sn-slate-{name}"), Shrinkage::default(), &log).value - value).abs() < 1e-12, "{name}");
    }
}

/// Tables may count slots from 0 or from 1: the estimates and the curve are the same.
#[test]
fn slots_are_counted_from_zero_or_one() {
    let folder = tempfile::tempdir().unwrap();
    let read = |first: usize| {
        let file = folder.path().join("t.csv");
        let rows = (0..60).map(|i| format!("{},0.5,0.25,s{},{}\n", i % 4 / 3, i / 3, i % 3 + first));
        std::fs::write(&file, format!("reward,propensity,target,slate,slot\n{}", rows.collect::<String>())).unwrap();
        read_table(&file).unwrap()
    };
    let [from_zero, from_one] = [0, 1].map(read);
    assert_eq!((from_zero.first_slot, from_one.first_slot), (0, 1));
    assert_eq!(from_zero.rows, from_one.rows);
    assert!(examination(&from_one.rows, 1).iter().all(|found| found.value > 0.0));
}

#[test]
fn the_ends_of_the_knobs() {
    let log = read_table(&fixture("obd.csv.gz")).unwrap().rows;
    let value = |name: &str, knob: f64| of(name, Shrinkage { tau: knob, lambda: knob }, &log).value;
    let [dm, dr] = ["dm", "dr"].map(|name| value(name, 1.0));
    for name in ["switch-dr", "dros"] {
        assert_eq!(value(name, 0.0), dm, "{name}");
        assert!((value(name, f64::INFINITY) - dr).abs() < 1e-15, "{name}");
    }
    // A weight equal to τ is still used.
    let row = Logged {
        slate: 0,
        slot: 0,
        reward: 1.0,
        propensity: 0.25,
        target: 0.5,
        model: Some(Modelled { estimate: 0.0, value: 0.0 }),
    };
    assert_eq!(of("switch-dr", Shrinkage { tau: 2.0, lambda: 1.0 }, &[row]).value, 2.0);
}

const ACTIONS: usize = 6;

/// The probability of a reward in a small simulated world, by context, slot and action.
fn chance(context: usize, slot: usize, action: usize) -> f64 {
    let spread = ((context * 7 + action * 3) % 11) as f64 / 11.0;
    (0.1 + 0.6 * spread) / (1.0 + 0.5 * slot as f64)
}

/// The probability of each action in `left` under the target policy or under the policy that made the log.
fn policy(target: bool, context: usize, left: &[usize]) -> Vec<f64> {
    let logit = |action: usize| {
        if target { ((context * 5 + action) % 4) as f64 * 0.5 } else { ((context + action * 2) % 3) as f64 * 0.4 }
    };
    let weights: Vec<f64> = left.iter().map(|action| libm::exp(logit(*action))).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

/// The predictions of a biased reward model: it has only half of the true differences.
fn foretold(context: usize, slot: usize, action: usize) -> f64 {
    0.1 + 0.5 * chance(context, slot, action)
}

/// A log of simulated slates. They are drawn by Plackett–Luce or, if `again` allows repeated items, each slot
/// independently. The reward of a slot depends only on its item and position.
fn log_of(run: u64, slates: usize, slots: usize, again: bool) -> Vec<Logged> {
    let mut rng = decision_rng(run, "ope");
    let mut log = Vec::new();
    for slate in 0..slates {
        let context = below(&mut rng, 5) as usize;
        let mut left: Vec<usize> = (0..ACTIONS).collect();
        for slot in 0..slots {
            let [logged, target] = [false, true].map(|target| policy(target, context, &left));
            let (mut at, mut rest) = (0, unit(&mut rng));
            while at + 1 < left.len() && rest >= logged[at] {
                rest -= logged[at];
                at += 1;
            }
            let value = left.iter().zip(&target).map(|(action, p)| p * foretold(context, slot, *action)).sum();
            let action = if again { left[at] } else { left.remove(at) };
            let reward = f64::from(u8::from(unit(&mut rng) < chance(context, slot, action)));
            let model = Some(Modelled { estimate: foretold(context, slot, action), value });
            log.push(Logged { slate, slot, reward, propensity: logged[at], target: target[at], model });
        }
    }
    log
}

fn log(run: u64, slates: usize, slots: usize) -> Vec<Logged> {
    log_of(run, slates, slots, false)
}

/// The expected reward of a slate under the target policy.
fn truth(slots: usize, again: bool) -> f64 {
    fn of(context: usize, left: Vec<usize>, slot: usize, slots: usize, again: bool) -> f64 {
        if slot == slots {
            return 0.0;
        }
        let p = policy(true, context, &left);
        let one = |(at, p): (usize, &f64)| {
            let mut rest = left.clone();
            let action = if again { rest[at] } else { rest.remove(at) };
            p * (chance(context, slot, action) + of(context, rest, slot + 1, slots, again))
        };
        p.iter().enumerate().map(one).sum()
    }
    (0..5).map(|context| of(context, (0..ACTIONS).collect(), 0, slots, again)).sum::<f64>() / 5.0
}

/// Over 200 logs, the 95 % intervals contain the truth in 90 to 99 % of cases. Those of `dm` do not, since its model is
/// wrong.
#[test]
fn intervals_cover_the_truth() {
    for (slots, slates, again, names) in [
        (1, 400, false, &["ips", "snips", "dr", "sndr", "switch-dr", "dros"][..]),
        (3, 300, false, &["slate-standard", "slate-reward-interaction", "sn-slate-standard", "sn-slate-reward-interaction"][..]),
        // Here each slot is drawn independently.
        (3, 300, true, &["slate-independent", "sn-slate-independent"][..]),
    ] {
        let truth = truth(slots, again);
        let mut covered = vec![0; names.len()];
        let mut fooled = 0;
        for run in 0..200 {
            let log = log_of(run, slates, slots, again);
            let has = |name: &str| {
                let [low, high] = of(name, Shrinkage::default(), &log).ci95;
                low <= truth && truth <= high
            };
            names.iter().zip(&mut covered).for_each(|(name, count)| *count += i32::from(has(name)));
            fooled += i32::from(slots == 1 && !has("dm"));
        }
        for (name, count) in names.iter().zip(covered) {
            assert!((180..=198).contains(&count), "{name}: {count} of 200 over {slots} slots");
        }
        assert!(slots > 1 || fooled > 100, "the model is wrong, and dm does not know it: {fooled}");
    }
}

/// In the log of a large catalog that prefers some items, every interval contains the true examination probability.
#[test]
fn the_examination_curve_is_recovered() {
    let (items, planted) = (300, [1.0, 0.7, 0.45, 0.3]);
    let mut rng = decision_rng(3, "examination");
    let mut log = Vec::new();
    for slate in 0..6_000 {
        for (slot, looked_at) in planted.into_iter().enumerate() {
            // Half of the slots show one of the twenty best items, which are clicked twice as often.
            let best = unit(&mut rng) < 0.5;
            let item = below(&mut rng, if best { 20 } else { items }) as usize;
            let propensity = 0.5 / items as f64 + if item < 20 { 0.5 / 20.0 } else { 0.0 };
            let wanted = if item < 20 { 0.8 } else { 0.4 };
            let reward = f64::from(u8::from(unit(&mut rng) < looked_at * wanted));
            log.push(Logged { slate, slot, reward, propensity, target: propensity, model: None });
        }
    }
    let curve = examination(&log, 1);
    assert_eq!((curve.len(), curve[0].value), (4, 1.0));
    for (found, planted) in curve.iter().zip(planted) {
        assert!(found.ci95[0] <= planted && planted <= found.ci95[1], "{found:?} {planted}");
        assert!(found.ci95[1] - found.ci95[0] < 0.15, "{found:?}");
    }
}

#[test]
fn checks_tell_what_is_wrong() {
    let right = checks(&log(1, 2_000, 1));
    assert!(right.warnings.is_empty(), "{right:?}");
    assert!((right.mean_weight - 1.0).abs() < 4.0 * right.mean_weight_error && right.effective_share > 0.3);
    let mut wrong = log(1, 2_000, 1);
    wrong.iter_mut().for_each(|row| row.propensity = (row.propensity * 2.0).min(1.0));
    assert!(checks(&wrong).warnings[0].contains("mean weight"), "{:?}", checks(&wrong));
    let mut alone = log(1, 2_000, 1);
    alone.iter_mut().skip(1).for_each(|row| row.target = 0.0);
    let alone = checks(&alone);
    assert!(alone.effective_sample_size == 1.0 && alone.warnings.len() >= 2 && alone.no_overlap > 0.99, "{alone:?}");
}

/// Propensities next to 0 give weights whose squares and products are infinite: no figure is one that is no number.
#[test]
fn tiny_propensities_give_no_infinite_figure() {
    let row = |i: usize| Logged { slate: i / 2, slot: i % 2, reward: 1.0, propensity: 1e-300, target: 0.5, model: None };
    let report = Report::of(&(0..20).map(row).collect::<Vec<_>>(), Shrinkage::default(), 1);
    assert!((report.checks.effective_sample_size - 20.0).abs() < 1e-9 && report.checks.mean_weight_error.is_finite());
    assert!(report.estimates.contains_key("snips") && !report.estimates.contains_key("slate-standard"), "{report:?}");
    assert!(report.checks.warnings.iter().any(|warning| warning.contains("no estimate by")), "{:?}", report.checks.warnings);
}

/// A log of visitors of the packaged bundle. All weights of the policy that made it are 1, and the log can estimate
/// another policy.
#[test]
fn a_log_of_the_page_is_replayed() {
    let mut recommender = open_bundle(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny")).unwrap();
    let request = |policy: &str, epsilon: f64| Request {
        k: 3,
        explore: Explore { policy: policy.into(), epsilon: Some(epsilon), ignored: 0.3, ..Explore::default() },
        diversity: 0.2,
        ..Request::default()
    };
    let wild = request("epsilon-greedy", 0.6);
    // Visitors like the items that the tower scores highest.
    let mut visitor = |seed: u64, request: &Request| {
        recommender.clear();
        let mut rng = decision_rng(seed, "visitor");
        let first = (1 + below(&mut rng, 60)).to_string();
        recommender.record(Event { item: first, kind: "like".into(), ..Event::default() }).unwrap();
        let explore = Explore { seed, ..request.explore.clone() };
        let slate = recommender.recommend(&Request { explore, ..request.clone() }).unwrap();
        for item in &slate.items {
            let likes = unit(&mut rng) < if ["13", "14", "51", "52"].contains(&item.id.as_str()) { 0.7 } else { 0.1 };
            if likes {
                let (item, kind, slate) = (item.id.clone(), "like".into(), Some(slate.id.clone()));
                recommender.record(Event { item, kind, slate, ..Event::default() }).unwrap();
            }
        }
        VisitorLog::new(seed.to_string(), recommender.log().lines().cloned().collect())
    };
    let logs: Vec<VisitorLog> = (0..1_500).map(|seed| visitor(seed, &wild)).collect();
    let online: f64 = (2_000..4_000)
        .flat_map(|seed| visitor(seed, &request("softmax", 0.1)).lines)
        .map(|line| f64::from(u8::from(matches!(&line, LogLine::Event(event) if event.slate.is_some()))))
        .sum::<f64>()
        / 2_000.0;
    let replayed = |recommender: &mut foretaste::Recommender, policy: &Request| {
        let mut replay = Replay::default();
        logs.iter().for_each(|log| replay.add(recommender, log, policy, &Rewards::default()).unwrap());
        replay.finish().unwrap()
    };
    let same = replayed(&mut recommender, &wild);
    assert_eq!(same.len(), 1_500 * 3);
    assert!(same.iter().all(|row| (row.weight() - 1.0).abs() < 1e-9), "the log's own policy");
    let other = replayed(&mut recommender, &request("softmax", 0.1));
    assert!(same.iter().zip(&other).all(|(a, b)| a.reward == b.reward && a.propensity == b.propensity));
    let logged = same.iter().map(|row| row.reward).sum::<f64>() / 1_500.0;
    let told = of("sn-slate-reward-interaction", Shrinkage::default(), &other);
    assert!(told.ci95[0] <= online && online <= told.ci95[1], "{told:?} online {online}, logged {logged}");
    assert!((told.value - online).abs() < 0.5 * (logged - online).abs(), "{told:?} online {online}, logged {logged}");
}

/// Simulates `stays` visitors, each with up to 24 slates of one slot among eight items. Each item has its own
/// probability of a click. Clicked items are not shown again.
fn stays(recommender: &mut foretaste::Recommender, policy: &Explore, stays: u64) -> (Vec<VisitorLog>, Vec<[f64; 2]>) {
    let exclude: Vec<String> = (9..=60).map(|item| item.to_string()).collect();
    let (mut visitors, mut earned) = (Vec::new(), vec![[0.0; 2]; 24]);
    for visitor in 0..stays {
        recommender.clear();
        let mut rng = decision_rng(visitor, "stays");
        for earned in &mut earned {
            let explore = Explore { seed: visitor, ..policy.clone() };
            let request = Request { k: 1, explore, exclude: exclude.clone(), time: Some(0), ..Request::default() };
            let Some(item) = recommender.recommend(&request).unwrap().items.pop() else { break };
            let number: f64 = item.id.parse().unwrap();
            let clicked = unit(&mut rng) < 0.04 * number;
            *earned = [earned[0] + f64::from(u8::from(clicked)), earned[1] + 1.0];
            if clicked {
                recommender.record(Event { item: item.id, kind: "view".into(), time: Some(0), ..Event::default() }).unwrap();
            }
        }
        visitors.push(VisitorLog::new(visitor.to_string(), recommender.log().lines().cloned().collect()));
    }
    (visitors, earned)
}

/// The log of one policy estimates another policy that reacts to clicks. For each decision, the estimate is within four
/// standard errors of that policy's own reward.
#[test]
fn rejection_sampling_gives_a_policys_own_stays() {
    let mut recommender = open_bundle(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny"))).unwrap();
    let uniform = Explore { policy: "epsilon-greedy".into(), epsilon: Some(0.9), ..Explore::default() };
    let target = Explore { policy: "softmax".into(), temperature: 0.3, ..Explore::default() };
    let (log, _) = stays(&mut recommender, &uniform, 600);
    let (_, truth) = stays(&mut recommender, &target, 2000);
    let policy = Request { explore: target, ..Request::default() };
    let found = rejection(&mut recommender, &log, &policy, &Rewards::default(), 1).unwrap();
    assert_eq!(found.decisions, log.iter().map(|visitor| visitor.shown().len()).sum::<usize>());
    assert!(found.accepted > 300 && found.accepted < found.decisions / 2, "{found:?}");
    for (place, [sum, n]) in truth.iter().enumerate().take(2) {
        let (mean, got) = (sum / n, found.by_place[place]);
        let error = (mean * (1.0 - mean) * (1.0 / n + 1.0 / (found.accepted as f64 / 4.0).min(600.0))).sqrt();
        assert!((got - mean).abs() < 4.0 * error, "decision {place}: {got} and in truth {mean} ±{error}");
    }
    let [low, high] = found.ci95.unwrap();
    assert!(low < found.value.unwrap() && found.value.unwrap() < high);
    assert!(rejection(&mut recommender, &[], &policy, &Rewards::default(), 1).is_err());
}
