//! Tests of an update from a week of logs: the next version has a higher true reward, an update from bots' logs is
//! stopped, and a rollback stays possible.

use std::path::Path;

use foretaste::profile::{Event, LogLine};
use foretaste::{Explore, Recommender, Request};
use foretaste_trainer::log::VisitorLog;
use foretaste_trainer::simulate::{Setting, Site, learn};
use foretaste_trainer::update::{Options, Updated, Versions, update};
use foretaste_trainer::verify::open_bundle;

const SEED: u64 = 5;

/// A site with versions, after a week of Thompson sampling.
fn after_a_week(folder: &Path) -> (Site, Site, Versions) {
    let setting = Setting { users: 240, items: 300, met: 30, rounds: 4, slates: 3, drift: 0.1, newcomers: 0.0 };
    let mut site = Site::new(setting, SEED);
    site.begin(0);
    let run = learn(None, &site.data(), SEED, &folder.join("run")).unwrap();
    let versions = Versions::create(&folder.join("versions"), &run).unwrap();
    let before = site.clone();
    let explore = Explore { policy: "thompson".into(), ..Explore::default() };
    site.serve(&mut open_bundle(&versions.live()).unwrap(), &Request { explore, ..Request::default() }, None).unwrap();
    site.begin(1);
    (before, site, versions)
}

fn next(versions: &Versions, before: &Site, log: &[VisitorLog]) -> Updated {
    let options = Options { quiet: true, seed: SEED, ..Options::default() };
    update(versions, before.data(), log, options).unwrap()
}

/// The true expected number of clicks per slate in the next week.
fn reward(site: &Site, bundle: &Path) -> f64 {
    site.clone().serve(&mut open_bundle(bundle).unwrap(), &Request::default(), None).unwrap().reward
}

fn slates(recommender: &mut Recommender) -> Vec<String> {
    recommender.record(Event { item: "3".into(), kind: "view".into(), ..Event::default() }).unwrap();
    let slate = recommender.recommend(&Request { k: 5, ..Request::default() }).unwrap();
    slate.items.into_iter().map(|item| item.id).collect()
}

#[test]
fn a_week_makes_a_better_version_and_bots_none() {
    let folder = tempfile::tempdir().unwrap();
    let (before, site, versions) = after_a_week(folder.path());
    let live = || slates(&mut open_bundle(&versions.live()).unwrap());
    let first = live();

    let updated = next(&versions, &before, &site.logs());
    let [old, new] = [1, 2].map(|version| reward(&site, &versions.of(version).join("bundle")));
    assert!(updated.gate.passed && updated.unknown == 0, "{updated:#?}");
    assert_eq!((updated.champion, updated.version, versions.challenger()), (1, 2, Some(2)));
    assert_eq!((versions.champion().unwrap(), live()), (1, first.clone()), "nobody sees it yet");
    assert!(new > 1.02 * old, "clicks a slate: {old:.3} before, {new:.3} after");

    let (version, published) = versions.promote(None, false).unwrap();
    assert_eq!((version, versions.champion().unwrap(), versions.challenger()), (2, 2, None));
    assert!(published.delta_bytes < published.bytes, "{published:?}");
    let second = live();
    assert_ne!(second, first);

    // Adds bots, a quarter as many as visitors. Half of each bot's clicks are on one rarely seen item.
    let bot = |i: usize| {
        let lines = (0..12).map(|click| {
            let item = if click % 2 == 0 { "7".to_owned() } else { ((i * 31 + click) % 40 + 1).to_string() };
            let time = Some(1_704_000_000_000 + click as i64 * 60_000);
            LogLine::Event(Event { item, kind: "view".into(), time, ..Event::default() })
        });
        VisitorLog::new(format!("bot-{i}"), lines.collect())
    };
    let poisoned: Vec<VisitorLog> = site.logs().into_iter().chain((0..60).map(bot)).collect();
    let updated = next(&versions, &before, &poisoned);
    assert!(!updated.gate.passed, "{updated:?}");
    assert_eq!((updated.version, versions.challenger()), (3, None));
    let refused = versions.promote(Some(3), false).unwrap_err().to_string();
    assert!(refused.contains("failed the gate"), "{refused}");
    assert_eq!(live(), second);

    // An update of the items alone keeps the bytes of the user tower, so that pages fetch little. It still raises the
    // reward.
    let options = Options { quiet: true, seed: SEED, items_only: true, ..Options::default() };
    assert_eq!(versions.rollback().unwrap().0, 1);
    let small = update(&versions, before.data(), &site.logs(), options).unwrap();
    let tower = |version: u32| {
        let files = std::fs::read_dir(versions.of(version).join("bundle")).unwrap();
        // The file's name contains the hash of its bytes.
        let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.find(|name| name.starts_with("user_tower.")).unwrap()
    };
    assert!(small.gate.passed && tower(small.version) == tower(1) && tower(2) != tower(1));
    let items = reward(&site, &versions.of(small.version).join("bundle"));
    assert!(items > 1.02 * old, "clicks a slate: {old:.3} before, {items:.3} after");
    let (_, light) = versions.promote(None, false).unwrap();
    assert!(light.delta_bytes < published.delta_bytes / 2, "{light:?} {published:?}");

    assert_eq!(versions.rollback().unwrap().0, 1);
    assert_eq!((versions.champion().unwrap(), live()), (1, first));
    assert!(versions.rollback().is_err(), "the first has replaced none");
}
