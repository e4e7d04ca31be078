//! A completion as far as it has come.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::{About, Failure, fold::fold, fold::parse};
use crate::{
    openai::Status,
    stream::{End, Event, Kind, Log},
};

/// Logs up to this size are folded where they are; larger ones would hold up other streams.
const INLINE_BYTES: usize = 128 * 1024;

/// The completion of a log as JSON: what has been said, its `status`, usage and attempts, and
/// the error if it failed.
///
/// # Errors
/// [`Failure`] when a chunk is not what it seemed.
pub(super) async fn describe(log: Arc<Log>) -> Result<Bytes, Failure> {
    describe_at(log, None).await
}

/// The same of a log that is about to end so.
///
/// # Errors
/// Those of [`describe`].
pub(super) async fn describe_at(log: Arc<Log>, end: Option<End>) -> Result<Bytes, Failure> {
    if log.bytes() <= INLINE_BYTES {
        return render(&log, end);
    }
    let rendered = spawn_blocking(move || render(&log, end)).await;
    rendered.unwrap_or_else(|_| Err(Failure::internal()))
}

fn render(log: &Log, end: Option<End>) -> Result<Bytes, Failure> {
    let about = About::of(log)?;
    let (events, ended) = log.snapshot();
    let end = ended.or(end);
    let folded = fold(&events, about.form, None).map_err(|error| error.failure())?;
    let Value::Object(folded) = folded else {
        return Err(Failure::internal());
    };
    // What a completion that has said nothing yet is known by.
    let mut view = Map::new();
    view.insert("id".to_owned(), log.id().as_str().into());
    view.insert("object".to_owned(), about.form.object().into());
    view.insert("created".to_owned(), about.created.into());
    view.insert("model".to_owned(), about.model.into());
    view.extend(folded);
    view.insert("status".to_owned(), json!(status(&events, end.as_ref())));
    if let Some(Value::Object(aside)) = log.aside().and_then(|b| serde_json::from_slice(&b).ok()) {
        view.extend(aside);
    }
    if let Some(failure) = events.iter().find(|event| event.kind == Kind::Failure)
        && let Some(error) = parse(failure).ok().and_then(|mut f| f.remove("error"))
    {
        view.insert("error".to_owned(), error);
    }
    Ok(Value::Object(view).to_string().into())
}

fn status(events: &[Event], end: Option<&End>) -> Status {
    match end {
        Some(End::Completed) => Status::Completed,
        Some(End::Failed(_)) => Status::Failed,
        Some(End::Cancelled) => Status::Cancelled,
        None if events.is_empty() => Status::Queued,
        None => Status::InProgress,
    }
}
