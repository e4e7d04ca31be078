//! Completions that were asked to be kept (`store: true`), as OpenAI has them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Failure, placeholders::Placeholders};
use crate::{
    openai::ChatRequest,
    stream::{Id, Log, Owner, Range, Record, Shelf, ShelfLimits, StoreError},
};

/// How many heads are looked through at once.
const PART: usize = 200;

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
pub struct Stored {
    shelf: Arc<dyn Shelf>,
    placeholders: Placeholders,
}

/// One that is to be kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    id: Id,
    owner: Owner,
    head: Bytes,
    body: Bytes,
}

/// What completions are picked by, and what of them may be changed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Head {
    model: String,
    metadata: BTreeMap<String, String>,
}

/// What stays as it is.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    /// As it is retrieved, but for the metadata.
    completion: Map<String, Value>,
    /// What was asked.
    messages: Vec<Value>,
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

/// Which completions are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picked {
    /// Only those of this model.
    pub model: Option<String>,
    /// Only those with these labels.
    pub metadata: BTreeMap<String, String>,
}

impl StoredSettings {
    /// What the shelf of these completions may hold.
    pub fn limits(&self) -> ShelfLimits {
        ShelfLimits {
            max: self.max,
            max_bytes: self.max_bytes,
            keep: self.keep,
        }
    }
}

impl Stored {
    /// The completions on a shelf.
    pub fn new(shelf: Arc<dyn Shelf>) -> Self {
        Self {
            shelf,
            placeholders: Placeholders::default(),
        }
    }

    /// With completions that always are there, under these ids.
    pub fn with_placeholders(mut self, ids: &[String]) -> Self {
        self.placeholders = Placeholders::new(ids);
        self
    }

    /// Keeps one more, in place of another of its id.
    pub(super) async fn put(&self, kept: &Kept) -> Result<(), StoreError> {
        if !self.put_new(kept).await? {
            self.shelf.remove(kept.owner, &kept.id, None).await?;
            self.put_new(kept).await?;
        }
        Ok(())
    }

    /// Keeps one more unless there is one of its id; whether there was none.
    pub(super) async fn put_new(&self, kept: &Kept) -> Result<bool, StoreError> {
        let (head, body) = (kept.head.clone(), kept.body.clone());
        let there = self.shelf.put(kept.owner, &kept.id, head, body).await?;
        Ok(there.is_none())
    }

    /// One of them, as JSON.
    pub(super) async fn get(&self, owner: Owner, id: &str) -> Result<Option<Bytes>, Failure> {
        let record = self.record(owner, id).await?;
        record.map(|record| as_json(&record)).transpose()
    }

    /// Gives one of them other labels; as it is then.
    pub(super) async fn label(
        &self,
        owner: Owner,
        id: &str,
        metadata: BTreeMap<String, String>,
    ) -> Result<Option<Bytes>, Failure> {
        let (Some(record), Ok(id)) = (self.record(owner, id).await?, Id::parse(id)) else {
            return Ok(None);
        };
        let is_placeholder = self.placeholders.has(id.as_str());
        // Of what may change, labels are all, and they are replaced whole: nobody's are mixed.
        let Head { model, .. } = read(&record.head)?;
        let head = write(&Head { model, metadata })?;
        if is_placeholder {
            return as_json(&Record { head, ..record }).map(Some);
        }
        let labelled = self.shelf.replace(owner, &id, head).await?;
        labelled.map(|record| as_json(&record)).transpose()
    }

    /// Forgets one of them; whether there was one.
    pub(super) async fn remove(&self, owner: Owner, id: &str) -> Result<bool, StoreError> {
        match Id::parse(id) {
            Ok(id) if self.placeholders.has(id.as_str()) => Ok(true),
            Ok(id) => self.shelf.remove(owner, &id, None).await,
            Err(_) => Ok(false),
        }
    }

    /// Those of an owner that are picked, as OpenAI's list. `None` when `page.after` names none
    /// of them.
    pub(super) async fn list(
        &self,
        owner: Owner,
        picked: &Picked,
        page: &Page,
    ) -> Result<Option<Value>, Failure> {
        let mut after = None;
        // Placeholders are in no list: behind one of them is all that there is.
        if let Some(id) = &page.after
            && !self.placeholders.has(id)
        {
            let record = self.record(owner, id).await?;
            let Some(record) = record.filter(|record| picked.has(&record.head)) else {
                return Ok(None);
            };
            after = Some(record.place);
        }
        let mut ids = Vec::new();
        loop {
            let range = Range {
                after,
                is_descending: page.is_descending,
                count: PART,
            };
            let part = self.shelf.list(owner, range).await?;
            let found = part
                .entries
                .into_iter()
                .filter(|(_, head)| picked.has(head));
            ids.extend(found.map(|(id, _)| id));
            after = part.next;
            if after.is_none() || ids.len() > page.limit {
                break;
            }
        }
        let has_more = ids.len() > page.limit;
        ids.truncate(page.limit);
        let records = try_join_all(ids.iter().map(|id| self.shelf.get(owner, id))).await?;
        // One that was deleted meanwhile is left out.
        let data = records.iter().flatten().map(view);
        Ok(Some(listed(data.collect::<Result<_, _>>()?, has_more)))
    }

    /// What was asked for one of them, as OpenAI's list. `None` when there is no such
    /// completion, or none of its messages is named by `page.after`.
    pub(super) async fn messages(
        &self,
        owner: Owner,
        id: &str,
        page: &Page,
    ) -> Result<Option<Value>, Failure> {
        let Some(record) = self.record(owner, id).await? else {
            return Ok(None);
        };
        let body: Body = read(&record.body)?;
        let named = body.messages.into_iter().enumerate().map(|(at, message)| {
            let mut message = message.as_object().cloned().unwrap_or_default();
            message.insert("id".to_owned(), format!("{id}-{at}").into());
            Value::Object(message)
        });
        let after = page.after.clone();
        let page = Page {
            after: after.filter(|after| !self.placeholders.has(after)),
            ..*page
        };
        Ok(paged(named.collect(), &page))
    }

    async fn record(&self, owner: Owner, id: &str) -> Result<Option<Record>, StoreError> {
        if self.placeholders.has(id) {
            return Ok(Some(self.placeholders.record(id)));
        }
        match Id::parse(id) {
            Ok(id) => self.shelf.get(owner, &id).await,
            Err(_) => Ok(None),
        }
    }
}

impl Picked {
    /// Whether a completion with this head is among them.
    fn has(&self, head: &[u8]) -> bool {
        let Ok(head) = serde_json::from_slice::<Head>(head) else {
            return false;
        };
        let mut labels = self.metadata.iter();
        self.model.as_ref().is_none_or(|model| *model == head.model)
            && labels.all(|(key, value)| head.metadata.get(key) == Some(value))
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
        let head = Head {
            model: model.to_owned(),
            metadata: request.params.metadata.clone().unwrap_or_default(),
        };
        let body = Body {
            completion: serde_json::from_slice(view)?,
            messages: asked.messages,
        };
        Ok(Self {
            id: log.id().clone(),
            owner: log.owner(),
            head: serde_json::to_vec(&head)?.into(),
            body: serde_json::to_vec(&body)?.into(),
        })
    }
}

/// A completion as it is retrieved.
fn view(record: &Record) -> Result<Value, Failure> {
    let (head, body): (Head, Body) = (read(&record.head)?, read(&record.body)?);
    let mut view = body.completion;
    view.insert("metadata".to_owned(), json!(head.metadata));
    Ok(Value::Object(view))
}

fn as_json(record: &Record) -> Result<Bytes, Failure> {
    Ok(view(record)?.to_string().into())
}

/// What we wrote ourselves.
fn read<T: for<'a> Deserialize<'a>>(json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|_| Failure::internal())
}

fn write(head: &Head) -> Result<Bytes, Failure> {
    let json = serde_json::to_vec(head);
    json.map(Bytes::from).map_err(|_| Failure::internal())
}

/// One page of a list.
fn paged(mut all: Vec<Value>, page: &Page) -> Option<Value> {
    if page.is_descending {
        all.reverse();
    }
    let start = match &page.after {
        Some(after) => 1 + all.iter().position(|item| item["id"] == after[..])?,
        None => 0,
    };
    let mut data = all.split_off(start);
    let has_more = data.len() > page.limit;
    data.truncate(page.limit);
    Some(listed(data, has_more))
}

/// A page in OpenAI's form.
fn listed(data: Vec<Value>, has_more: bool) -> Value {
    let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
    json!({
        "object": "list",
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": has_more,
        "data": data,
    })
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
