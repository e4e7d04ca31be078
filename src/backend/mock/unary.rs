//! The mock's answers in one piece: functions of the request alone.

use serde::Serialize;

use super::{Mock, embeddings::embed, moderations::moderate};
use crate::{
    backend::{BackendError, Chunk, Refusal, Task, UnaryAnswer},
    openai::{ErrorEnvelope, ModelDeleted, scan},
};

/// The answer to a task.
///
/// # Errors
/// [`BackendError::Refused`] for more than a model takes.
pub(super) async fn reply(mock: &Mock, task: &Task) -> Result<UnaryAnswer, BackendError> {
    match task {
        Task::Embed(request) => answer(&embed(mock, &request.params).await?),
        Task::Moderate(request) => answer(&moderate(mock, &request.params, request.body())),
        // There is a model of every name; it is none the less there afterwards.
        Task::DeleteModel(name) => answer(&ModelDeleted {
            id: name.clone(),
            object: "model",
            deleted: true,
        }),
    }
}

fn answer(body: &impl Serialize) -> Result<UnaryAnswer, BackendError> {
    let json = serde_json::to_vec(body).map_err(internal)?;
    let facts = scan(&json).map_err(internal)?;
    let json = json.into();
    Ok(UnaryAnswer {
        headers: Vec::new(),
        body: Chunk::new(json, facts),
    })
}

/// What a model says to a request that asks for more than it has.
pub(super) fn refusal(param: &str, message: String) -> BackendError {
    let param = Some(param.to_owned());
    let envelope = ErrorEnvelope::new("invalid_request_error", message, param, None);
    BackendError::Refused(Refusal {
        status: 400,
        headers: Vec::new(),
        envelope: Some(envelope.to_json().into()),
        reason: None,
    })
}

/// A fault of ours.
pub(super) fn internal(error: impl std::fmt::Display) -> BackendError {
    BackendError::Internal(error.to_string())
}
