//! Requests that an upstream answers in one piece.

use reqwest::{Method, Request, Url};

use super::{Upstream, expect_type, read_body, whole};
use crate::{
    backend::{BackendError, Refusal, Task, UnaryAnswer, UnaryCall},
    openai::Destination,
};

impl Upstream {
    /// The upstream's own answer, its refusals included.
    pub(super) async fn reply(&self, call: &UnaryCall) -> Result<UnaryAnswer, BackendError> {
        let model = self.model.as_deref();
        let to = &Destination {
            model,
            fields: &self.fields,
            ..Destination::default()
        };
        let (method, url, body) = match &call.task {
            Task::Embed(request) => (
                Method::POST,
                self.url("/embeddings"),
                Some(request.upstream_body(to)),
            ),
            Task::Moderate(request) => (
                Method::POST,
                self.url("/moderations"),
                Some(request.upstream_body(to)),
            ),
            Task::DeleteModel(name) => {
                let name = model.unwrap_or(name);
                (Method::DELETE, self.model_url(name)?, None)
            }
        };
        let mut request = Request::new(method, url);
        *request.headers_mut() =
            self.request_headers(&call.headers, &call.credentials, "application/json");
        *request.body_mut() = body.map(Into::into);
        let (headers, response) = self.send(request, &call.credentials, None).await?;
        expect_type(&response, "application/json")?;
        let body = whole(read_body(response, self.max_whole_bytes).await?)?;
        Ok(UnaryAnswer { headers, body })
    }

    /// Where a model is. Its name is one segment there, slashes included, so that none leads
    /// anywhere else.
    fn model_url(&self, name: &str) -> Result<Url, BackendError> {
        let mut url = self.url("/models");
        // URLs take these for directions, however they are written.
        let is_direction = matches!(name, "." | "..");
        match url.path_segments_mut() {
            Ok(mut segments) if !is_direction => drop(segments.push(name)),
            Ok(_) | Err(()) => {
                return Err(BackendError::Refused(Refusal {
                    status: 404,
                    headers: Vec::new(),
                    envelope: None,
                    reason: Some(format!("no model can have the name `{name}`")),
                }));
            }
        }
        Ok(url)
    }
}
