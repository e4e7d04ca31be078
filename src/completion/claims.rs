//! Idempotency keys: the same request twice is one completion.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::stream::{Id, Owner};

type Name = (Owner, String);

/// The keys that are in use, oldest first out when there are too many.
#[derive(Debug)]
pub struct Claims {
    max: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Name, Entry>,
    order: VecDeque<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    body: [u8; 32],
    id: Id,
}

/// What a key is found to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The key of this very request, which is this completion.
    Same(Id),
    /// The key of another request.
    Other,
}

/// A key that was taken; it is freed again unless it is kept.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    name: Name,
    id: Id,
    is_kept: bool,
}

impl Claims {
    /// No keys yet, `max` at most.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            table: Mutex::default(),
        }
    }

    /// What is known of a key for a request with this body.
    pub(super) fn get(&self, owner: Owner, key: &str, body: &[u8]) -> Option<Known> {
        let table = self.lock();
        let entry = table.entries.get(&(owner, key.to_owned()))?;
        Some(entry.known_for(body))
    }

    /// Takes a key for a completion, unless somebody has been faster.
    pub(super) fn take(
        self: &Arc<Self>,
        owner: Owner,
        key: &str,
        body: &[u8],
        id: &Id,
    ) -> Result<Claim, Known> {
        let name = (owner, key.to_owned());
        let mut table = self.lock();
        if let Some(entry) = table.entries.get(&name) {
            return Err(entry.known_for(body));
        }
        let entry = Entry {
            body: Sha256::digest(body).into(),
            id: id.clone(),
        };
        table.entries.insert(name.clone(), entry);
        table.order.push_back(name.clone());
        while table.order.len() > self.max {
            if let Some(oldest) = table.order.pop_front() {
                table.entries.remove(&oldest);
            }
        }
        Ok(Claim {
            claims: Arc::clone(self),
            name,
            id: id.clone(),
            is_kept: false,
        })
    }

    /// Frees a key whose completion is gone.
    pub(super) fn free(&self, owner: Owner, key: &str, id: &Id) {
        self.lock().remove(&(owner, key.to_owned()), id);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Both collections are changed together by code that cannot panic between.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn known_for(&self, body: &[u8]) -> Known {
        if self.body == Sha256::digest(body)[..] {
            return Known::Same(self.id.clone());
        }
        Known::Other
    }
}

impl Table {
    fn remove(&mut self, name: &Name, id: &Id) {
        if self.entries.get(name).is_some_and(|entry| entry.id == *id) {
            self.entries.remove(name);
            self.order.retain(|known| known != name);
        }
    }
}

impl Claim {
    /// The key stays taken: the completion has begun to answer.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_kept {
            self.claims.lock().remove(&self.name, &self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner([1; 16]);

    fn id(n: u8) -> Id {
        Id::new("id-", [n; 16])
    }

    #[test]
    fn a_key_is_of_one_owner_and_one_body() {
        let claims = Arc::new(Claims::new(9));
        claims.take(OWNER, "k", b"a", &id(1)).expect("free").keep();
        assert_eq!(claims.get(OWNER, "k", b"a"), Some(Known::Same(id(1))));
        assert_eq!(claims.get(OWNER, "k", b"b"), Some(Known::Other));
        assert_eq!(claims.get(Owner([2; 16]), "k", b"a"), None);
        let faster = claims.take(OWNER, "k", b"a", &id(2)).expect_err("taken");
        assert_eq!(faster, Known::Same(id(1)));
    }

    #[test]
    fn a_claim_that_is_not_kept_frees_its_key_and_no_other() {
        let claims = Arc::new(Claims::new(9));
        let claim = claims.take(OWNER, "k", b"a", &id(1)).expect("free");
        claims.free(OWNER, "k", &id(1));
        claims.take(OWNER, "k", b"b", &id(2)).expect("free").keep();
        drop(claim);
        assert_eq!(claims.get(OWNER, "k", b"b"), Some(Known::Same(id(2))));
        drop(claims.take(OWNER, "l", b"a", &id(3)).expect("free"));
        assert_eq!(claims.get(OWNER, "l", b"a"), None);
    }

    #[test]
    fn beyond_the_limit_the_oldest_key_is_freed() {
        let claims = Arc::new(Claims::new(2));
        for (n, key) in (0..).zip(["a", "b", "c"]) {
            claims.take(OWNER, key, b"", &id(n)).expect("free").keep();
        }
        assert_eq!(claims.get(OWNER, "a", b""), None);
        assert!(claims.get(OWNER, "b", b"").is_some());
    }
}
