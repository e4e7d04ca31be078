//! What every store promises. Each case runs against every implementation in [`stores`]; those
//! about reading are in `contract_reading_tests.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "readers of a test need no tracking"
)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::sse::{Frame, Pattern};
use crate::stream::{
    AppendError, Batch, Cursor, CursorError, End, Event, Grace, HeartbeatForm, Kind, OnDisconnect,
    RedisStore, Seq, TestRedis,
};

#[path = "contract_reading_tests.rs"]
mod reading;

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
        max_cached_answers: 9,
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
    fn held_bytes(&self) -> usize {
        0
    }

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
        frame: Bytes::copy_from_slice(text.as_bytes()).into(),
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
    let text = |event: &Event| String::from_utf8_lossy(&event.frame.to_bytes()).into_owned();
    events.iter().map(text).collect()
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
            events.last().map(|e| e.frame.to_bytes()),
            Some("error".into()),
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

/// An empty log of so many events, counted in the budget of a store that does not hold it.
fn log_of_last(events: usize) -> (MemoryStore, Arc<Log>, Producer) {
    let store = MemoryStore::new(&settings());
    let caps = Caps {
        last_events: Some(events),
        ..store.caps
    };
    let log = Log::new(spec(1), caps, Arc::clone(&store.budget));
    let producer = Producer::new(Arc::clone(&log), |_| {});
    (store, log, producer)
}

#[test]
fn the_budget_gets_back_every_byte() {
    let (store, log, mut producer) = log_of_last(4);
    let empty = store.budget().used();
    let mut append = |frame: Frame| {
        let kind = Kind::Chunk;
        let appended = producer.append(Event { kind, frame });
        appended.expect("within the limits");
        assert_eq!(store.budget().used(), log.held_bytes());
        store.budget().used() - empty
    };
    let place = size_of::<Event>();
    let pattern = Pattern::new("beforeafter".into(), 6..6);
    assert_eq!(append(Bytes::from_static(b"abc").into()), 3 + place);
    assert_eq!(append(pattern.fill(b"a")), 14 + 2 * place);
    assert_eq!(append(pattern.fill(b"bc")), 14 + 3 * place, "shared");
    assert_eq!(append(Bytes::from_static(b"abc").into()), 17 + 4 * place);
    // From here on the oldest goes each time.
    assert_eq!(append(Bytes::new().into()), 14 + 4 * place);
    assert_eq!(append(Bytes::new().into()), 14 + 4 * place, "still held");
    assert_eq!(append(Bytes::new().into()), 3 + 4 * place);
    assert_eq!(log.bytes(), 3 + 4 * place);
    drop((producer, log));
    assert_eq!(store.budget().used(), 0);
}

#[test]
fn a_pattern_is_counted_as_long_as_one_event_has_it() {
    let (store, log, mut producer) = log_of_last(1);
    let empty = store.budget().used();
    let (pattern, other) = (
        Pattern::new("beforeafter".into(), 6..6),
        Pattern::new("ba".into(), 1..1),
    );
    let place = size_of::<Event>();
    for (frame, held) in [
        (pattern.fill(b"a"), 11 + place),
        (pattern.fill(b"b"), 11 + place),
        (other.fill(b"c"), 2 + place),
        (Bytes::new().into(), place),
        (pattern.fill(b"d"), 11 + place),
    ] {
        let kind = Kind::Chunk;
        let appended = producer.append(Event { kind, frame });
        appended.expect("within the limits");
        assert_eq!(store.budget().used() - empty, held);
    }
    drop((producer, log));
    assert_eq!(store.budget().used(), 0);
}
