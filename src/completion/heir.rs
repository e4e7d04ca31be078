//! Answers whose node is gone, and this one that goes on with them.
//!
//! The store's own thread finds such a log and makes this node its writer; [`Heir`] hands it to
//! [`Service::go_on_with`], which asks the upstreams of its model for the rest.

use std::{rc::Rc, sync::Arc};

use tokio::sync::mpsc;

use super::{
    About, Ask, Completion, Service, about::Recall, account::Account, last_words::last_words,
    pump::Pump,
};
use crate::{
    backend::{Call, Credentials, OnLoss, Route},
    stream::{End, Event, Log, Producer, Seq, Successor},
};

/// How many logs may wait for the thread that goes on with them.
const WAITING: usize = 1024;
/// The largest request that is kept beside its log.
const MAX_RECALLED: usize = 256 * 1024;

/// Speaks for logs whose node is gone.
pub struct Heir(mpsc::Sender<Producer>);

/// The logs that this node goes on with.
pub struct Inherited(mpsc::Receiver<Producer>);

impl Heir {
    /// One, and what it hands over.
    pub fn new() -> (Self, Inherited) {
        let (give, take) = mpsc::channel(WAITING);
        (Self(give), Inherited(take))
    }
}

impl Successor for Heir {
    fn last_words(&self, log: &Log, seq: Seq) -> (Vec<Event>, End) {
        last_words(log, seq)
    }

    fn can_go_on(&self, log: &Log) -> bool {
        let is_recalled = About::of(log).is_ok_and(|about| about.recall.is_some());
        is_recalled && self.0.capacity() > 0
    }

    fn go_on(&self, producer: Producer) {
        if let Err(refused) = self.0.try_send(producer) {
            refused.into_inner().close(last_words);
        }
    }
}

impl Inherited {
    /// Goes on with what comes, for as long as it may, with what `service` says is the service then.
    pub async fn go_on(mut self, service: impl Fn() -> Arc<Service>) {
        while let Some(producer) = self.0.recv().await {
            service().go_on_with(producer);
        }
        // Nothing comes any more, which is no reason to stop.
        std::future::pending().await
    }
}

impl Service {
    fn go_on_with(&self, producer: Producer) {
        let log = Arc::clone(producer.log());
        let Some((about, recall, call, route)) = self.recall(&log) else {
            return producer.close(last_words);
        };
        let completion = Arc::new(Completion::new(log, about, None));
        let ledger = self.shared.ledger.clone();
        let account = Account::open(ledger, completion, (recall.key, &route.name)).traced(&call);
        let shared = Arc::clone(&self.shared);
        let pump = Pump::new(producer, account, route, Rc::new(call), shared).inherited();
        let pumps = &self.shared.pumps;
        pumps.spawn(Box::new(pump).run(pumps.stopping()));
    }

    /// What a log that another node has begun is the answer to, and who can go on with it.
    fn recall(&self, log: &Log) -> Option<(About, Recall, Call, Route)> {
        let about = About::of(log).ok()?;
        let recall = about.recall.clone()?;
        let request = about.form.parse(recall.body.clone().into()).ok()?;
        let route = self.router.route(&about.model)?.clone();
        let call = Call {
            id: log.id().to_string(),
            created: about.created,
            request: Rc::new(request),
            headers: recall.headers.clone(),
            // The client's own are not kept.
            credentials: Credentials::Ours,
            partial: None,
        };
        Some((about, recall, call, route))
    }

    /// What another node has to know of a request, if it may go on with its answer.
    pub(super) fn to_recall(&self, ask: &Ask, route: &Route) -> Option<Recall> {
        let is_wanted = route.on_owner_loss == OnLoss::Continue;
        let is_shared = self.shared.store.has_shared_ids();
        let body = ask.request.body();
        if !is_wanted || !is_shared || !ask.request.is_generated_as_stream() {
            return None;
        }
        let body = std::str::from_utf8(body).ok();
        Some(Recall {
            body: body.filter(|body| body.len() <= MAX_RECALLED)?.to_owned(),
            headers: ask.headers.clone(),
            key: ask.key.as_ref().map(|key| key.name.clone()),
        })
    }
}
