//! Answers from cassettes: the recorded bytes in the recorded times, and nothing of the mock's.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{Mock, cast::Cast, journal::Entry, options::Options, question::Question, raw, refusal};
use crate::{
    backend::{
        Answer, BackendError, Body, Call, Refusal,
        cassette::{Cassettes, Kept, OnMiss, Request},
    },
    wire::Split,
};

/// What a request is told that no cassette has.
const CODE: &str = "mock_no_cassette";
/// So many differences are told.
const TOLD: usize = 10;

impl Mock {
    /// Whether a cassette answers, or refuses for want of one, and the mock has no say.
    pub(super) fn is_replayed(&self, call: &Call, options: &Options) -> bool {
        let Some(cassettes) = &self.cassettes else {
            return false;
        };
        let has_cassette = || Request::of_call(call).is_ok_and(|r| cassettes.find(&r).is_some());
        options.scenario.is_none() && (self.settings.on_miss != OnMiss::Mock || has_cassette())
    }

    /// The answer that a cassette has; none where the mock is to answer instead.
    pub(super) fn replay(
        &self,
        call: &Rc<Call>,
        (options, question): (&Options, &Question),
        entry: &mut Entry,
    ) -> Result<Option<Answer>, BackendError> {
        let Some(cassettes) = &self.cassettes else {
            return Ok(None);
        };
        let request = Request::of_call(call)?;
        let Some(kept) = cassettes.find(&request) else {
            return match self.settings.on_miss {
                OnMiss::Mock => Ok(None),
                // Whoever records does not come here for what is missing.
                OnMiss::Error | OnMiss::Record => {
                    Err(refusal::unmatched(CODE, &missing(cassettes, &request)))
                }
            };
        };
        let on = (&self.settings, &*self.control);
        let delivery = &entry.delivery;
        let mut cast = Cast::of_cassette(on, &call.request, (options, question), delivery)?;
        entry.cassette = Some(kept.name());
        entry.profile.clone_from(&cast.profile.0);
        entry.status = kept.cassette.response.status;
        if let Some(error) = cast.refused(question) {
            return Err(error);
        }
        if options.framing.is_none() {
            // What was read at once is written at once.
            cast.plan.framing.split = Split::Event;
        }
        played(&kept, cast).map(Some)
    }
}

/// A cassette as an answer.
fn played(kept: &Kept, mut cast: Cast) -> Result<Answer, BackendError> {
    let response = &kept.cassette.response;
    if response.status >= 400 {
        return Err(BackendError::Refused(Refusal {
            status: response.status,
            headers: response.headers.clone(),
            envelope: Some(response.body()),
            reason: None,
        }));
    }
    let mut frames = response.frames.clone();
    if cast.profile.1.is_instant() {
        frames
            .iter_mut()
            .for_each(|frame| frame.after = Duration::ZERO);
    }
    let body = Body::Raw(raw(frames, &cast));
    cast.plan.waiting = None;
    cast.plan.is_exact = true;
    Ok(Answer {
        headers: response.headers.clone(),
        body,
        plan: Some(Arc::new(cast.plan)),
    })
}

/// Why there is no answer: what differs from the nearest cassette.
fn missing(cassettes: &Cassettes, request: &Request) -> String {
    let Some((kept, differences)) = cassettes.nearest(request) else {
        return "No cassette has this request: there are none.".to_owned();
    };
    let name = kept.name();
    let mut message =
        format!("No cassette has this request. From the nearest, {name}, it differs in:");
    for difference in differences.iter().take(TOLD) {
        message.push_str(&format!("\n  {difference}"));
    }
    if let Some(more) = differences.len().checked_sub(TOLD + 1) {
        message.push_str(&format!("\n  and {} more", more + 1));
    }
    message
}
