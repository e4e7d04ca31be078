//! Logs for tests of what is made of them.

use std::{sync::Arc, time::Duration};

use super::About;
use crate::{
    openai::Form,
    stream::{Budget, Caps, Grace, Id, Log, Owner, Spec},
};

/// Of a chat that is streamed.
pub(super) fn about() -> About {
    About {
        model: "m".to_owned(),
        form: Form::Chat,
        created: 1,
        is_streamed: true,
        has_sequence: false,
        is_patient: false,
        expiry: 2,
        recall: None,
    }
}

/// A small log that is given up as soon as nobody reads it.
pub(super) fn log(about: &About) -> Arc<Log> {
    let spec = Spec {
        id: Id::new("id-", [0; 16]),
        owner: Owner([1; 16]),
        about: about.to_bytes(),
        grace: Grace(Duration::ZERO),
    };
    let caps = Caps {
        event_bytes: 1000,
        log_bytes: 1000,
        last_events: None,
    };
    Log::new(spec, caps, Arc::new(Budget::new(1000)))
}
