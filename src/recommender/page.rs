//! Holds `src/docs/pipeline.md` to the code: the numbers of the page are those of one request, computed here.

use std::fmt::Write;
use std::path::Path;

use super::Recommender;
use super::testing::{recommender, request, state, stub};
use crate::explore::Explore;
use crate::features::Fields;
use crate::model::Graph;
use crate::rank::Candidate;
use crate::retrieve::Scorer;

/// How many candidates and items the page shows.
const SHOWN: usize = 5;

/// A number as the page writes it.
fn n(x: f64) -> String {
    format!("{x:>7.3}")
}

fn fields(values: &Fields) -> String {
    let value = |(name, value): (&String, _)| format!("{name} {}", serde_json::to_string(value).unwrap());
    values.iter().map(value).collect::<Vec<_>>().join(", ")
}

/// The blocks of the page by name, in its order.
fn blocks() -> Vec<(&'static str, String)> {
    let mut recommender: Recommender = recommender(&stub());
    let request = request(4, Explore { policy: "epsilon-greedy".into(), ..Explore::default() });
    let title = |recommender: &Recommender, row: u32| recommender.bundle.catalog.title(row).unwrap_or_default().to_string();
    let mut out = Vec::new();

    let mut text = String::new();
    let known = recommender.known(&state(&recommender, &request)).unwrap();
    let events = recommender.profile().events().iter().zip(&known.events);
    for (event, row) in events {
        let hours = event.time.unwrap() / 3_600_000;
        writeln!(text, "{} h  {:<4}  item {:>2}  {}", hours, event.kind, event.item, title(&recommender, row.row.unwrap()))
            .unwrap();
    }
    writeln!(text, "request at 30 h, k {}, context: {}", request.k, fields(&request.context)).unwrap();
    out.push(("visitor", text));

    let history = &known.encoded.history;
    let mut text = String::new();
    for (name, values) in
        [("types", &history.types), ("values", &history.values), ("gaps", &history.gaps), ("runs", &history.runs)]
    {
        writeln!(text, "{name:<7} {values:?}").unwrap();
    }
    let slots: Vec<String> = known.encoded.context.iter().map(|(slot, weight)| format!("{slot}:{weight:.3}")).collect();
    writeln!(text, "rows    {:?}\ncontext {}", history.rows, slots.join(" ")).unwrap();
    out.push(("encode", text));

    let user = recommender.user_for(&request, &known.encoded).unwrap();
    let first: Vec<String> = user.vector[..4].iter().map(|x| n((*x).into())).collect();
    let length = libm::sqrt(user.vector.iter().map(|x| f64::from(x * x)).sum());
    out.push(("tower", format!("u = [{} …], {} numbers, |u| = {}\n", first.join(" "), user.vector.len(), n(length).trim())));

    let removed = recommender.removed(&known.events, &[]);
    let allowed = recommender.allowed(&known.events, &[]);
    let text =
        format!("{} items, {} seen or hidden, {} allowed\n", recommender.bundle.manifest.items, removed.len(), allowed.len());
    out.push(("filter", text));

    let ranker = recommender.ranker_for(&request).unwrap().unwrap();
    let found = recommender.candidates(ranker, &request, &known, &user);
    let alone = Scorer::new(&recommender.bundle.rows, &user.vector);
    let mut text = "place  item    towers  neighbours    score\n".to_string();
    for (place, (score, row)) in (1..).zip(&found).take(SHOWN) {
        let (id, towers, sum) = (recommender.bundle.catalog.id(*row), alone.score(*row), user.sums.get(*row));
        writeln!(text, "{place:>5}  {id:>4}   {}     {}  {}", n(towers.into()), n(sum.into()), n((*score).into())).unwrap();
    }
    writeln!(text, "… {} candidates", found.len()).unwrap();
    out.push(("retrieve", text));

    let visitor = known.visitor(&request.context, request.time);
    let reader = recommender.reader(ranker, &visitor);
    let best = found[0].1;
    let text = format!(
        "visitor: {}\nitem {}: {}\n",
        fields(&reader.values(None)),
        recommender.bundle.catalog.id(best),
        fields(&reader.values(Some(best)))
    );
    out.push(("inputs", text));

    let candidate =
        |(place, (score, row)): (usize, &(f32, u32))| Candidate { row: *row, score: *score, sum: user.sums.find(*row), place };
    let candidates: Vec<Candidate> = (1..).zip(&found).map(candidate).collect();
    let batch = Graph::Ranker.batches().iter().copied().find(|batch| *batch >= candidates.len()).unwrap();
    let inputs = reader.tensors(&recommender.bundle.rows, &user.vector, &candidates).in_order();
    let outputs = recommender.run(Graph::Ranker, batch, inputs).unwrap().next().unwrap();
    let mut ranked: Vec<(f32, &Candidate, &[f32])> =
        candidates.iter().zip(outputs.chunks_exact(2)).map(|(c, outputs)| (ranker.score(outputs), c, outputs)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut text = "item  place before    like  rating  calibrated: like  rating    score\n".to_string();
    for (score, candidate, outputs) in ranked.iter().take(SHOWN) {
        let id = recommender.bundle.catalog.id(candidate.row);
        let calibrated: Vec<f64> =
            ranker.heads.iter().zip(*outputs).map(|(head, z)| head.calibration.logit((*z).into())).collect();
        let [like, rating] = [outputs[0], outputs[1]].map(|z| n(z.into()));
        writeln!(
            text,
            "{id:>4}  {:>12} {like} {rating}           {} {}  {}",
            candidate.place,
            n(calibrated[0]),
            n(calibrated[1]),
            n((*score).into())
        )
        .unwrap();
    }
    writeln!(text, "a batch of {batch} for {} candidates, in one run", candidates.len()).unwrap();
    out.push(("rank", text));

    let slate = recommender.recommend(&request).unwrap();
    let mut text = "slot  item    score  propensity\n".to_string();
    for (slot, item) in slate.items.iter().enumerate() {
        writeln!(
            text,
            "{slot:>4}  {:>4}  {}     {}  {}",
            item.id,
            n(item.score.into()),
            n(item.propensity.unwrap()),
            item.title.as_deref().unwrap_or_default()
        )
        .unwrap();
    }
    out.push(("slate", text));

    let first = &slate.items[0];
    let why = recommender.explain(&request, &first.id).unwrap();
    let mut text = format!("item {}\n{}  nothing known\n{}  context and time\n", first.id, n(why.bias), n(why.context));
    for part in &why.events {
        writeln!(text, "{}  item {:>2}, ± {}", n(part.part), part.item, n(part.error).trim()).unwrap();
    }
    writeln!(text, "{}  the score", n(why.score)).unwrap();
    out.push(("explain", text));
    out
}

/// With `FORETASTE_WRITE` set the page gets the numbers of now.
#[test]
fn the_page_of_the_pipeline_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/pipeline.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut now = String::new();
    let mut rest = page.as_str();
    for (name, text) in blocks() {
        let start = format!("```text {name}\n");
        let (before, after) = rest.split_once(&start).unwrap_or_else(|| panic!("no block `{name}`"));
        let (_, after) = after.split_once("```\n").expect("an end of the block");
        writeln!(now, "{before}{start}{text}```").unwrap();
        rest = after;
    }
    now += rest;
    if std::env::var_os("FORETASTE_WRITE").is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    assert!(now == page, "run `FORETASTE_WRITE=1 make quick`; the page should be:\n{now}");
}
