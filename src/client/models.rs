//! Which models a server has.

use std::time::Duration;

use serde::Deserialize;

use super::{Client, Fault, chunk::error_message};

const PATH: &str = "/v1/models";
const WITHIN: Duration = Duration::from_secs(30);
const OK: u16 = 200;

impl Client {
    /// The names of the server's models, in its order.
    ///
    /// # Errors
    /// [`Fault`] where it does not tell.
    pub async fn models(&self) -> Result<Vec<String>, Fault> {
        let reply = self.get(PATH, WITHIN).await?;
        if reply.status != OK {
            let said = error_message(&reply.body);
            return Err(Fault::Refused {
                status: reply.status,
                message: said.unwrap_or_else(|| "it does not list its models".to_owned()),
            });
        }
        let list: List = serde_json::from_slice(&reply.body)?;
        Ok(list.data.into_iter().map(|model| model.id).collect())
    }
}

#[derive(Deserialize)]
struct List {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}
