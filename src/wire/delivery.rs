//! When each event was due and when it was sent.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The most events of one reply whose times are kept.
const MOST: usize = 10_000;
/// For so many events at most room is made before they come.
const FEW: usize = 1_000;

/// The times of one reply's events, planned and real. Shared by who plans and who sends.
#[derive(Debug)]
pub struct Delivery {
    start: Instant,
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    // When each event was due, and when it was sent: so many of each, and 0 for the others.
    events: Vec<(u32, u32)>,
    planned: usize,
    sent: usize,
    bytes: u64,
    faults: Vec<String>,
    end: Option<&'static str>,
}

/// What is known of a delivery. Times are microseconds from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// When each event was due.
    pub planned: Vec<u32>,
    /// When each was handed to the socket.
    pub sent: Vec<u32>,
    /// How many bytes of body were.
    pub bytes: u64,
    /// What went wrong, as it was written.
    pub faults: Vec<String>,
    /// How the body ended: `finished`, `cut`, `reset` or `left`; none while it goes on.
    pub end: Option<&'static str>,
}

/// How late events were, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lateness {
    /// Half of them were less.
    pub p50: f64,
    /// Of a hundred, 99 were less.
    pub p99: f64,
    /// The latest.
    pub max: f64,
}

impl Delivered {
    /// How late its events were; none if none were planned and sent. An event that came early
    /// counts by how early it was.
    pub fn lateness(&self) -> Option<Lateness> {
        let pairs = self.planned.iter().zip(&self.sent);
        let mut late: Vec<u32> = pairs
            .map(|(planned, sent)| sent.abs_diff(*planned))
            .collect();
        late.sort_unstable();
        let at = |part: usize| {
            let place = (late.len() * part / 100).min(late.len().saturating_sub(1));
            late.get(place).map(|micros| f64::from(*micros) / 1000.0)
        };
        Some(Lateness {
            p50: at(50)?,
            p99: at(99)?,
            max: at(100)?,
        })
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            times: Mutex::default(),
        }
    }
}

impl Delivery {
    /// When it began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// About so many events are to come: room for their times is made once.
    pub fn expect(&self, events: usize) {
        self.times().events.reserve(events.min(FEW));
    }

    /// The next event is due so long after the start.
    pub fn plan(&self, after: Duration) {
        let mut times = self.times();
        let place = times.planned;
        if let Some(event) = times.event(place) {
            event.0 = micros(after);
            times.planned += 1;
        }
    }

    /// So many events, of so many bytes together, are handed to the socket at this time.
    pub fn sent(&self, at: Instant, events: usize, bytes: usize) {
        let at = micros(at.duration_since(self.start));
        let mut times = self.times();
        for _ in 0..events {
            let place = times.sent;
            let Some(event) = times.event(place) else {
                break;
            };
            event.1 = at;
            times.sent += 1;
        }
        times.bytes += bytes as u64;
    }

    /// A fault took place.
    pub fn fault(&self, written: String) {
        self.times().faults.push(written);
    }

    /// The body has ended; the first word counts.
    pub fn ended(&self, how: &'static str) {
        self.times().end.get_or_insert(how);
    }

    /// What is known by now.
    pub fn report(&self) -> Delivered {
        let times = self.times();
        Delivered {
            planned: times.events[..times.planned]
                .iter()
                .map(|event| event.0)
                .collect(),
            sent: times.events[..times.sent]
                .iter()
                .map(|event| event.1)
                .collect(),
            bytes: times.bytes,
            faults: times.faults.clone(),
            end: times.end,
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        // Nothing that panics runs under the lock.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times {
    /// The times of the event at this place, which is there or the next; none if they are not kept.
    fn event(&mut self, place: usize) -> Option<&mut (u32, u32)> {
        if place == self.events.len() && place < MOST {
            self.events.push((0, 0));
        }
        self.events.get_mut(place)
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_makes_room_for_so_much_at_most() {
        let delivery = Delivery::default();
        delivery.expect(usize::MAX);
        assert_eq!(delivery.times().events.capacity(), FEW);
        for _ in 0..=FEW {
            delivery.plan(Duration::ZERO);
        }
        assert_eq!(
            delivery.report().planned.len(),
            FEW + 1,
            "more may come all the same"
        );
    }
}
