//! The models that an upstream names, asked for now and then.

use std::{cell::RefCell, time::Duration};

use futures_util::FutureExt;
use reqwest::{Method, Request};
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{MAX_SIDE_BODY, Taped, Upstream, read_body, refused::refused, returned};
use crate::{backend::BackendError, openai::Model};

/// How long the list may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a failure stands for those who ask meanwhile, at most.
const FAILED: Duration = Duration::from_secs(1);

type Named = Result<Vec<Model>, BackendError>;

/// What one upstream has said, as one worker thread knows it.
pub(super) struct Catalog {
    ttl: Duration,
    // And until when it stands.
    said: RefCell<Option<(Named, Instant)>>,
    // One request at a time; who waits for it has its answer.
    turn: Semaphore,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    created: Option<u64>,
    #[serde(default)]
    owned_by: Option<String>,
}

impl Catalog {
    /// Nothing is known; what will be stands for `ttl`.
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            said: RefCell::new(None),
            turn: Semaphore::new(1),
        }
    }

    fn known(&self) -> Option<Named> {
        let said = self.said.borrow();
        let (named, until) = said.as_ref()?;
        (Instant::now() < *until).then(|| named.clone())
    }

    /// What is known, or what `ask` says.
    async fn get(&self, ask: impl Future<Output = Named>) -> Named {
        if let Some(known) = self.known() {
            return known;
        }
        // Closed by nobody.
        let _turn = self.turn.acquire().await;
        if let Some(known) = self.known() {
            return known;
        }
        let named = ask.await;
        let stands = match &named {
            Ok(_) => self.ttl,
            Err(_) => self.ttl.min(FAILED),
        };
        *self.said.borrow_mut() = Some((named.clone(), Instant::now() + stands));
        named
    }
}

impl Upstream {
    /// The models that it names; none if it is not to be asked.
    pub(super) async fn list(&self) -> Named {
        match &self.catalog {
            Some(catalog) => {
                let asking = timeout(TIMEOUT, self.ask_for_models());
                let late = |_| {
                    Err(BackendError::Unreachable(
                        "its list takes too long".to_owned(),
                    ))
                };
                catalog
                    .get(asking.map(|asked| asked.unwrap_or_else(late)))
                    .await
            }
            None => Ok(Vec::new()),
        }
    }

    async fn ask_for_models(&self) -> Named {
        let mut request = Request::new(Method::GET, self.url("/models"));
        request.headers_mut().clone_from(&self.headers);
        let response = Taped::new(self.head(request).await?, None);
        if !response.status().is_success() {
            let headers = returned(response.headers());
            return Err(refused(response, headers, true).await);
        }
        let body = read_body(response, MAX_SIDE_BODY).await?;
        let list: List = serde_json::from_slice(&body)
            .map_err(|error| BackendError::Malformed(format!("its list of models: {error}")))?;
        let model = |entry: Entry| Model {
            created: entry.created.unwrap_or_default(),
            owned_by: entry.owned_by.unwrap_or_default(),
            ..Model::new(&entry.id)
        };
        Ok(list.data.into_iter().map(model).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_at_once_have_one_answer_and_it_grows_old() {
        let (catalog, asked) = (Catalog::new(TTL), Cell::new(0));
        let ask = || async {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            Ok(vec![Model::new("m")])
        };
        for times in 1..3 {
            let all = join_all((0..10).map(|_| catalog.get(ask()))).await;
            assert!(
                all.iter()
                    .all(|named| named.as_ref().is_ok_and(|m| m.len() == 1))
            );
            tokio::time::advance(TTL - Duration::from_millis(1)).await;
            assert!(catalog.get(ask()).await.is_ok());
            assert_eq!(asked.get(), times);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_those_who_wait_and_soon_forgotten() {
        let (catalog, asked) = (Catalog::new(TTL), Cell::new(0));
        let ask = || async {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            Err(BackendError::Auth)
        };
        let all = join_all((0..10).map(|_| catalog.get(ask()))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(asked.get(), 1);
        tokio::time::advance(FAILED).await;
        assert!(catalog.get(ask()).await.is_err());
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_while_asking_leaves_the_turn_to_the_next() {
        let catalog = Catalog::new(TTL);
        {
            let never = catalog.get(std::future::pending());
            let late = tokio::time::timeout(Duration::from_secs(1), never).await;
            assert!(late.is_err());
        }
        let named = catalog.get(async { Ok(vec![Model::new("m")]) }).await;
        assert!(named.is_ok_and(|models| models.len() == 1));
    }
}
