//! What a page passes in as JSON: its profile and its requests.

use std::cell::RefCell;

use foretaste::profile::{Event, LogLine};
use foretaste::{ErrorKind, Explore, Recommender, Request, VisitorState};
use serde::de::DeserializeOwned;

use super::bundle::{ready, refused, sound};
use crate::json::from_json;

thread_local!(static READY: RefCell<Recommender> = RefCell::new(ready()));

fn read<T: DeserializeOwned>(input: &[u8]) -> foretaste::Result<T> {
    from_json(input).map_err(|kind: ErrorKind| kind.at("input"))
}

/// A profile that is imported: it is exported and imported again as the same, and slates can be made from it.
pub fn profile(input: &[u8]) -> bool {
    let events: Vec<Event> = match read(input) {
        Ok(events) => events,
        Err(error) => return refused(&error),
    };
    READY.with_borrow_mut(|recommender| {
        recommender.clear();
        if let Err(error) = recommender.import_profile(events) {
            return refused(&error);
        }
        let kept = recommender.profile().events().to_vec();
        let text = serde_json::to_vec(&kept).expect("events can be written");
        let again: Vec<Event> = read(&text).expect("exported events are read");
        recommender.import_profile(again).expect("exported events are imported");
        assert_eq!(recommender.profile().events(), kept, "the profile is imported as it was exported");
        let request = Request { k: 5, ..Request::default() };
        match recommender.recommend(&request) {
            Ok(slate) => sound(recommender, &request, &slate),
            Err(error) => panic!("a profile that was taken makes no slate: {error}"),
        }
        let times = [None, Some(i64::MIN), Some(i64::MAX)];
        for (time, tz_offset_min) in times.into_iter().zip([Some(i32::MIN), Some(i32::MAX), None]) {
            let state = VisitorState { history: &kept, context: &Default::default(), time, tz_offset_min };
            recommender.encode(&state).expect("a history that was taken is encoded");
        }
        true
    })
}

/// A request for a slate: the slate is sound, and equal requests have equal slates.
pub fn request(input: &[u8]) -> bool {
    let mut request: Request = match read(input) {
        Ok(request) => request,
        Err(error) => return refused(&error),
    };
    // Without an id the decision is numbered, and each slate is another one.
    request.explore.decision.get_or_insert_with(|| "first".into());
    READY.with_borrow_mut(|recommender| {
        let mut slates = [0, 1].map(|_| {
            recommender.clear();
            let like = |item: &str| Event { item: item.into(), kind: "like".into(), ..Event::default() };
            for item in ["3", "17", "unknown"] {
                recommender.record(like(item)).expect("an event");
            }
            let slate = recommender.recommend(&request);
            if let Ok(slate) = &slate {
                sound(recommender, &request, slate);
            }
            slate
        });
        match &mut slates {
            [Ok(one), Ok(two)] => {
                (one.timings_us, two.timings_us) = Default::default();
                let same = serde_json::to_string(one).ok() == serde_json::to_string(two).ok();
                assert!(recommender.log().lines().count() == 4 && same, "the same request has another slate");
                true
            }
            [Err(one), Err(two)] => {
                assert_eq!(one, two);
                refused(one)
            }
            _ => panic!("the same request is taken and refused"),
        }
    })
}

/// The core goes on from a log: it replays each line or restores what it refuses, and draws a slate that learns from
/// it.
pub fn go_on(lines: &[LogLine]) {
    READY.with_borrow_mut(|recommender| {
        recommender.clear();
        for line in lines {
            if let Err(error) = recommender.replay(line.clone()) {
                refused(&error);
                recommender.restore(line.clone());
            }
        }
        assert_eq!(recommender.log().lines().count(), lines.len(), "every line is kept");
        let explore = Explore { policy: "thompson".into(), ignored: 1.0, ..Explore::default() };
        let request = Request { k: 5, explore, ..Request::default() };
        match recommender.recommend(&request) {
            Ok(slate) => sound(recommender, &request, &slate),
            Err(error) => panic!("a log that was taken makes no slate: {error}"),
        }
    });
}
