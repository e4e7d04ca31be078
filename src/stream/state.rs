//! What a log's lock is for: its events, who reads them, how it ended.

use std::{
    collections::VecDeque,
    sync::{Arc, MutexGuard},
    task::Waker,
};

use bytes::Bytes;
use slab::Slab;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Budget, End, Event, Grace, Seq, epochs::Epochs};
use crate::sse::Pattern;

/// What an event is counted with beside its bytes.
pub(super) const EVENT_OVERHEAD: usize = size_of::<Event>();

/// Up to so many events their room grows fourfold.
const FEW: usize = 256;

/// What is in a log. Laid out as it stands here: what an append asks for comes first, and close together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct State {
    pub(super) events: VecDeque<Event>,
    // How many events were dropped before the first of these.
    pub(super) dropped: u64,
    // What the events are on the wire, with their places.
    pub(super) bytes: usize,
    // What they hold in memory.
    pub(super) held: usize,
    // That of the last event, if it has one: the event itself is out of the caches by the time of the next.
    last_pattern: Option<Arc<Pattern>>,
    // One of the readers may have a waker.
    is_awaited: bool,
    // Nobody read it for its grace, and its producer was told so.
    pub(super) is_abandoned: bool,
    // One place per reader, holding its waker while it waits.
    pub(super) readers: Slab<Option<Waker>>,
    pub(super) end: Option<End>,
    pub(super) serving: Serving,
    pub(super) epochs: Epochs,
    pub(super) aside: Option<Bytes>,
    pub(super) ended_at: Option<Instant>,
    // How many of the readers are observers, for whom no generation goes on.
    pub(super) observers: usize,
    pub(super) vacant_since: Option<Instant>,
    pub(super) grace: Grace,
}

/// Whether readers may be shown what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serving {
    /// The log is this process' alone.
    Always,
    /// Until then nobody else can have taken the log over.
    Until(Instant),
    /// Somebody has.
    Never,
}

impl State {
    /// Of an empty log that nobody reads yet.
    pub(super) fn new(grace: Grace) -> Self {
        Self {
            events: VecDeque::new(),
            dropped: 0,
            end: None,
            readers: Slab::new(),
            is_awaited: false,
            epochs: Epochs::default(),
            serving: Serving::Always,
            observers: 0,
            bytes: 0,
            held: 0,
            last_pattern: None,
            aside: None,
            ended_at: None,
            vacant_since: Some(Instant::now()),
            is_abandoned: false,
            grace,
        }
    }

    pub(super) fn top(&self) -> Seq {
        Seq(self.dropped + self.events.len() as u64)
    }

    /// Who reads at this place is woken by what comes next.
    pub(super) fn wait(&mut self, place: usize, waker: &Waker) {
        self.is_awaited = true;
        match &mut self.readers[place] {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    pub(super) fn vacant_until(&self, grace: Grace) -> Option<Instant> {
        // A time too far off to be told is never.
        self.vacant_since?.checked_add(grace.0)
    }

    pub(super) fn push(&mut self, event: Event, budget: &Budget) {
        let held = event.frame.held_beside(self.last_pattern.as_ref()) + EVENT_OVERHEAD;
        self.held += held;
        budget.take(held);
        self.bytes += event.frame.len() + EVENT_OVERHEAD;
        let pattern = event.frame.pattern();
        if self.last_pattern.as_ref().map(Arc::as_ptr) != pattern.map(Arc::as_ptr) {
            self.last_pattern = pattern.cloned();
        }
        // Fewer moves of what is cold by then than by doubling.
        if self.events.len() == self.events.capacity() && self.events.len() < FEW {
            self.events.reserve(3 * self.events.len());
        }
        self.events.push_back(event);
    }

    pub(super) fn drop_oldest(&mut self, budget: &Budget) {
        if let Some(oldest) = self.events.pop_front() {
            let next = self.events.front().and_then(|next| next.frame.pattern());
            let held = oldest.frame.held_beside(next) + EVENT_OVERHEAD;
            self.held -= held;
            budget.give_back(held);
            self.bytes -= oldest.frame.len() + EVENT_OVERHEAD;
            self.dropped += 1;
            if self.events.is_empty() {
                self.last_pattern = None;
            }
        }
    }
}

/// Wakes who waits, after the lock is released: they would queue on it.
pub(super) fn wake(mut state: MutexGuard<'_, State>) {
    if !std::mem::take(&mut state.is_awaited) {
        return;
    }
    let waiting = state.readers.iter_mut();
    // Most logs have one reader.
    let woken: SmallVec<[Waker; 2]> = waiting.filter_map(|(_, waker)| waker.take()).collect();
    drop(state);
    woken.into_iter().for_each(Waker::wake);
}
