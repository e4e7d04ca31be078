//! Requests that an upstream answers in one piece.

use reqwest::{
    Url,
    header::{ACCEPT, CONTENT_TYPE},
};

use super::{Upstream, chunk, expect_type, read_body};
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
        let request = match &call.task {
            Task::Embed(request) => self
                .client
                .post(self.url("/embeddings"))
                .body(request.upstream_body(to)),
            Task::Moderate(request) => self
                .client
                .post(self.url("/moderations"))
                .body(request.upstream_body(to)),
            Task::DeleteModel(name) => {
                let name = model.unwrap_or(name);
                self.client.delete(self.model_url(name)?)
            }
        };
        let request = request
            .headers(self.request_headers(&call.headers, &call.credentials))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        let (headers, response) = self.send(request, &call.credentials, None).await?;
        expect_type(&response, "application/json")?;
        let body = chunk(read_body(response, self.max_whole_bytes).await?)?;
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
