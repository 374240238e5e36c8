//! The kept events.

use super::Event;
use crate::error::{ErrorKind, Result, range};
use crate::request::check_time;

/// The most bytes of an id or the name of a type.
const MAX_NAME: usize = 4096;

/// The visitor's last events, oldest first.
#[derive(Debug, Clone)]
pub struct Profile {
    events: Vec<Event>,
    cap: usize,
    /// Number of events recorded so far: the next id is made from it.
    recorded: u64,
}

impl Profile {
    /// An empty profile that keeps `cap` events.
    pub fn new(cap: usize) -> Self {
        Profile { events: Vec::new(), cap, recorded: 0 }
    }

    /// The kept events, oldest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Adds an event and returns it as kept. It gets an id if it has none. If the profile is full, the oldest event
    /// leaves.
    ///
    /// # Errors
    /// `argument` for a name that is empty or longer than 4,096 bytes and for an id that is there already; `range` for
    /// a value that is not finite and for a time that is none in milliseconds.
    pub fn record(&mut self, mut event: Event) -> Result<&Event> {
        check(&event)?;
        let is_there = |id: &str| self.events.iter().any(|e| e.id.as_deref() == Some(id));
        match &event.id {
            Some(id) if is_there(id) => {
                return Err(ErrorKind::Argument(format!("an event with the id `{id}` is there already")).at("event.id"));
            }
            Some(_) => {}
            None => event.id = (self.recorded..).map(|n| format!("e{n}")).find(|id| !is_there(id)),
        }
        self.recorded += 1;
        if self.events.len() == self.cap {
            self.events.remove(0);
        }
        self.events.push(event);
        Ok(&self.events[self.events.len() - 1])
    }

    /// Removes the event with this id. Returns whether there was one.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.events.len();
        self.events.retain(|e| e.id.as_deref() != Some(id));
        self.events.len() < before
    }

    /// Replaces all events. After an error nothing has changed.
    ///
    /// # Errors
    /// Same errors as [`Profile::record`].
    pub fn import(&mut self, events: Vec<Event>) -> Result<()> {
        let mut next = Profile { events: Vec::new(), cap: self.cap, recorded: self.recorded };
        for event in events {
            next.record(event)?;
        }
        *self = next;
        Ok(())
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        self.events.clear();
    }
}

/// Checks the length of a name.
///
/// # Errors
/// `argument` for a name that is empty or longer than 4,096 bytes.
pub(super) fn name_of(name: &str, part: &str) -> Result<()> {
    match name.len() {
        1..=MAX_NAME => Ok(()),
        got => Err(ErrorKind::Argument(format!("expected 1 to {MAX_NAME} bytes, got {got}")).at(part)),
    }
}

fn check(event: &Event) -> Result<()> {
    name_of(&event.item, "event.item")?;
    name_of(&event.kind, "event.type")?;
    event.id.iter().try_for_each(|id| name_of(id, "event.id"))?;
    event.slate.iter().filter(|slate| !slate.is_empty()).try_for_each(|slate| name_of(slate, "event.slate"))?;
    check_time(event.time, "event.time")?;
    match event.value {
        Some(v) if !v.is_finite() => Err(range("a finite number", "another").at("event.value")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(item: &str) -> Event {
        Event { item: item.into(), kind: "like".into(), ..Event::default() }
    }

    fn items(profile: &Profile) -> Vec<&str> {
        profile.events().iter().map(|e| e.item.as_str()).collect()
    }

    #[test]
    fn keeps_the_last_events_and_gives_ids() {
        let mut profile = Profile::new(2);
        for item in ["a", "b", "c"] {
            profile.record(event(item)).unwrap();
        }
        assert_eq!(items(&profile), ["b", "c"]);
        assert!(profile.remove("e1") && !profile.remove("e1"));
        assert_eq!(items(&profile), ["c"]);
        let kept = profile.events().to_vec();
        profile.import(kept).unwrap();
        assert_eq!(profile.record(event("d")).unwrap().id.as_deref(), Some("e4"));
        let twice = Event { id: Some("e4".into()), ..event("e") };
        assert_eq!(profile.record(twice).unwrap_err().code(), "argument");
    }

    #[test]
    fn a_refused_event_changes_nothing() {
        let mut profile = Profile::new(2);
        profile.record(event("a")).unwrap();
        assert_eq!(profile.record(Event { value: Some(f64::NAN), ..event("b") }).unwrap_err().code(), "range");
        // Nanoseconds: no JSON reader of a page keeps all their digits.
        for time in [1_700_000_000_000_000_000, i64::MIN, i64::MAX] {
            assert_eq!(profile.record(Event { time: Some(time), ..event("b") }).unwrap_err().code(), "range");
        }
        let long = Event { slate: Some("x".repeat(MAX_NAME + 1)), ..event("b") };
        assert_eq!(profile.record(long).unwrap_err().code(), "argument");
        assert_eq!(profile.import(vec![event("c"), event("")]).unwrap_err().code(), "argument");
        assert_eq!(items(&profile), ["a"]);
    }
}
