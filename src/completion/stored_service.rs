//! What can be done with completions that are kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::{Code, Failure, Page, Picked, Service, follow};
use crate::stream::{Id, Owner};

impl Service {
    /// The owner's kept completions that are picked.
    ///
    /// # Errors
    /// [`Code::NotFound`] when the page begins behind one that is not among them,
    /// [`Code::Overloaded`] when what nodes share cannot be reached.
    pub async fn list_stored(
        &self,
        owner: Owner,
        picked: &Picked,
        page: &Page,
    ) -> Result<Value, Failure> {
        let list = self.shared.stored.list(owner, picked, page).await?;
        list.ok_or_else(|| follow::not_found(page.after.as_deref().unwrap_or_default()))
    }

    /// What was asked for a kept completion.
    ///
    /// # Errors
    /// [`Code::NotStored`] when it is not kept, or the page begins behind no message of it;
    /// [`Code::Overloaded`] when what nodes share cannot be reached.
    pub async fn stored_messages(
        &self,
        owner: Owner,
        id: &str,
        page: &Page,
    ) -> Result<Value, Failure> {
        let messages = self.shared.stored.messages(owner, id, page).await?;
        messages.ok_or_else(|| not_stored(id))
    }

    /// Gives a kept completion other labels.
    ///
    /// # Errors
    /// [`Code::NotStored`] when it is not kept, [`Code::Overloaded`] when what nodes share
    /// cannot be reached.
    pub async fn label_stored(
        &self,
        owner: Owner,
        id: &str,
        metadata: BTreeMap<String, String>,
    ) -> Result<Bytes, Failure> {
        let labelled = self.shared.stored.label(owner, id, metadata).await?;
        labelled.ok_or_else(|| not_stored(id))
    }

    /// Forgets a completion, kept or not; one under way is cancelled first.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none, [`Code::Overloaded`] when what nodes share cannot
    /// be reached: it may be asked for again.
    pub async fn delete(&self, owner: Owner, id: &str) -> Result<(), Failure> {
        let log = self.find(owner, id).await;
        if let Ok(log) = &log {
            follow::stop(log).await;
        }
        // Kept before its end, so it is there after the stop, if it will ever be.
        let was_stored = self.shared.stored.remove(owner, id).await?;
        match (log, Id::parse(id)) {
            (Ok(_), Ok(id)) => {
                let removed = self.shared.store.remove(owner, &id).await;
                removed.map_err(Failure::from)
            }
            (Ok(_) | Err(_), _) if was_stored => Ok(()),
            (Err(failure), _) => Err(failure),
            (Ok(_), Err(_)) => Err(follow::not_found(id)),
        }
    }
}

fn not_stored(id: &str) -> Failure {
    let message = format!("`{id}` is not a stored completion; ask for it with `store: true`.");
    Failure::new(Code::NotStored, message)
}
