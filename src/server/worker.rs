//! What one worker thread answers with, made again when the settings were replaced.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix_web::{dev::Extensions, web::Data};
use tokio::sync::watch;

use super::shared::Shared;
use crate::{backend::Router, completion::Service};

/// A worker thread's view of what all of them share.
pub(super) struct Worker {
    live: RefCell<watch::Receiver<Arc<Shared>>>,
    now: RefCell<Made>,
}

/// What was made of the settings that hold.
struct Made {
    shared: Arc<Shared>,
    router: Router,
    service: Data<Service>,
    data: Rc<Extensions>,
}

impl Worker {
    /// A worker with backends and connections of its own.
    pub(super) fn new(mut live: watch::Receiver<Arc<Shared>>) -> Self {
        let shared = Arc::clone(&live.borrow_and_update());
        let router = shared.router();
        Self {
            live: RefCell::new(live),
            now: RefCell::new(Made::of(shared, router)),
        }
    }

    /// What handlers find beside a request that comes now. Where nothing was replaced, one atomic
    /// load tells so.
    pub(super) fn data(&self) -> Rc<Extensions> {
        self.renew();
        Rc::clone(&self.now.borrow().data)
    }

    /// The service that holds now, for what no request asks for.
    pub(super) fn service(&self) -> Arc<Service> {
        self.renew();
        Arc::clone(&self.now.borrow().service)
    }

    fn renew(&self) {
        let mut live = self.live.borrow_mut();
        // An error means that nobody can replace anything any more.
        if live.has_changed().unwrap_or(false) {
            let shared = Arc::clone(&live.borrow_and_update());
            let mut now = self.now.borrow_mut();
            let router = match Arc::ptr_eq(&shared.health, &now.shared.health) {
                // The models are the same: so are the connections to their upstreams.
                true => now.router.clone(),
                false => shared.router(),
            };
            *now = Made::of(shared, router);
        }
    }
}

impl Made {
    fn of(shared: Arc<Shared>, router: Router) -> Self {
        let mut data = Extensions::new();
        let service = Service::new(router.clone(), shared.completions.clone());
        let service = Data::new(service);
        data.insert(service.clone());
        data.insert(shared.state.clone());
        data.insert(shared.policy.clone());
        Self {
            shared,
            router,
            service,
            data: Rc::new(data),
        }
    }
}
