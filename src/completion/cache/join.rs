//! Finding the source that answers a request, or beginning it.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{
    CacheOutcome, Fingerprint,
    flights::{Entered, Flight},
    source::is_reusable,
};
use crate::{
    backend::{Call, Route, Share},
    completion::{
        About, Completion, Shared, account::Account, pump::Pump, service::random_identity,
        unfilled::Unfilled,
    },
    stream::{Cursor, End, Grace, Id, Lookup, Producer, Reader, Spec},
};

/// A request whose answer may be shared.
pub(in crate::completion) struct Request<'a> {
    /// Where it is made.
    pub(in crate::completion) shared: &'a Arc<Shared>,
    /// Who can answer it.
    pub(in crate::completion) route: &'a Route,
    /// It.
    pub(in crate::completion) call: &'a Rc<Call>,
    /// What its own log is of.
    pub(in crate::completion) about: &'a About,
    /// What it is known by.
    pub(in crate::completion) print: &'a Fingerprint,
}

/// A place in a source.
pub(in crate::completion) struct Joined {
    /// Its reader, at the beginning, which keeps the source going.
    pub(in crate::completion) reader: Reader,
    /// How the request is answered with it.
    pub(in crate::completion) outcome: CacheOutcome,
    /// What else is known of it, where it is under way.
    pub(in crate::completion) source: Option<Arc<Completion>>,
}

impl Request<'_> {
    /// Reads the source that answers the request from its beginning: one under way, one that has
    /// ended well, or a new one. `None` if there is no room for that, and it has to be asked alone.
    pub(in crate::completion) async fn join(&self) -> Option<Joined> {
        if let Some(joined) = self.under_way() {
            return Some(joined);
        }
        if let Some(joined) = self.finished().await {
            return Some(joined);
        }
        let spec = Spec {
            id: Id::new("source-", random_identity().ok()?.id),
            owner: self.print.owner,
            about: self.about().to_bytes(),
            // Those who are answered from it have waited as their own policies say.
            grace: Grace(Duration::ZERO),
        };
        let producer = self.shared.store.create(spec).await.ok()?;
        let log = Arc::clone(producer.log());
        let source = Arc::new(Completion::new(Arc::clone(&log), self.about(), None));
        // Read before it begins, or it would be given up at once.
        let reader = log.reader(Cursor::START).ok()?;
        let flights = &self.shared.cache.flights;
        let is_taken = match flights.enter(self.print, &source) {
            Entered::Flight(flight) => {
                self.begin(producer, Arc::clone(&source), flight);
                return Some(Joined {
                    reader,
                    outcome: CacheOutcome::Miss,
                    source: Some(source),
                });
            }
            Entered::Taken => true,
            Entered::Full => false,
        };
        drop(Unfilled::new(producer, false));
        // A store that cannot forget it lets it expire.
        let _ = self.shared.store.remove(log.owner(), log.id()).await;
        is_taken.then(|| self.under_way())?
    }

    fn under_way(&self) -> Option<Joined> {
        let (source, reader) = self.shared.cache.flights.get(self.print)?;
        let choices = self.call.request.choices();
        let outcome = match source.log.end() {
            None => CacheOutcome::Shared,
            Some(End::Completed) if self.keeps() && is_reusable(&source.log, choices) => {
                CacheOutcome::Hit
            }
            Some(End::Completed | End::Failed(_) | End::Cancelled) => return None,
        };
        Some(Joined {
            reader,
            outcome,
            source: (outcome == CacheOutcome::Shared).then_some(source),
        })
    }

    async fn finished(&self) -> Option<Joined> {
        if !self.keeps() {
            return None;
        }
        let id = self.shared.cache.answers.get(self.print).await?;
        let found = self.shared.store.find(self.print.owner, &id).await;
        let Ok(Lookup::Found(log)) = found else {
            return None;
        };
        match log.end() {
            // A copy of another node's may not have come to its end yet.
            None | Some(End::Completed) => {}
            Some(End::Failed(_) | End::Cancelled) => return None,
        }
        let mut reader = log.reader(Cursor::START).ok()?;
        // One that cannot be read after all is none.
        reader.peek().await?;
        Some(Joined {
            reader,
            outcome: CacheOutcome::Hit,
            source: None,
        })
    }

    /// Fills a new source, on this worker thread, and keeps or forgets it once it has ended.
    fn begin(&self, producer: Producer, source: Arc<Completion>, flight: Flight) {
        let shared = Arc::clone(self.shared);
        let account = Account::unrecorded(shared.ledger.clone(), Arc::clone(&source));
        let call = Rc::new(Call {
            id: source.log.id().to_string(),
            created: self.call.created,
            request: Rc::new(self.call.request.to_shared()),
            headers: self.call.headers.clone(),
            credentials: self.call.credentials.clone(),
            partial: None,
        });
        let account = account.traced_within(&call);
        let choices = call.request.choices();
        let pump = Pump::new(
            producer,
            account,
            self.route.clone(),
            call,
            Arc::clone(&shared),
        );
        let pump = pump.stamping();
        let kept_for = self.keeps().then(|| self.lifetime());
        let print = self.print.clone();
        let stopping = shared.pumps.stopping();
        self.shared.pumps.spawn(async move {
            Box::new(pump).run(stopping).await;
            let log = &source.log;
            match kept_for.filter(|_| is_reusable(log, choices)) {
                Some(lifetime) => shared.cache.answers.put(&print, log.id(), lifetime).await,
                // A store that cannot forget it lets it expire.
                None => drop(shared.store.remove(log.owner(), log.id()).await),
            }
            // Until now it could be found by it.
            drop(flight);
        });
    }

    fn keeps(&self) -> bool {
        match self.route.cache.share {
            Share::Finished => true,
            Share::Off | Share::InFlight => false,
        }
    }

    fn lifetime(&self) -> Duration {
        let retention = self.shared.settings.retention;
        self.route.cache.lifetime.unwrap_or(retention)
    }

    /// What the source's log is of.
    fn about(&self) -> About {
        About {
            is_streamed: true,
            has_sequence: false,
            is_patient: false,
            ..self.about.clone()
        }
    }
}
