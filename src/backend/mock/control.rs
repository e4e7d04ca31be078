//! What the workers of a mock share: scenarios, sessions, and the journal.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    journal::Entry,
    pace::Profile,
    scenario::{LoadError, Scenario, Set, Stamp, load, stamp},
};

/// The most sessions that are remembered; the one that was used longest ago is forgotten.
const MAX_SESSIONS: usize = 1_000;
/// How often the folder is looked at. It is not watched: changes made outside a container are
/// not told of inside.
const LOOK: Duration = Duration::from_millis(500);

/// The state of a mock.
#[derive(Debug)]
pub struct Control {
    state: Mutex<State>,
    // And what it was like before it was read.
    folder: Option<(PathBuf, Stamp)>,
    journal_entries: usize,
    lanes: HashMap<String, Lane>,
}

#[derive(Debug, Default)]
struct State {
    scenarios: Arc<Set>,
    sessions: HashMap<String, Session>,
    journal: VecDeque<Entry>,
    numbered: u64,
    clock: u64,
}

/// What one test has for itself.
#[derive(Debug, Default)]
struct Session {
    scenarios: Option<Arc<Set>>,
    calls: HashMap<String, usize>,
    used: u64,
}

/// How many answers of one profile are given, and wait.
#[derive(Debug)]
struct Lane {
    places: Option<Arc<Semaphore>>,
    queue: usize,
    waiting: Arc<AtomicUsize>,
    given: Arc<AtomicUsize>,
}

/// A place among the answers that are given at once. Dropping it is leaving.
#[derive(Debug)]
pub(super) struct Place {
    places: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
    waiting: Option<Counted>,
    given: Arc<AtomicUsize>,
    counted: Option<Counted>,
}

/// One more, while it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// More requests wait than may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

impl Place {
    /// Waits until it is this answer's turn.
    pub(super) async fn begin(&mut self) {
        if let (Some(places), None) = (&self.places, &self.permit) {
            // It is never closed.
            self.permit = Arc::clone(places).acquire_owned().await.ok();
        }
        self.waiting = None;
        self.counted
            .get_or_insert_with(|| Counted::new(&self.given));
    }

    /// How many answers are given now, this one among them.
    pub(super) fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}

impl Control {
    /// With the scenarios of a folder, if there is one.
    ///
    /// # Errors
    /// [`LoadError`] for the first scenario that cannot be.
    pub fn new(
        folder: Option<&Path>,
        profiles: &BTreeMap<String, Profile>,
        journal_entries: usize,
    ) -> Result<Self, LoadError> {
        // In this order, so that what changes in between is read again.
        let stamped = folder.map(|folder| (folder.to_owned(), stamp(folder)));
        let scenarios = folder.map(load).transpose()?.unwrap_or_default();
        let lanes = profiles
            .iter()
            .map(|(name, profile)| (name.clone(), Lane::of(profile)));
        Ok(Self {
            state: Mutex::new(State {
                scenarios: Arc::new(scenarios),
                ..State::default()
            }),
            folder: stamped,
            journal_entries,
            lanes: lanes.collect(),
        })
    }

    /// Reads the folder again whenever it has changed, without end. What is wrong is said, and the
    /// scenarios from before stay.
    pub async fn tend(&self) {
        let Some((folder, known)) = self.folder.clone() else {
            return std::future::pending().await;
        };
        let mut known = Some(known);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = look(&folder, stamp).await;
            if now == known {
                continue;
            }
            known = now;
            match look(&folder, load).await {
                Some(Ok(scenarios)) => {
                    tracing::info!(scenarios = scenarios.len(), "the scenarios were read again");
                    self.state().scenarios = Arc::new(scenarios);
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "the scenarios have an error; those from before stay");
                }
                None => {}
            }
        }
    }

    /// The scenarios of a session: its own if it has some, else everyone's.
    pub fn scenarios(&self, session: &str) -> Arc<Set> {
        let mut state = self.state();
        let own = state
            .session(session)
            .and_then(|session| session.scenarios.clone());
        own.unwrap_or_else(|| Arc::clone(&state.scenarios))
    }

    /// Gives a session scenarios of its own, or takes them away; how many it has then.
    ///
    /// # Errors
    /// Those of [`Set::new`].
    pub fn set_scenarios(
        &self,
        session: &str,
        scenarios: Option<BTreeMap<String, Arc<Scenario>>>,
    ) -> Result<usize, (String, String)> {
        let set = scenarios.map(Set::new).transpose()?.map(Arc::new);
        let count = set.as_ref().map_or(0, |set| set.len());
        let mut state = self.state();
        let session = state.make_session(session);
        session.scenarios = set;
        session.calls.clear();
        Ok(count)
    }

    /// The number of this call of a scenario within a session, from 0.
    pub(super) fn count_call(&self, session: &str, scenario: &str) -> usize {
        let mut state = self.state();
        let calls = &mut state.make_session(session).calls;
        let count = calls.entry(scenario.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    /// Forgets a session: its scenarios, its counts, its part of the journal.
    pub fn reset(&self, session: &str) {
        let mut state = self.state();
        state.sessions.remove(session);
        state.journal.retain(|entry| entry.session != session);
    }

    /// Forgets a session's part of the journal.
    pub fn clear_journal(&self, session: &str) {
        self.state()
            .journal
            .retain(|entry| entry.session != session);
    }

    /// A session's part of the journal, the oldest first.
    pub fn journal(&self, session: &str) -> Vec<Entry> {
        let state = self.state();
        let entries = state
            .journal
            .iter()
            .filter(|entry| entry.session == session);
        entries.cloned().collect()
    }

    /// Writes one more request down; the oldest is forgotten where there is no room.
    pub(super) fn write(&self, mut entry: Entry) {
        if self.journal_entries == 0 {
            return;
        }
        let mut state = self.state();
        state.numbered += 1;
        entry.number = state.numbered;
        while state.journal.len() >= self.journal_entries {
            state.journal.pop_front();
        }
        state.journal.push_back(entry);
    }

    /// A place among the answers of a profile.
    pub(super) fn place(&self, profile: &str) -> Result<Place, QueueFull> {
        let Some(lane) = self.lanes.get(profile) else {
            return Lane::of(&Profile::default()).place();
        };
        lane.place()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn session(&mut self, name: &str) -> Option<&mut Session> {
        self.clock += 1;
        let session = self.sessions.get_mut(name)?;
        session.used = self.clock;
        Some(session)
    }

    fn make_session(&mut self, name: &str) -> &mut Session {
        self.clock += 1;
        if !self.sessions.contains_key(name) && self.sessions.len() >= MAX_SESSIONS {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.sessions.remove(&oldest);
            }
        }
        let session = self.sessions.entry(name.to_owned()).or_default();
        session.used = self.clock;
        session
    }
}

impl Lane {
    fn of(profile: &Profile) -> Self {
        let places =
            (profile.concurrency > 0).then(|| Arc::new(Semaphore::new(profile.concurrency)));
        Self {
            places,
            queue: profile.queue,
            waiting: Arc::default(),
            given: Arc::default(),
        }
    }

    fn place(&self) -> Result<Place, QueueFull> {
        let permit = self
            .places
            .as_ref()
            .map(|places| Arc::clone(places).try_acquire_owned());
        let permit = permit.and_then(Result::ok);
        let must_wait = self.places.is_some() && permit.is_none();
        if must_wait && self.waiting.load(Ordering::Relaxed) >= self.queue {
            return Err(QueueFull);
        }
        Ok(Place {
            places: self.places.clone(),
            permit,
            waiting: must_wait.then(|| Counted::new(&self.waiting)),
            given: Arc::clone(&self.given),
            counted: None,
        })
    }
}

/// Looks at files off the thread that serves connections; none where that thread broke.
async fn look<T: Send + 'static>(folder: &Path, how: fn(&Path) -> T) -> Option<T> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || how(&folder)).await.ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn what_changes_before_the_first_look_is_read_again() {
        let folder = std::env::temp_dir().join(format!("tokenfall-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("made");
        let write = |name, text| fs::write(folder.join(name), text).expect("written");
        write("a.yaml", "reply: {text: before}");
        let control = Control::new(Some(&folder), &BTreeMap::new(), 0).expect("a scenario");
        write("b.yaml", "priority: 1\nreply: {text: after}");
        let is_read = async {
            while control.scenarios("").len() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = control.tend() => {}
            read = tokio::time::timeout(LOOK * 60, is_read) => read.expect("in time"),
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn the_session_that_was_used_longest_ago_is_forgotten() {
        let control = Control::new(None, &BTreeMap::new(), 0).expect("no folder");
        for number in 0..MAX_SESSIONS {
            assert_eq!(control.count_call(&number.to_string(), "a"), 0);
        }
        // Used again, so that it is not the oldest.
        assert_eq!(control.count_call("0", "a"), 1);
        assert_eq!(control.count_call("new", "a"), 0);
        assert_eq!(control.state().sessions.len(), MAX_SESSIONS);
        assert_eq!(control.count_call("0", "a"), 2, "it is remembered");
        assert_eq!(control.count_call("1", "a"), 0, "it is not");
    }
}
