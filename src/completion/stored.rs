//! Completions that were asked to be kept (`store: true`), as OpenAI has them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    openai::{ChatRequest, Status, Usage},
    stream::{Id, Log, Owner},
};

/// The `[stored]` section of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredSettings {
    /// The most completions that are kept.
    pub max: usize,
    /// The most bytes that they may have together.
    pub max_bytes: usize,
    /// How long they are kept.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Ids under which there always is a completion, whatever is done to it.
    pub placeholders: Vec<String>,
}

/// The completions that are kept, in the order in which they ended.
#[derive(Debug)]
pub struct Stored {
    settings: StoredSettings,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    kept: VecDeque<Kept>,
    bytes: usize,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) id: Id,
    pub(super) owner: Owner,
    pub(super) model: String,
    /// As it is retrieved, but for the metadata.
    pub(super) completion: Map<String, Value>,
    /// What was asked.
    pub(super) messages: Vec<Value>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) bytes: usize,
    pub(super) since: Instant,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Behind the entry of this id.
    pub after: Option<String>,
    /// How many at most.
    pub limit: usize,
    /// Newest first.
    pub is_descending: bool,
}

impl Stored {
    /// Nothing kept yet.
    pub fn new(settings: StoredSettings) -> Self {
        Self {
            settings,
            shelf: Mutex::default(),
        }
    }

    /// Keeps one more; the oldest go when there are too many.
    pub(super) fn put(&self, kept: Kept) {
        let mut shelf = self.shelf();
        shelf.remove(|known| known.owner == kept.owner && known.id == kept.id);
        shelf.bytes += kept.bytes;
        shelf.kept.push_back(kept);
        while shelf.kept.len() > self.settings.max || shelf.bytes > self.settings.max_bytes {
            shelf.pop_oldest();
        }
    }

    /// One of them, as JSON.
    pub(super) fn get(&self, owner: Owner, id: &str) -> Option<Bytes> {
        self.with(owner, id, |kept| kept.view().to_string().into())
    }

    /// Gives one of them other labels; as it is then.
    pub(super) fn label(
        &self,
        owner: Owner,
        id: &str,
        metadata: BTreeMap<String, String>,
    ) -> Option<Bytes> {
        self.with(owner, id, |kept| {
            kept.metadata = metadata;
            kept.view().to_string().into()
        })
    }

    /// Forgets one of them; whether there was one.
    pub(super) fn remove(&self, owner: Owner, id: &str) -> bool {
        let is_it = |kept: &Kept| kept.owner == owner && kept.id.as_str() == id;
        self.shelf().remove(is_it) || self.is_placeholder(id)
    }

    /// Those of an owner, of a model and with labels where these are given, as OpenAI's list.
    /// `None` when `page.after` names none of them.
    pub(super) fn list(
        &self,
        owner: Owner,
        model: Option<&str>,
        metadata: &BTreeMap<String, String>,
        page: &Page,
    ) -> Option<Value> {
        let shelf = self.shelf();
        let has_labels = |kept: &Kept| {
            metadata
                .iter()
                .all(|(k, v)| kept.metadata.get(k) == Some(v))
        };
        let found = shelf.kept.iter().filter(|kept| {
            kept.owner == owner && model.is_none_or(|model| kept.model == model) && has_labels(kept)
        });
        paged(
            found.map(Kept::view).collect(),
            &self.without_placeholder(page),
        )
    }

    /// What was asked for one of them, as OpenAI's list. `None` when there is no such
    /// completion, or none of its messages is named by `page.after`.
    pub(super) fn messages(&self, owner: Owner, id: &str, page: &Page) -> Option<Value> {
        let messages = self.with(owner, id, |kept| {
            let named = kept.messages.iter().enumerate().map(|(at, message)| {
                let mut message = message.as_object().cloned().unwrap_or_default();
                message.insert("id".to_owned(), format!("{id}-{at}").into());
                Value::Object(message)
            });
            named.collect()
        })?;
        paged(messages, &self.without_placeholder(page))
    }

    fn with<T>(&self, owner: Owner, id: &str, show: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        let mut shelf = self.shelf();
        let mut kept = shelf.kept.iter_mut();
        let kept = kept.find(|kept| kept.owner == owner && kept.id.as_str() == id);
        match kept {
            Some(kept) => Some(show(kept)),
            None if self.is_placeholder(id) => Some(show(&mut Kept::placeholder(owner, id)?)),
            None => None,
        }
    }

    fn is_placeholder(&self, id: &str) -> bool {
        self.settings.placeholders.iter().any(|known| known == id)
    }

    /// Placeholders stand in no list: behind one of them is all that there is.
    fn without_placeholder(&self, page: &Page) -> Page {
        let after = page.after.clone();
        Page {
            after: after.filter(|after| !self.is_placeholder(after)),
            ..*page
        }
    }

    /// What is kept, without what has expired.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // The bytes are only a bound; a panic between the two changes leaves them too high.
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let has_expired = |kept: &Kept| kept.since.elapsed() >= self.settings.keep;
        while shelf.kept.front().is_some_and(has_expired) {
            shelf.pop_oldest();
        }
        shelf
    }
}

impl Shelf {
    fn pop_oldest(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.bytes -= oldest.bytes;
        }
    }

    fn remove(&mut self, is_it: impl Fn(&Kept) -> bool) -> bool {
        let Some(at) = self.kept.iter().position(is_it) else {
            return false;
        };
        if let Some(kept) = self.kept.remove(at) {
            self.bytes -= kept.bytes;
        }
        true
    }
}

impl Kept {
    /// A completion that has just ended, from what it shows and what was asked.
    pub(super) fn new(
        log: &Log,
        model: &str,
        request: &ChatRequest,
        view: &[u8],
    ) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Asked {
            messages: Vec<Value>,
        }
        let asked: Asked = serde_json::from_slice(request.body())?;
        Ok(Self {
            id: log.id().clone(),
            owner: log.owner(),
            model: model.to_owned(),
            completion: serde_json::from_slice(view)?,
            messages: asked.messages,
            metadata: request.params.metadata.clone().unwrap_or_default(),
            bytes: view.len() + request.body().len(),
            since: Instant::now(),
        })
    }

    /// What stands for a completion that nobody asked for.
    fn placeholder(owner: Owner, id: &str) -> Option<Self> {
        let completion = json!({
            "id": id,
            "object": "chat.completion",
            "created": 0,
            "model": "placeholder",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "", "refusal": null},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": Usage::new(0, 0),
            "status": Status::Completed,
        });
        Some(Self {
            id: Id::parse(id).ok()?,
            owner,
            model: "placeholder".to_owned(),
            completion: completion.as_object().cloned()?,
            messages: vec![json!({"role": "assistant", "content": "", "refusal": null})],
            metadata: BTreeMap::new(),
            bytes: 0,
            since: Instant::now(),
        })
    }

    fn view(&self) -> Value {
        let mut view = self.completion.clone();
        view.insert("metadata".to_owned(), json!(self.metadata));
        Value::Object(view)
    }
}

/// One page of a list, in OpenAI's form.
fn paged(mut all: Vec<Value>, page: &Page) -> Option<Value> {
    if page.is_descending {
        all.reverse();
    }
    let start = match &page.after {
        Some(after) => 1 + all.iter().position(|item| item["id"] == after[..])?,
        None => 0,
    };
    let rest = all.split_off(start);
    let has_more = rest.len() > page.limit;
    let data: Vec<Value> = rest.into_iter().take(page.limit).collect();
    let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
    Some(json!({
        "object": "list",
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": has_more,
        "data": data,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner([1; 16]);

    fn kept(n: u8, model: &str) -> Kept {
        let id = Id::new("id-", [n; 16]);
        let completion = json!({"id": id.as_str()});
        Kept {
            completion: completion.as_object().cloned().unwrap_or_default(),
            id,
            owner: OWNER,
            model: model.to_owned(),
            messages: vec![json!({"role": "user", "content": n})],
            metadata: BTreeMap::from([("n".to_owned(), n.to_string())]),
            bytes: 100,
            since: Instant::now(),
        }
    }

    fn stored() -> Stored {
        Stored::new(StoredSettings {
            max: 3,
            max_bytes: 1000,
            keep: Duration::from_secs(60),
            placeholders: vec!["always".to_owned()],
        })
    }

    fn page() -> Page {
        Page {
            limit: 20,
            ..Page::default()
        }
    }

    fn ids(list: &Value) -> Vec<u8> {
        let digits = |item: &Value| u8::from_str_radix(&item["id"].as_str()?[3..5], 16).ok();
        let items = list["data"].as_array().expect("a list");
        items
            .iter()
            .map(|item| digits(item).expect("an id"))
            .collect()
    }

    #[tokio::test]
    async fn a_list_is_filtered_ordered_and_paged() {
        let stored = stored();
        for (n, model) in [(1, "a"), (2, "b"), (3, "a")] {
            stored.put(kept(n, model));
        }
        let none = BTreeMap::new();
        let list = |model, labels: &_, page: &Page| {
            stored.list(OWNER, model, labels, page).expect("a page")
        };
        assert_eq!(ids(&list(None, &none, &page())), [1, 2, 3]);
        assert_eq!(ids(&list(Some("a"), &none, &page())), [1, 3]);
        assert_eq!(
            ids(&list(
                None,
                &BTreeMap::from([("n".into(), "2".into())]),
                &page()
            )),
            [2]
        );
        let descending = Page {
            is_descending: true,
            limit: 2,
            ..page()
        };
        let first = list(None, &none, &descending);
        assert_eq!(
            (ids(&first), &first["has_more"]),
            (vec![3, 2], &json!(true))
        );
        let after = first["last_id"].as_str().map(str::to_owned);
        let second = list(
            None,
            &none,
            &Page {
                after,
                ..descending
            },
        );
        assert_eq!(
            (ids(&second), &second["has_more"]),
            (vec![1], &json!(false))
        );
        let unknown = Page {
            after: Some("x".into()),
            ..page()
        };
        assert_eq!(stored.list(OWNER, None, &none, &unknown), None);
        assert_eq!(
            ids(&stored
                .list(Owner([2; 16]), None, &none, &page())
                .expect("a page")),
            [] as [u8; 0]
        );
    }

    #[tokio::test]
    async fn beyond_the_limit_of_number_or_bytes_the_oldest_goes() {
        let stored = stored();
        for n in 1..=4 {
            stored.put(kept(n, "a"));
        }
        let none = BTreeMap::new();
        assert_eq!(
            ids(&stored.list(OWNER, None, &none, &page()).expect("a page")),
            [2, 3, 4]
        );
        stored.put(Kept {
            bytes: 950,
            ..kept(5, "a")
        });
        assert_eq!(
            ids(&stored.list(OWNER, None, &none, &page()).expect("a page")),
            [5]
        );
    }

    #[tokio::test]
    async fn a_placeholder_is_always_there_and_in_no_list() {
        let stored = stored();
        stored.put(kept(1, "a"));
        for _ in 0..2 {
            assert!(stored.get(OWNER, "always").is_some());
            assert!(stored.remove(OWNER, "always"));
        }
        let after = Page {
            after: Some("always".to_owned()),
            ..page()
        };
        let all = stored.list(OWNER, None, &BTreeMap::new(), &after);
        assert_eq!(ids(&all.expect("a page")), [1]);
        assert!(stored.get(OWNER, "never").is_none() && !stored.remove(OWNER, "never"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_expires() {
        let stored = stored();
        stored.put(kept(1, "a"));
        let id = Id::new("id-", [1; 16]);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(stored.get(OWNER, id.as_str()).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(stored.get(OWNER, id.as_str()).is_none());
    }
}
