//! Idempotency keys: the same request twice is one completion.
//!
//! A claim says which completion a key stands for, and nothing more. Whether it still counts is
//! read from that completion's log, so a key is free again whatever became of the node that
//! claimed it. Start at [`Claims::put`].

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    openai::scan,
    sse::Decoder,
    stream::{End, Event, Id, Kind, Log, Owner, Record, Shelf, StoreError},
};

/// The length of a SHA-256 digest, in bytes.
const DIGEST: usize = 32;

/// The keys that are in use.
pub struct Claims {
    shelf: Arc<dyn Shelf>,
    own: Option<Arc<dyn Shelf>>,
}

/// A key and the request that it came with, as digests that tell nothing of either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) owner: Owner,
    name: Id,
    body: [u8; DIGEST],
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    /// The completion.
    pub(super) id: Id,
    /// It is of the same request.
    pub(super) is_same: bool,
    head: Bytes,
}

impl Claims {
    /// The keys on a shelf. Where it cannot be reached, they are kept on this node's `own`, if
    /// there is one, and count for this node alone.
    pub fn new(shelf: Arc<dyn Shelf>, own: Option<Arc<dyn Shelf>>) -> Self {
        Self { shelf, own }
    }

    /// What a key stands for, if for anything.
    pub(super) async fn get(&self, claim: &Claim) -> Result<Option<Claimed>, StoreError> {
        let found = self.shelf.get(claim.owner, &claim.name).await;
        let found = match (found, &self.own) {
            (Ok(None) | Err(_), Some(own)) => own.get(claim.owner, &claim.name).await,
            (found, _) => found,
        };
        claim.read(found?)
    }

    /// Takes a key for a completion, unless it stands for one, which is returned.
    pub(super) async fn put(&self, claim: &Claim, id: &Id) -> Result<Option<Claimed>, StoreError> {
        let head = Bytes::from([&claim.body, id.as_str().as_bytes()].concat());
        let put = |shelf: &Arc<dyn Shelf>| {
            let (shelf, head) = (Arc::clone(shelf), head.clone());
            async move {
                let (owner, name) = (claim.owner, &claim.name);
                shelf.put(owner, name, head, Bytes::new()).await
            }
        };
        let there = match (put(&self.shelf).await, &self.own) {
            (Err(_), Some(own)) => put(own).await,
            (there, _) => there,
        };
        claim.read(there?)
    }

    /// Frees a key, if it still stands for that completion.
    pub(super) async fn free(&self, claim: &Claim, claimed: &Claimed) -> Result<(), StoreError> {
        let head = || Some(claimed.head.clone());
        let freed = self.shelf.remove(claim.owner, &claim.name, head()).await;
        let freed = match &self.own {
            Some(own) => own.remove(claim.owner, &claim.name, head()).await,
            None => freed,
        };
        freed.map(drop)
    }
}

impl Claim {
    /// The claim of a request with this key, under a path, and body.
    pub(super) fn new(owner: Owner, (path, key): (&str, &str), body: &[u8]) -> Self {
        let digest = |parts: &[&[u8]]| {
            // The owner is a keyed digest: nothing that is guessed can be looked up with it.
            let mut digest = Sha256::new_with_prefix(owner.0);
            parts.iter().for_each(|part| digest.update(part));
            <[u8; DIGEST]>::from(digest.finalize())
        };
        let mut name = [0; 16];
        name.copy_from_slice(&digest(&[path.as_bytes(), b"\0", key.as_bytes()])[..16]);
        Self {
            owner,
            name: Id::new("", name),
            body: digest(&[body]),
        }
    }

    fn read(&self, record: Option<Record>) -> Result<Option<Claimed>, StoreError> {
        let Some(record) = record else {
            return Ok(None);
        };
        let (body, id) = record.head.split_at_checked(DIGEST).unwrap_or_default();
        let id = std::str::from_utf8(id)
            .ok()
            .and_then(|id| Id::parse(id).ok());
        Ok(Some(Claimed {
            // What another version wrote is nothing that could be looked up.
            id: id.ok_or(StoreError::Unavailable)?,
            is_same: body == self.body,
            head: record.head,
        }))
    }
}

/// Whether a log failed before it said anything, so that its key is free again.
pub(super) fn is_void(log: &Log) -> bool {
    match log.end() {
        None | Some(End::Completed) => false,
        Some(End::Failed(_) | End::Cancelled) => {
            let (events, _) = log.snapshot();
            !events.iter().any(has_content)
        }
    }
}

fn has_content(event: &Event) -> bool {
    match event.kind {
        Kind::Whole => true,
        Kind::Usage | Kind::Failure | Kind::Done => false,
        Kind::Chunk => {
            let mut decoder = Decoder::new(event.frame.len());
            decoder.push(event.frame.to_bytes());
            let facts = decoder.next().and_then(Result::ok);
            let facts = facts.and_then(|event| scan(&event.data).ok());
            facts.is_some_and(|facts| facts.has_content)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stream::{Listed, MemoryShelf, Range, ShelfLimits, StoreFuture};

    const OWNER: Owner = Owner([1; 16]);

    fn shelf(max: usize) -> Arc<dyn Shelf> {
        Arc::new(MemoryShelf::new(ShelfLimits {
            max,
            max_bytes: usize::MAX,
            keep: Duration::from_secs(60),
        }))
    }

    fn claim(owner: Owner, key: &str, body: &str) -> Claim {
        Claim::new(owner, ("/path", key), body.as_bytes())
    }

    fn id(n: u8) -> Id {
        Id::new("id-", [n; 16])
    }

    /// A shelf that cannot be reached.
    struct Away;

    impl Shelf for Away {
        fn put<'a>(
            &'a self,
            _: Owner,
            _: &'a Id,
            _: Bytes,
            _: Bytes,
        ) -> StoreFuture<'a, Option<Record>> {
            Box::pin(async { Err(StoreError::Unavailable) })
        }

        fn get<'a>(&'a self, _: Owner, _: &'a Id) -> StoreFuture<'a, Option<Record>> {
            Box::pin(async { Err(StoreError::Unavailable) })
        }

        fn replace<'a>(&'a self, _: Owner, _: &'a Id, _: Bytes) -> StoreFuture<'a, Option<Record>> {
            Box::pin(async { Err(StoreError::Unavailable) })
        }

        fn remove<'a>(&'a self, _: Owner, _: &'a Id, _: Option<Bytes>) -> StoreFuture<'a, bool> {
            Box::pin(async { Err(StoreError::Unavailable) })
        }

        fn list(&self, _: Owner, _: Range) -> StoreFuture<'_, Listed> {
            Box::pin(async { Err(StoreError::Unavailable) })
        }
    }

    #[tokio::test]
    async fn a_key_is_of_one_owner_and_one_body() {
        let claims = Claims::new(shelf(9), None);
        let mine = claim(OWNER, "k", "a");
        assert_eq!(claims.put(&mine, &id(1)).await, Ok(None));
        let found = async |claim: &Claim| {
            let found = claims.get(claim).await.expect("an answer");
            found.map(|claimed| (claimed.id, claimed.is_same))
        };
        assert_eq!(found(&mine).await, Some((id(1), true)));
        assert_eq!(found(&claim(OWNER, "k", "b")).await, Some((id(1), false)));
        assert_eq!(found(&claim(Owner([2; 16]), "k", "a")).await, None);
        assert_eq!(found(&claim(OWNER, "l", "a")).await, None);
        let first = claims.put(&mine, &id(2)).await.expect("an answer");
        assert_eq!(first.map(|claimed| claimed.id), Some(id(1)));
    }

    #[tokio::test]
    async fn only_the_claim_that_is_meant_is_freed() {
        let claims = Claims::new(shelf(9), None);
        let (mine, theirs) = (claim(OWNER, "k", "a"), claim(OWNER, "k", "b"));
        let get = async || claims.get(&theirs).await.expect("an answer");
        assert_eq!(claims.put(&mine, &id(1)).await, Ok(None));
        let stale = get().await.expect("a claim");
        assert_eq!(claims.free(&mine, &stale).await, Ok(()));
        assert_eq!(get().await, None);
        assert_eq!(claims.put(&theirs, &id(2)).await, Ok(None));
        assert_eq!(claims.free(&mine, &stale).await, Ok(()));
        assert_eq!(get().await.map(|claimed| claimed.id), Some(id(2)));
    }

    #[tokio::test]
    async fn a_shelf_that_cannot_be_reached_is_stood_in_for_only_where_that_is_wanted() {
        let mine = claim(OWNER, "k", "a");
        let strict = Claims::new(Arc::new(Away), None);
        assert_eq!(strict.get(&mine).await, Err(StoreError::Unavailable));
        let put = strict.put(&mine, &id(1)).await;
        assert_eq!(put, Err(StoreError::Unavailable));
        let own = shelf(9);
        let tolerant = Claims::new(Arc::new(Away), Some(Arc::clone(&own)));
        assert_eq!(tolerant.get(&mine).await, Ok(None));
        assert_eq!(tolerant.put(&mine, &id(1)).await, Ok(None));
        let back = Claims::new(shelf(9), Some(own));
        let found = back.get(&mine).await.expect("an answer");
        assert_eq!(found.map(|claimed| claimed.id), Some(id(1)));
    }

    #[test]
    fn digests_tell_nothing_and_do_not_run_together() {
        let of = |path, key| Claim::new(OWNER, (path, key), b"").name;
        assert_ne!(of("/a", "b"), of("/ab", ""));
        let claim = format!("{:?}", claim(OWNER, "secret-key", "secret-body"));
        assert!(!claim.contains("secret"), "{claim}");
    }
}
