//! Answers that have ended well: which source has the answer to a request, and until when.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::fingerprint::{DIGEST, Fingerprint};
use crate::stream::{Id, Shelf};

/// Milliseconds since 1970 as they are written.
const EXPIRY: usize = 8;

/// Names on a shelf, which bounds their number. The answers themselves are logs.
pub(super) struct Answers(Arc<dyn Shelf>);

impl Answers {
    pub(super) fn new(shelf: Arc<dyn Shelf>) -> Self {
        Self(shelf)
    }

    /// The source that has the answer. A shelf that cannot be reached has none: nobody fails for it.
    pub(super) async fn get(&self, print: &Fingerprint) -> Option<Id> {
        let record = self.0.get(print.owner, &print.name()).await.ok()??;
        let (digest, rest) = record.head.split_at_checked(DIGEST)?;
        let (expiry, id) = rest.split_first_chunk::<EXPIRY>()?;
        // The name is a part of the digest.
        let is_it = digest == print.digest && now_ms() < u64::from_be_bytes(*expiry);
        let id = std::str::from_utf8(id).ok().filter(|_| is_it)?;
        Id::parse(id).ok()
    }

    /// From now on the answer is that of another source.
    pub(super) async fn put(&self, print: &Fingerprint, source: &Id, lifetime: Duration) {
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let expiry = now_ms().saturating_add(lifetime).to_be_bytes();
        let head = [&print.digest[..], &expiry, source.as_str().as_bytes()].concat();
        let name = print.name();
        // Put anew, because what is replaced keeps its age. What fails is not found later.
        let _ = self.0.remove(print.owner, &name, None).await;
        let put = self.0.put(print.owner, &name, head.into(), Bytes::new());
        let _ = put.await;
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{MemoryShelf, Owner, ShelfLimits};

    const LONG: Duration = Duration::from_secs(60);

    fn answers(max: usize) -> Answers {
        Answers::new(Arc::new(MemoryShelf::new(ShelfLimits {
            max,
            max_bytes: usize::MAX,
            keep: LONG,
        })))
    }

    fn print(owner: u8, digest: [u8; DIGEST]) -> Fingerprint {
        let owner = Owner([owner; 16]);
        Fingerprint { owner, digest }
    }

    fn id(n: u8) -> Id {
        Id::new("source-", [n; 16])
    }

    #[tokio::test]
    async fn the_latest_answer_is_found_by_its_owner_alone() {
        let answers = answers(9);
        let mine = print(1, [1; DIGEST]);
        answers.put(&mine, &id(1), LONG).await;
        answers.put(&mine, &id(2), LONG).await;
        assert_eq!(answers.get(&mine).await, Some(id(2)));
        assert_eq!(answers.get(&print(2, [1; DIGEST])).await, None);
    }

    #[tokio::test]
    async fn half_a_digest_is_not_enough() {
        let answers = answers(9);
        let mut other = [1; DIGEST];
        other[DIGEST - 1] = 2;
        answers.put(&print(1, [1; DIGEST]), &id(1), LONG).await;
        assert_eq!(answers.get(&print(1, other)).await, None);
    }

    #[tokio::test]
    async fn an_answer_is_used_for_its_lifetime_and_as_long_as_there_is_room() {
        let answers = answers(1);
        let (one, two) = (print(1, [1; DIGEST]), print(1, [2; DIGEST]));
        answers.put(&one, &id(1), Duration::ZERO).await;
        assert_eq!(answers.get(&one).await, None, "expired");
        answers.put(&one, &id(1), LONG).await;
        answers.put(&two, &id(2), LONG).await;
        assert_eq!(answers.get(&one).await, None, "no room");
        assert_eq!(answers.get(&two).await, Some(id(2)));
    }
}
