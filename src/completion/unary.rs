//! What is answered in one piece: no log, no id, nothing to come back to.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::{
    select,
    time::{Instant, sleep},
};

use super::{
    Clock, Failure, Service,
    demand::{check_model, of_task, of_usage},
    pump::millis,
    service::unknown_model,
};
use crate::{
    access::{Key, Standing},
    backend::{Chunk, Route, UnaryCall},
    openai::Facts,
};

/// An answer in one piece.
#[derive(Debug)]
pub struct Reply {
    /// The upstream's headers for the client.
    pub headers: Vec<(String, String)>,
    /// A JSON object.
    pub json: Bytes,
    /// What was left of the limits of the key, if it has any.
    pub standing: Option<Standing>,
    // What was used, where that is said.
    tokens: Option<u64>,
}

impl Service {
    /// Answers in one piece. It is cancelled, also at the upstream, by dropping what this
    /// returns.
    ///
    /// # Errors
    /// [`Failure`] for an unknown model, a limit that is met, a server that stops, and what goes
    /// wrong upstream.
    pub async fn reply(&self, key: Option<&Arc<Key>>, call: UnaryCall) -> Result<Reply, Failure> {
        let pumps = &self.shared.pumps;
        if pumps.is_draining() {
            return Err(Failure::shutting_down());
        }
        let model = call.task.model();
        check_model(key, model)?;
        let Some(route) = self.router.route(model) else {
            return Err(unknown_model(model));
        };
        let mut reservation = self.admit(key, of_task(&call.task)).await?;
        reservation.begin();
        let standing = reservation.standing();
        let _under_way = pumps.hold();
        let (start, total) = (Instant::now(), route.clocks.total);
        let stopping = pumps.stopping();
        let reply = select! {
            biased;
            answer = ask(route, &call) => answer,
            () = stopping.cancelled() => Err(Failure::shutting_down()),
            () = sleep(total) => Err(Failure::late(Clock::Total, Some(total))),
        };
        let outcome = reply
            .as_ref()
            .map_or_else(|f| f.code().label(), |_| "completed");
        let (task, duration_ms) = (call.task.label(), millis(start.elapsed()));
        tracing::info!(
            model,
            task,
            end = outcome,
            duration_ms,
            "answered in one piece"
        );
        match &reply {
            Ok(Reply {
                tokens: Some(tokens),
                ..
            }) => reservation.settle(*tokens),
            Ok(Reply { tokens: None, .. }) => drop(reservation),
            Err(_) => reservation.settle(0),
        }
        reply.map(|reply| Reply { standing, ..reply })
    }
}

/// Asks one upstream after the other.
async fn ask(route: &Route, call: &UnaryCall) -> Result<Reply, Failure> {
    let mut targets = route.order().into_iter().peekable();
    loop {
        let Some(target) = targets.next() else {
            return Err(Failure::internal());
        };
        let mut attempt = target.health.begin();
        let answer = target.backend.reply(call).await.map_err(Failure::from);
        let reply = answer.and_then(|answer| {
            let json = checked(&answer.body)?;
            let usage = answer.body.facts.usage;
            Ok(Reply {
                headers: answer.headers,
                json,
                standing: None,
                tokens: usage.and_then(|at| {
                    let usage = serde_json::from_slice(&answer.body.json()[at.range()]).ok()?;
                    of_usage(&usage)
                }),
            })
        });
        match reply {
            Err(failure) => {
                if failure.is_upstreams() {
                    attempt.bad(failure.retry_after());
                }
                if targets.peek().is_none() || !failure.moves_on() {
                    return Err(failure);
                }
            }
            Ok(reply) => {
                attempt.good();
                return Ok(reply);
            }
        }
    }
}

/// The body as it came, but for a top-level `"error": null`; an error that is one is a failure.
fn checked(body: &Chunk) -> Result<Bytes, Failure> {
    if let Some(error) = body.facts.error {
        return Err(Failure::reported(&body.json()[error.range()]));
    }
    if body.facts.null_error.is_none() {
        return Ok(body.clone().into_json());
    }
    let facts = Facts {
        // The id names nothing of ours.
        id: None,
        ..body.facts
    };
    let mut json = BytesMut::with_capacity(body.json().len());
    facts.rewrite(&body.json(), "", None, &mut json);
    Ok(json.freeze())
}
