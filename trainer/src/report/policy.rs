//! The page of `ope`: what another policy would have earned, and whether the estimates can be trusted.

use std::fmt::Write;

use super::chart::{Series, escape, grouped, intervals, lines};
use super::{figure, page, tiles};
use crate::ope::{Estimate, Report};

/// The page; `name` is that of the evaluated policy.
pub fn html(report: &Report, name: &str) -> String {
    let checks = &report.checks;
    let mut out = "<p class='licence'>Told from a log with propensities: each reward weighs by how much likelier the policy is to show the item than the log's was. \
                   95 % intervals by bootstrap over slates.</p></header>"
        .to_owned();
    out += &tiles([
        ("slates", grouped(report.slates as u64)),
        ("slots", grouped(report.rows as u64)),
        ("earned a slate", format!("{:.4}", report.logged.slate)),
        ("earned a slot", format!("{:.4}", report.logged.slot)),
        ("effective sample size", format!("{:.0}", checks.effective_sample_size)),
        ("largest weight", format!("{:.2}", checks.max_weight)),
        ("smallest propensity", format!("{:.4}", checks.min_propensity)),
        ("mean weight", format!("{:.3} ±{:.3}", checks.mean_weight, 2.0 * checks.mean_weight_error)),
    ]);
    out += &trust(&checks.warnings);
    let (mut figures, mut tables) = (String::new(), String::new());
    for (of, earned) in [("slot", report.logged.slot), ("slate", report.logged.slate)] {
        let of_it: Vec<(&str, &Estimate)> = report.in_order().filter(|(_, found)| found.of == of).collect();
        if !of_it.is_empty() {
            let rows: Vec<_> = of_it.iter().map(|(name, found)| (*name, [found.value, found.ci95[0], found.ci95[1]])).collect();
            let title = format!("Reward of a {of}");
            figures +=
                &figure(&title, "by estimator; the upright line is what the log earned", &intervals(&title, &rows, earned));
            tables += &format!("<section><h2>{title}</h2>{}</section>", table(&of_it, earned));
        }
    }
    if report.examination.len() > 1 {
        let points = report.examination.iter().map(|found| [found.value, found.ci95[0], found.ci95[1]]).collect();
        let curve = lines("Examination by slot", &[Series { name: "looked at, beside the first slot", points }]);
        figures += &figure("Examination", "how far each slot is looked at, by items that were shown in several", &curve);
    }
    out += &format!("<div class='pair'>{figures}</div>{tables}");
    if let Some(stays) = report.rejection.as_ref().filter(|stays| stays.value.is_some()) {
        let [low, high] = stays.ci95.unwrap_or([f64::NAN; 2]);
        _ = write!(
            out,
            "<section><h2>Stays of its own</h2><p>Rejection sampling accepted {} of {} decisions: {:.4} a decision, {low:.4} to {high:.4}.</p></section>",
            stays.accepted,
            stays.decisions,
            stays.value.unwrap_or(f64::NAN)
        );
    }
    page("off-policy evaluation", name, &out)
}

fn trust(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return "<p class='well'>Weights have a mean of 1 but for chance, none stands out, and enough rows speak of this policy.</p>".to_owned();
    }
    let warnings: String = warnings.iter().map(|warning| format!("<p>{}</p>", escape(warning))).collect();
    format!("<section class='notes'><h2>Do not believe it yet</h2>{warnings}</section>")
}

fn table(rows: &[(&str, &Estimate)], earned: f64) -> String {
    let mut out =
        "<table><tr><th>estimator</th><th class='n'>reward</th><th class='n'>95 %</th><th class='n'>beside the log</th></tr>"
            .to_owned();
    for (name, Estimate { value, ci95: [low, high], .. }) in rows {
        let beside = if earned == 0.0 { String::new() } else { format!("{:+.1} %", 100.0 * (value / earned - 1.0)) };
        _ = write!(
            out,
            "<tr><td>{name}</td><td class='n'>{value:.4}</td><td class='n'>{low:.4} to {high:.4}</td><td class='n'>{beside}</td></tr>"
        );
    }
    out + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ope::{Logged, Shrinkage};

    #[test]
    fn says_what_it_earns_and_whether_to_believe_it() {
        let row = |slate: usize, slot: usize| Logged {
            slate,
            slot,
            reward: f64::from(u8::from((slate + slot).is_multiple_of(4))),
            propensity: 0.25,
            target: if slate.is_multiple_of(2) { 0.4 } else { 0.1 },
            model: None,
        };
        let log: Vec<Logged> = (0..400).flat_map(|slate| [row(slate, 0), row(slate, 1)]).collect();
        let report = Report::of(&log, Shrinkage::default(), 1);
        let page = html(&report, "<thompson>");
        // A quarter of the slots have a reward; the weights of the slates are 1.6 and 0.4.
        assert!(
            page.contains("<b>0.2500</b><span>earned a slot</span>") && page.contains("<b>0.5000</b><span>earned a slate</span>")
        );
        assert!(page.contains("<td>ips</td><td class='n'>0.2500</td>") && page.contains("<td>sn-slate-standard</td>"), "{page}");
        assert!(page.contains("&lt;thompson&gt;") && !page.contains("<thompson>") && !page.contains("NaN"));
        assert!(page.contains("none stands out") && !page.contains("class='notes'"));
        let poor: Vec<Logged> = log.iter().map(|row| Logged { propensity: 0.9, ..*row }).collect();
        let page = html(&Report::of(&poor, Shrinkage::default(), 1), "p");
        assert!(page.contains("<p>the mean weight is 0.278, not 1"), "{page}");
    }
}
