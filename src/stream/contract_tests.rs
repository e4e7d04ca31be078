//! What every store promises. Each case runs against every implementation in [`stores`].

#![expect(
    clippy::disallowed_methods,
    reason = "readers of a test need no tracking"
)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::stream::{
    AppendError, Batch, Cursor, CursorError, End, Event, Grace, HeartbeatForm, Kind, OnDisconnect,
    RedisStore, Seq, TestRedis,
};

const OWNER: Owner = Owner([1; 16]);

pub(in crate::stream) fn settings() -> Settings {
    Settings {
        commit_after: Duration::from_secs(3),
        heartbeat: Duration::from_secs(15),
        heartbeat_form: HeartbeatForm::Auto,
        on_disconnect: OnDisconnect::Cancel,
        resume_grace: Duration::from_secs(60),
        retry: Duration::from_secs(2),
        max_idempotency_keys: 9,
        max_detached: Duration::from_secs(900),
        event_bytes: 1000,
        log_bytes: 10_000,
        budget_bytes: 100_000,
        retention: Duration::from_secs(300),
        max_expired: 2,
        write_deadline: Duration::from_secs(30),
    }
}

/// Every implementation, made anew; a further store is a further line. The server of some is
/// held beside them.
async fn stores() -> (Vec<(&'static str, Arc<dyn StreamStore>)>, TestRedis) {
    let (redis, settings) = (TestRedis::start(), settings());
    let (one, a, b) = tokio::join!(
        redis.node(&settings),
        redis.node(&settings),
        redis.node(&settings)
    );
    let stores: Vec<(_, Arc<dyn StreamStore>)> = vec![
        ("memory", Arc::new(MemoryStore::new(&settings))),
        ("redis", Arc::new(one)),
        ("redis, from another node", Arc::new(TwoNodes { a, b })),
    ];
    (stores, redis)
}

/// Where time is the test's own, or memory is what is tested.
fn stores_in_memory() -> Vec<(&'static str, Arc<dyn StreamStore>)> {
    vec![("memory", Arc::new(MemoryStore::new(&settings())))]
}

/// What is made on one node is found on another.
struct TwoNodes {
    a: RedisStore,
    b: RedisStore,
}

impl StreamStore for TwoNodes {
    fn create(&self, spec: Spec) -> StoreFuture<'_, Producer> {
        self.a.create(spec)
    }

    fn find<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, Lookup> {
        self.b.find(owner, id)
    }

    fn remove<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, ()> {
        self.b.remove(owner, id)
    }

    fn shelf(&self, name: &'static str, limits: ShelfLimits) -> Arc<dyn Shelf> {
        self.b.shelf(name, limits)
    }

    fn tend(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.a.tend()
    }

    fn has_shared_ids(&self) -> bool {
        true
    }
}

fn id(n: u8) -> Id {
    Id::new("log-", [n; 16])
}

fn spec(n: u8) -> Spec {
    Spec {
        id: id(n),
        owner: OWNER,
        about: Bytes::new(),
        grace: Grace(Duration::from_secs(5)),
    }
}

fn chunk(text: &str) -> Event {
    Event {
        kind: Kind::Chunk,
        frame: Bytes::copy_from_slice(text.as_bytes()),
    }
}

async fn found(store: &dyn StreamStore, n: u8) -> Arc<Log> {
    match store
        .find(OWNER, &id(n))
        .await
        .expect("a store that answers")
    {
        Lookup::Found(log) => log,
        other @ (Lookup::Expired | Lookup::Unknown) => panic!("{other:?}"),
    }
}

async fn create(store: &dyn StreamStore, n: u8) -> Producer {
    store.create(spec(n)).await.expect("room")
}

/// A log that has ended has its memory until it is copied, where it is.
async fn create_once_there_is_room(store: &dyn StreamStore, n: u8) -> Producer {
    let creating = async {
        loop {
            match store.create(spec(n)).await {
                Ok(producer) => return producer,
                Err(error) => assert_eq!(error, StoreError::Full),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let created = tokio::time::timeout(Duration::from_secs(10), creating).await;
    created.expect("room in time")
}

fn texts(events: &[Event]) -> String {
    let text = |event: &Event| String::from_utf8_lossy(&event.frame).into_owned();
    events.iter().map(text).collect()
}

#[tokio::test]
async fn what_is_appended_is_read_in_order_and_then_the_end() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        let mut producer = create(&*store, 1).await;
        for text in ["a", "b"] {
            producer.append(chunk(text)).expect("within the limits");
        }
        producer.finish([chunk("c")], End::Completed);
        let log = found(&*store, 1).await;
        let mut reader = log.reader(Cursor::START).expect("the start");
        assert_eq!(texts(&reader.rest().await), "abc", "{name}");
        assert_eq!(log.end(), Some(End::Completed), "{name}");
        assert_eq!(reader.cursor().to_string(), "1-3", "{name}");
    }
}

#[tokio::test]
async fn a_follower_waits_for_what_comes() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        let mut producer = create(&*store, 1).await;
        producer.append(chunk("a")).expect("within the limits");
        let mut reader = found(&*store, 1)
            .await
            .reader(Cursor::START)
            .expect("start");
        let mut events = Vec::new();
        assert_eq!(reader.batch(&mut events).await, Batch::Events);
        let follower = tokio::spawn(async move {
            events.append(&mut reader.rest().await);
            texts(&events)
        });
        tokio::task::yield_now().await;
        producer.append(chunk("b")).expect("within the limits");
        tokio::task::yield_now().await;
        producer.finish([chunk("c")], End::Cancelled);
        assert_eq!(follower.await.expect("no panic"), "abc", "{name}");
    }
}

#[tokio::test]
async fn only_the_owner_finds_a_log() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        let _producer = create(&*store, 1).await;
        let other = store.find(Owner([2; 16]), &id(1)).await;
        assert!(matches!(other, Ok(Lookup::Unknown)), "{name}");
        let unknown = store.find(OWNER, &id(2)).await;
        assert!(matches!(unknown, Ok(Lookup::Unknown)), "{name}");
    }
}

#[tokio::test]
async fn cursors_the_log_never_had_are_invalid() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        let mut producer = create(&*store, 1).await;
        producer.append(chunk("a")).expect("within the limits");
        let log = found(&*store, 1).await;
        let at = async |epoch, seq| {
            let cursor = Cursor {
                epoch,
                seq: Seq(seq),
            };
            log.reached(cursor).await;
            log.reader(cursor).err()
        };
        assert_eq!(at(1, 1).await, None, "{name}");
        assert_eq!(
            at(1, 2).await,
            Some(CursorError::Invalid),
            "{name}: past the end"
        );
        assert_eq!(
            at(2, 1).await,
            Some(CursorError::Invalid),
            "{name}: of no epoch"
        );
        assert_eq!(at(1, u64::MAX).await, Some(CursorError::Invalid), "{name}");
    }
}

#[tokio::test]
async fn limits_admit_what_reaches_them_and_nothing_more() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        let mut producer = create(&*store, 1).await;
        assert_eq!(producer.append(chunk(&"x".repeat(1000))), Ok(()), "{name}");
        let too_large = producer.append(chunk(&"x".repeat(1001)));
        assert_eq!(too_large, Err(AppendError::Event(1000)), "{name}");
        let refused = loop {
            if let Err(error) = producer.append(chunk(&"x".repeat(1000))) {
                break error;
            }
        };
        assert_eq!(refused, AppendError::Log(10_000), "{name}");
        producer.finish([chunk("error")], End::Failed("log_too_large".into()));
        let log = found(&*store, 1).await;
        let mut reader = log.reader(Cursor::START).expect("start");
        let (events, end) = (reader.rest().await, log.end());
        assert_eq!(
            events.last().map(|e| &e.frame[..]),
            Some(b"error".as_slice()),
            "{name}"
        );
        assert_eq!(end, Some(End::Failed("log_too_large".into())), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_log_expires_after_its_retention_and_a_live_one_never() {
    for (name, store) in stores_in_memory() {
        create(&*store, 1)
            .await
            .finish([chunk("a")], End::Completed);
        let _live = create(&*store, 2).await;
        tokio::time::advance(Duration::from_secs(299)).await;
        let mut reader = found(&*store, 1)
            .await
            .reader(Cursor::START)
            .expect("start");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(
            matches!(store.find(OWNER, &id(1)).await, Ok(Lookup::Expired)),
            "{name}"
        );
        let _ = tokio::time::timeout(Duration::from_secs(3), store.tend()).await; // tends for ever
        assert!(
            matches!(store.find(OWNER, &id(1)).await, Ok(Lookup::Expired)),
            "{name}"
        );
        assert_eq!(
            texts(&reader.rest().await),
            "a",
            "{name}: who reads may finish"
        );
        found(&*store, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn names_of_expired_logs_are_forgotten_beyond_their_limit() {
    for (name, store) in stores_in_memory() {
        for n in 1..=3 {
            create(&*store, n).await.finish([], End::Completed);
        }
        let _ = tokio::time::timeout(Duration::from_secs(302), store.tend()).await; // tends for ever
        assert!(
            matches!(store.find(OWNER, &id(1)).await, Ok(Lookup::Unknown)),
            "{name}"
        );
        assert!(
            matches!(store.find(OWNER, &id(2)).await, Ok(Lookup::Expired)),
            "{name}"
        );
        assert!(
            matches!(store.find(OWNER, &id(3)).await, Ok(Lookup::Expired)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn over_the_budget_the_oldest_finished_log_goes_first() {
    for (name, store) in stores_in_memory() {
        for n in 0..30 {
            let mut producer = create(&*store, n).await;
            for _ in 0..4 {
                producer
                    .append(chunk(&"x".repeat(1000)))
                    .expect("within the limits");
            }
            producer.finish([], End::Completed);
        }
        let _newest = create(&*store, 31).await;
        assert!(
            matches!(
                store.find(OWNER, &id(0)).await,
                Ok(Lookup::Expired | Lookup::Unknown)
            ),
            "{name}"
        );
        found(&*store, 29).await;
    }
}

#[tokio::test]
async fn when_live_logs_exceed_the_budget_new_ones_are_refused_until_one_ends() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        let mut live = Vec::new();
        let refused = loop {
            let n = u8::try_from(live.len()).expect("a bounded number");
            match store.create(spec(n)).await {
                Ok(mut producer) => {
                    for _ in 0..9 {
                        producer
                            .append(chunk(&"x".repeat(1000)))
                            .expect("within the limits");
                    }
                    live.push(producer);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(refused, StoreError::Full, "{name}");
        assert_eq!(
            live.len(),
            10,
            "{name}: ten logs of 9 to 10 KB exceed 100 KB"
        );
        live.remove(0).finish([], End::Completed);
        create_once_there_is_room(&*store, 99).await;
    }
}

#[tokio::test]
async fn a_newer_log_of_the_same_id_is_the_one_found() {
    for (name, store) in stores_in_memory() {
        create(&*store, 1)
            .await
            .finish([chunk("old")], End::Completed);
        let mut old = found(&*store, 1)
            .await
            .reader(Cursor::START)
            .expect("start");
        create(&*store, 1)
            .await
            .finish([chunk("new")], End::Completed);
        let mut new = found(&*store, 1)
            .await
            .reader(Cursor::START)
            .expect("start");
        assert_eq!(texts(&old.rest().await), "old", "{name}");
        assert_eq!(texts(&new.rest().await), "new", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_is_abandoned_once_its_last_reader_stays_away() {
    for (name, store) in stores_in_memory() {
        let producer = create(&*store, 1).await;
        let log = Arc::clone(producer.log());
        let reader = log.reader(Cursor::START).expect("start");
        let second = log.reader(Cursor::START).expect("start");
        let is_abandoned = |wait| {
            let log = Arc::clone(&log);
            async move {
                let wait = Duration::from_millis(wait);
                tokio::time::timeout(wait, log.abandoned()).await.is_ok()
            }
        };
        drop(reader);
        assert!(!is_abandoned(60_000).await, "{name}: one is left");
        drop(second);
        assert!(!is_abandoned(4_900).await, "{name}: the grace runs");
        let back = log.reader(Cursor::START).expect("start");
        assert!(!is_abandoned(60_000).await, "{name}: it came back");
        drop(back);
        assert!(is_abandoned(5_100).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_attach_while_the_log_grows_miss_and_repeat_nothing() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        for round in 0..200_u8 {
            let mut producer = create_once_there_is_room(&*store, round).await;
            let log = Arc::clone(producer.log());
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let log = Arc::clone(&log);
                    tokio::spawn(async move {
                        let mut reader = log.reader(Cursor::START).expect("start");
                        let mut events = reader.rest().await;
                        let (half, _) = events.split_at(events.len() / 2);
                        let cursor = Cursor {
                            seq: Seq(half.len() as u64),
                            ..Cursor::START
                        };
                        let tail = log.reader(cursor).expect("a place").rest().await;
                        assert_eq!(texts(&events[half.len()..]), texts(&tail));
                        texts(&std::mem::take(&mut events))
                    })
                })
                .collect();
            let mut whole = String::new();
            for n in 0..50 {
                whole.push_str(&format!("{n},"));
                producer
                    .append(chunk(&format!("{n},")))
                    .expect("within the limits");
                tokio::task::yield_now().await;
            }
            producer.finish([], End::Completed);
            for reader in readers {
                assert_eq!(reader.await.expect("no panic"), whole, "{name}");
            }
            assert_eq!(log.readers(), 0, "{name}");
        }
    }
}

proptest! {
    #[test]
    fn prefix_and_tail_are_the_whole_for_every_cut(frames in prop::collection::vec(".{0,9}", 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            for (_, store) in stores_in_memory() {
                let mut producer = create(&*store, 1).await;
                let log = Arc::clone(producer.log());
                let mut heads = vec![log.reader(Cursor::START).expect("start")];
                for frame in &frames {
                    producer.append(chunk(frame)).expect("within the limits");
                    heads.push(log.reader(Cursor::START).expect("start"));
                }
                producer.finish([], End::Completed);
                for at in 0..=frames.len() {
                    let cursor = Cursor { seq: Seq(at as u64), ..Cursor::START };
                    let tail = log.reader(cursor).expect("a place").rest().await;
                    assert_eq!(frames[..at].concat() + &texts(&tail), frames.concat());
                }
                for mut head in heads {
                    assert_eq!(texts(&head.rest().await), frames.concat());
                }
            }
        });
    }
}

#[tokio::test]
async fn a_removed_log_is_as_if_it_had_never_been() {
    let (stores, _redis) = stores().await;
    for (name, store) in stores {
        create(&*store, 1)
            .await
            .finish([chunk("a")], End::Completed);
        let log = found(&*store, 1).await;
        let first = Cursor {
            seq: Seq(1),
            ..Cursor::START
        };
        log.reached(first).await;
        let mut reader = log.reader(Cursor::START).expect("start");
        store
            .remove(OWNER, &id(1))
            .await
            .expect("a store that answers");
        assert!(
            matches!(store.find(OWNER, &id(1)).await, Ok(Lookup::Unknown)),
            "{name}"
        );
        assert_eq!(
            texts(&reader.rest().await),
            "a",
            "{name}: who reads may finish"
        );
    }
}

#[tokio::test]
async fn an_endless_log_keeps_its_last_events_and_slow_readers_are_lost() {
    let caps = Caps {
        event_bytes: 100,
        log_bytes: 1000,
        last_events: Some(3),
    };
    let log = Log::new(spec(1), caps, Arc::new(Budget::new(1000)));
    let mut producer = Producer::new(Arc::clone(&log), |_| {});
    let mut slow = log.reader(Cursor::START).expect("start");
    for text in ["a", "b", "c", "d", "e"] {
        producer.append(chunk(text)).expect("within the limits");
    }
    let at = |seq| Cursor {
        seq: Seq(seq),
        ..Cursor::START
    };
    assert_eq!(
        log.reader(at(1)).err(),
        Some(CursorError::Invalid),
        "b is gone"
    );
    let mut events = Vec::new();
    assert_eq!(slow.batch(&mut events).await, Batch::Lost);
    let mut reader = log.reader(at(2)).expect("c is there");
    assert_eq!(reader.batch(&mut events).await, Batch::Events);
    assert_eq!((texts(&events), log.top()), ("cde".to_owned(), at(5)));
}

#[test]
fn the_budget_gets_back_every_byte() {
    let store = MemoryStore::new(&settings());
    let log = Log::new(spec(1), store.caps, Arc::clone(&store.budget));
    let mut producer = Producer::new(Arc::clone(&log), |_| {});
    producer.append(chunk("abc")).expect("within the limits");
    assert_eq!(store.budget().used(), log.bytes());
    drop((producer, log));
    assert_eq!(store.budget().used(), 0);
}
