//! The page of `experiment` and `evaluate`: figures beside the baselines, by group of users and items, the training
//! curve, and some slates.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::chart::{Point, curve, escape, grouped, line, reliability};
use super::{figure, page, tiles};
use crate::evaluate::{Cell, Example, ExampleItem, ExposurePoint, FORETASTE, Report};
use crate::ranker::Bin;
use crate::training::{Epoch, Phase};

/// The page. `curve` holds the epochs of the first training and `bins` the reliability of its ranker; they are empty if
/// there is none.
pub fn html(report: &Report, curve: &[Epoch], bins: &[Bin], slates: &[Example]) -> String {
    let mut out = format!("<p class='hash'>SHA-256 of the data <code>{}</code></p></header>", escape(&report.data.sha256));
    out += &summary(report);
    out += &comparison(report);
    out += "<div class='pair'>";
    for phase in [Phase::Search, Phase::Refit] {
        let losses: Vec<f64> = curve.iter().filter(|e| e.phase == phase).map(|e| e.loss).collect();
        let says =
            if phase == Phase::Search { "while validation chooses the number of epochs" } else { "over train and validation" };
        if !losses.is_empty() {
            out += &figure("Loss", &format!("mean of an epoch, {says}"), &line("Loss by epoch", &losses));
        }
        let valid: Vec<f64> = curve.iter().filter(|e| e.phase == phase).filter_map(|e| e.valid).collect();
        if !valid.is_empty() {
            out += &figure("Validation", "what decides, after each epoch", &line("Validation by epoch", &valid));
        }
    }
    if !bins.is_empty() {
        let bins: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.said, bin.found]).collect();
        let says = "how often candidates of the ranker were taken, over the probability that it gave them, on validation";
        out += &figure("Reliability", says, &reliability("Share taken by probability", &bins));
    }
    out += "</div>";
    out += &groups(&format!("For whom: {}", report.goal), "group of users", &report.slices, |cell: &Cell| {
        format!("{}<span class='half'> ±{:.4}, {}</span>", figures(cell.mean), half(cell), grouped(cell.n as u64))
    });
    out += &groups("What is shown", "share of all slots", &report.exposure, |share: &f64| format!("{:.1} %", 100.0 * share));
    out += &exposure(report);
    out += &examples(slates);
    page(&format!("evaluation, {}", report.protocol.name()), &report.data.name, &out)
}

fn half(cell: &Cell) -> f64 {
    (cell.ci95[1] - cell.ci95[0]) / 2.0
}

fn figures(x: f64) -> String {
    format!("{x:.4}")
}

/// Names of the models: ours first, then the others in alphabetical order.
fn models<T>(by_model: &BTreeMap<String, T>) -> Vec<&String> {
    let mut models: Vec<&String> = by_model.keys().collect();
    models.sort_by_key(|name| (*name != FORETASTE, (*name).clone()));
    models
}

fn summary(report: &Report) -> String {
    let goal = report.goal.as_str();
    let mean = |model: &str| report.models.get(model).and_then(|cells| cells.get(goal)).map(|cell| cell.mean);
    let mut numbers = Vec::new();
    if let Some(ours) = mean(FORETASTE) {
        numbers.push((goal, figures(ours)));
        let others = report.models.keys().filter(|name| *name != FORETASTE);
        let best = others
            .filter_map(|name| Some((name, mean(name)?)))
            .reduce(|best, other| if report.is_better(goal, other.1, best.1) { other } else { best });
        if let Some((name, value)) = best {
            numbers.push(("of the best baseline", format!("{} <small>{}</small>", figures(value), escape(name))));
            if let Some(d) = report.paired.get(&format!("{FORETASTE} - {name}")).and_then(|metrics| metrics.get(goal)) {
                numbers.push(("difference, paired", format!("{:+.4}", d.diff)));
                numbers.push(("its 95 % interval", format!("{:+.4} to {:+.4}", d.ci95[0], d.ci95[1])));
            }
        }
    }
    let data = &report.data;
    numbers.extend(
        [("events", data.events), ("users", data.users), ("items", data.items)].map(|(says, n)| (says, grouped(n as u64))),
    );
    if let Some(seconds) = report.seconds.get("train") {
        numbers.push(("seconds of a training", format!("{seconds:.1}")));
    }
    tiles(numbers)
}

/// The table of figures: one line for each metric, one column for each model. Values better than ours are marked.
fn comparison(report: &Report) -> String {
    let models = models(&report.models);
    let metrics: BTreeSet<&String> = report.models.values().flat_map(|cells| cells.keys()).collect();
    let head: String = models.iter().map(|name| format!("<th class='n'>{}</th>", escape(name))).collect();
    let mut rows = String::new();
    for metric in metrics {
        let ours = report.models.get(FORETASTE).and_then(|cells| cells.get(metric));
        let cell = |name: &&String| match report.models[*name].get(metric) {
            None => "<td></td>".to_owned(),
            Some(cell) => {
                let beats = ours.is_some_and(|ours| report.is_better(metric, cell.mean, ours.mean));
                let (class, word) = if beats { ("n less", " <small>better</small>") } else { ("n", "") };
                format!("<td class='{class}'>{}{word}<br><span class='half'>±{:.4}</span></td>", figures(cell.mean), half(cell))
            }
        };
        let reads =
            report.metric(metric).map(|m| format!("<br><span class='half'>{}, {}</span>", escape(m.unit), m.better.words()));
        let cells: String = models.iter().map(cell).collect();
        _ = write!(rows, "<tr><th>{}{}</th>{cells}</tr>", escape(metric), reads.unwrap_or_default());
    }
    let absent = |(name, why): (&String, &String)| format!("<p>{}: no figures: {}</p>", escape(name), escape(why));
    let absent: String = report.absent.iter().map(absent).collect();
    format!(
        "<section><h2>Beside the baselines</h2><p class='licence'>Means over visitors, and half of their 95 % intervals. Marked: what is better than \
         ours.</p><table><tr><th>metric</th>{head}</tr>{rows}</table>{absent}</section>"
    )
}

/// A table with one line for each group and one column for each model.
fn groups<T>(title: &str, says: &str, by_model: &BTreeMap<String, BTreeMap<String, T>>, show: impl Fn(&T) -> String) -> String {
    let models = models(by_model);
    let names: BTreeSet<&String> = by_model.values().flat_map(|groups| groups.keys()).collect();
    if names.is_empty() {
        return String::new();
    }
    let head: String = models.iter().map(|name| format!("<th class='n'>{}</th>", escape(name))).collect();
    let row = |group: &&String| {
        let cell = |name: &&String| format!("<td class='n'>{}</td>", by_model[*name].get(*group).map(&show).unwrap_or_default());
        format!("<tr><td>{}</td>{}</tr>", escape(group), models.iter().map(cell).collect::<String>())
    };
    let rows: String = names.iter().map(row).collect();
    format!("<section><h2>{}</h2><table><tr><th>{says}</th>{head}</tr>{rows}</table></section>", escape(title))
}

/// Accuracy beside the tail's share of the slots and the evenness of exposure, for each boost.
fn exposure(report: &Report) -> String {
    let points = &report.exposure_curve;
    if points.is_empty() {
        return String::new();
    }
    let goal = &report.goal;
    let along = |pick: fn(&ExposurePoint) -> f64| -> Vec<Point> {
        points.iter().map(|p| Point { x: pick(p), y: p.goal.mean, label: p.boost.to_string() }).collect()
    };
    let row = |p: &ExposurePoint| {
        let half = format!("<span class='half'> ±{:.4}</span>", half(&p.goal));
        let cells =
            [format!("{}{half}", figures(p.goal.mean)), format!("{:.1} %", 100.0 * p.tail), figures(p.gini), figures(p.coverage)];
        format!("<tr><td>{}</td>{}</tr>", p.boost, cells.map(|cell| format!("<td class='n'>{cell}</td>")).concat())
    };
    let says = |x: &str| format!("{goal} over {x}; the labels are values of <code>boost</code>");
    format!(
        "<div class='pair'>{}{}</div><section><h2>What more exposure costs</h2><p class='licence'>With <code>explore: {{ boost }}</code> a request adds \
         boost / √(1 + n) to the score of an item of n events. The tail are the four fifths of the items that have fewest.</p><table><tr><th>boost</th>\
         <th class='n'>{goal}</th><th class='n'>slots of the tail</th><th class='n'>Gini of the slots</th><th class='n'>items shown</th></tr>{}</table></section>",
        figure(
            "Accuracy and the tail",
            &says("the tail's share of all slots"),
            &curve("Accuracy over the tail's share", &along(|p| p.tail))
        ),
        figure(
            "Accuracy and evenness",
            &says("the Gini coefficient of the slots"),
            &curve("Accuracy over Gini", &along(|p| p.gini))
        ),
        points.iter().map(row).collect::<String>()
    )
}

fn examples(slates: &[Example]) -> String {
    if slates.is_empty() {
        return String::new();
    }
    let item = |item: &ExampleItem| match item.is_target {
        true => format!("<span class='hit'>{} ✓</span>", escape(&item.title)),
        false => escape(&item.title),
    };
    let row = |slate: &Example| {
        let history: Vec<String> = slate.history.iter().map(|title| escape(title)).collect();
        let items: Vec<String> = slate.items.iter().map(item).collect();
        let (user, history, items) = (escape(&slate.user), history.join("<br>"), items.join("<br>"));
        format!("<tr><td><code>{user}</code></td><td class='wide'>{history}</td><td class='wide'>{items}</td></tr>")
    };
    let rows: String = slates.iter().map(row).collect();
    format!(
        "<section><h2>Slates</h2><p class='licence'>Visitors of the test part: what they did last, and what they would have been shown. ✓ is what \
         they took up later.</p><table><tr><th>user</th><th>newest events</th><th>slate</th></tr>{rows}</table></section>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{DataSummary, Difference};
    use crate::protocols::Protocol;

    #[test]
    fn what_beats_ours_is_marked_and_names_are_harmless() {
        let cell = |mean| Cell { mean, sd: 0.0, ci95: [mean - 0.01, mean + 0.01], n: 9 };
        let models = |ours, theirs| {
            let one = |x| BTreeMap::from([("ndcg@10".to_owned(), cell(x))]);
            BTreeMap::from([(FORETASTE.to_owned(), one(ours)), ("<ease>".to_owned(), one(theirs))])
        };
        let report = |ours, theirs| Report {
            data: DataSummary { name: "a<b".into(), sha256: "00".into(), users: 1, items: 2, events: 3000 },
            protocol: Protocol::P3,
            folds: vec![],
            seeds: vec![0],
            models: models(ours, theirs),
            absent: BTreeMap::from([("<svd>".to_owned(), "it has diverged".to_owned())]),
            goal: "ndcg@10".into(),
            slices: models(ours, theirs),
            exposure: BTreeMap::from([(FORETASTE.to_owned(), BTreeMap::from([("tail".to_owned(), 0.125)]))]),
            exposure_curve: [(0.0, 0.25), (4.0, 0.2)]
                .map(|(boost, mean)| ExposurePoint { boost, goal: cell(mean), tail: 0.35 - mean, gini: 0.5, coverage: 0.75 })
                .to_vec(),
            paired: BTreeMap::from([(
                "foretaste - <ease>".to_owned(),
                BTreeMap::from([("ndcg@10".to_owned(), Difference { diff: 0.1, ci95: [0.05, 0.15] })]),
            )]),
            float: BTreeMap::new(),
            seconds: BTreeMap::from([("train", 1.25)]),
            cpu_seconds: BTreeMap::new(),
            peak_mb: 1.0,
        };
        let epoch = |phase, valid| Epoch { phase, epoch: 1, steps: 1, loss: 2.5, valid, valid_half: None };
        let item = |title: &str, is_target| ExampleItem { title: title.into(), is_target };
        let slate = Example { user: "u".into(), history: vec!["<i>".into()], items: vec![item("x", true), item("y", false)] };
        let page = html(
            &report(0.3, 0.2),
            &[epoch(Phase::Search, Some(0.25)), epoch(Phase::Refit, None)],
            &[Bin { said: 0.2, found: 0.1, n: 3 }],
            &[slate],
        );
        assert!(page.contains("a&lt;b: evaluation, p3") && page.contains("&lt;ease&gt;") && !page.contains("<ease>"));
        assert!(
            page.contains("+0.0500 to +0.1500")
                && page.contains("12.5 %")
                && page.contains("class='hit'>x ✓")
                && page.contains("&lt;i&gt;")
        );
        assert!(page.contains("&lt;svd&gt;: no figures: it has diverged"));
        assert_eq!((page.matches("<figure>").count(), page.contains("n less")), (6, false));
        assert!(page.contains("said 0.2000, found 0.1000"));
        assert!(
            page.contains("<td>4</td><td class='n'>0.2000<span class='half'> ±0.0100</span></td><td class='n'>15.0 %</td>"),
            "{page}"
        );
        assert!(
            page.contains("ndcg@10<br><span class='half'>share of the ideal list&#39;s gain, 0 to 1, higher is better"),
            "{page}"
        );
        let beaten = html(&Report { exposure_curve: vec![], ..report(0.2, 0.3) }, &[], &[], &[]);
        assert!(beaten.contains("class='n less'>0.3000 <small>better</small>") && !beaten.contains("<figure>"));
    }
}
