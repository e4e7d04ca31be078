//! One completion, and what is known of it beside its log where it is made.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{About, CacheOutcome, Failure, fold::parse};
use crate::{
    access::Standing,
    backend::Headers,
    stream::{End, Kind, Log},
    wire::Plan,
};

/// One completion and, where it is made here, what is not in its log.
#[derive(Debug)]
pub struct Completion {
    /// Its log.
    pub log: Arc<Log>,
    /// What the log is of.
    pub about: About,
    // The backend's headers for the client, and what is done to the reply to the request that
    // made it.
    head: OnceLock<(Headers, Option<Arc<Plan>>)>,
    failure: OnceLock<Failure>,
    asked: Mutex<Asked>,
    // How it is answered where answers are shared, and the source, if that is under way here.
    cached: OnceLock<(CacheOutcome, Option<Arc<Completion>>)>,
    // Of a source: its tokens have been counted as somebody's.
    is_paid: AtomicBool,
    standing: Option<Standing>,
}

/// How many upstreams were asked, which one last, and after which events one went on with what
/// another had begun.
#[derive(Debug, Clone, Default)]
struct Asked {
    attempts: u32,
    upstream: Option<Arc<str>>,
    seams: Vec<u64>,
}

impl Completion {
    pub(super) fn new(log: Arc<Log>, about: About, standing: Option<Standing>) -> Self {
        Self {
            standing,
            log,
            about,
            head: OnceLock::new(),
            failure: OnceLock::new(),
            asked: Mutex::default(),
            cached: OnceLock::new(),
            is_paid: AtomicBool::new(false),
        }
    }

    /// How many upstreams were asked for it up to now; 0 where it is not made here.
    pub fn attempts(&self) -> u32 {
        self.origin().asked().attempts
    }

    /// The upstream that was asked for it last.
    pub(super) fn upstream(&self) -> Option<Arc<str>> {
        self.origin().asked().upstream.clone()
    }

    /// One more upstream is asked.
    pub(super) fn ask(&self, upstream: &Arc<str>) {
        let mut asked = self.asked();
        asked.attempts += 1;
        asked.upstream = Some(Arc::clone(upstream));
    }

    /// After this event comes what another upstream says.
    pub(super) fn go_on(&self, after: u64) {
        self.asked().seams.push(after);
    }

    /// After which events another upstream went on.
    pub(super) fn seams(&self) -> Vec<u64> {
        self.origin().asked().seams.clone()
    }

    /// What was left of the limits of the key when it was made here, if it has any.
    pub fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// The backend's headers for the client, once they are there.
    pub fn headers(&self) -> &[(String, String)] {
        let head = self.origin().head.get();
        head.map_or(&[], |(headers, _)| headers)
    }

    /// What is done to the bytes of the reply to the request that made it.
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.head.get()?.1.as_ref()
    }

    /// How it is answered, once that is known, where its model's answers may be shared.
    pub fn cached(&self) -> Option<CacheOutcome> {
        self.cached.get().map(|(outcome, _)| *outcome)
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        if let Some(failure) = self.failure.get() {
            return Some(failure.clone());
        }
        let (events, end) = self.log.snapshot();
        let failure = events.iter().find(|event| event.kind == Kind::Failure)?;
        let json = serde_json::to_vec(&parse(failure).ok()?).ok()?;
        Some(Failure::logged(end?.label(), json.into()))
    }

    pub(super) fn set_head(&self, headers: Headers, plan: Option<Arc<Plan>>) {
        // The first answer's count; there is no other yet.
        let _ = self.head.set((headers, plan));
    }

    pub(super) fn set_failure(&self, failure: Failure) {
        // A completion fails once.
        let _ = self.failure.set(failure);
    }

    /// Whether the tokens of its answer count as its own, now that it ends so: of those who read a
    /// shared answer to its end, the first one pays for it; nobody does for one that had ended.
    pub(super) fn pays(&self, end: &End) -> bool {
        match (self.cached.get(), end) {
            (None, _) => true,
            (Some((_, Some(source))), End::Completed) => {
                !source.is_paid.swap(true, Ordering::Relaxed)
            }
            (Some((outcome, _)), _) => *outcome == CacheOutcome::Miss,
        }
    }

    /// It is answered so; from `source`, if that is under way.
    pub(super) fn set_cached(&self, outcome: CacheOutcome, source: Option<Arc<Self>>) {
        // It is answered once.
        let _ = self.cached.set((outcome, source));
    }

    /// For whom upstreams are asked.
    fn origin(&self) -> &Self {
        match self.cached.get() {
            Some((CacheOutcome::Miss, Some(source))) => source,
            Some(_) | None => self,
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        // They are written at once, and nothing can panic between.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
