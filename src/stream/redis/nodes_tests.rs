//! Two nodes on one Redis: what one writes, the other reads, whatever goes wrong between them.

#![expect(
    clippy::disallowed_methods,
    reason = "readers of a test need no tracking"
)]

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Context, Wake},
};

use bytes::Bytes;
use tokio::time::sleep;

use super::{test_server::TestRedis, *};
use crate::stream::{
    Batch, Cursor, CursorError, End, Event, Grace, Kind, Reader, Seq, memory::tests,
};

pub(super) const OWNER: Owner = Owner([1; 16]);
/// Far longer than anything here takes, far shorter than anyone waits.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// Two nodes and what they share.
pub(super) struct Two {
    pub(super) redis: TestRedis,
    pub(super) a: RedisStore,
    pub(super) b: RedisStore,
}

impl Two {
    pub(super) async fn start() -> Self {
        let redis = TestRedis::start();
        let stream = settings();
        let a = redis.node(&stream).await;
        let b = redis.node(&stream).await;
        Self { redis, a, b }
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        log_bytes: 1_000_000,
        budget_bytes: 10_000_000,
        ..tests::settings()
    }
}

pub(super) fn id() -> Id {
    Id::new("log-", [1; 16])
}

pub(super) fn spec(grace: Duration) -> Spec {
    Spec {
        id: id(),
        owner: OWNER,
        about: Bytes::from_static(b"about"),
        grace: Grace(grace),
    }
}

pub(super) fn at(epoch: u32, seq: u64) -> Cursor {
    Cursor {
        epoch,
        seq: Seq(seq),
    }
}

pub(super) fn event(text: &str) -> Event {
    Event {
        kind: Kind::Chunk,
        frame: Bytes::copy_from_slice(text.as_bytes()).into(),
    }
}

pub(super) async fn create(store: &RedisStore) -> Producer {
    store.create(spec(SOON)).await.expect("room")
}

pub(super) async fn found(store: &RedisStore) -> Arc<Log> {
    match store
        .find(OWNER, &id())
        .await
        .expect("a store that answers")
    {
        Lookup::Found(log) => log,
        other @ (Lookup::Expired | Lookup::Unknown) => panic!("{other:?}"),
    }
}

fn text(events: &[Event]) -> String {
    let texts = events
        .iter()
        .map(|e| String::from_utf8_lossy(&e.frame.to_bytes()).into_owned());
    texts.collect()
}

/// Reads on until so many events were read in all.
pub(super) async fn read_to(reader: &mut Reader, seq: u64) -> String {
    let mut events = Vec::new();
    let reading = async {
        while reader.cursor().seq.0 < seq {
            assert_eq!(reader.batch(&mut events).await, Batch::Events);
        }
    };
    timeout(SOON, reading).await.expect("in time");
    text(&events)
}

pub(super) async fn rest(reader: &mut Reader) -> String {
    text(&timeout(SOON, reader.rest()).await.expect("in time"))
}

/// Waits for what happens soon.
pub(super) async fn soon(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, waiting).await.expect("in time");
}

#[tokio::test]
async fn every_cut_is_read_on_at_another_node() {
    let two = Two::start().await;
    let mut producer = create(&two.a).await;
    let events: Vec<String> = (0..300).map(|n| format!("{n} é;")).collect();
    let mut early = found(&two.b).await.reader(Cursor::START).expect("start");
    for event_text in &events {
        producer
            .append(event(event_text))
            .expect("within the limits");
        tokio::task::yield_now().await;
    }
    producer.keep_aside(Bytes::from_static(b"aside"));
    producer.finish([event("end")], End::Completed);
    let whole = events.concat() + "end";
    assert_eq!(rest(&mut early).await, whole);
    let log = found(&two.b).await;
    assert_eq!(
        (&log.about()[..], log.end()),
        (&b"about"[..], Some(End::Completed))
    );
    assert_eq!(log.aside().as_deref(), Some(&b"aside"[..]));
    for cut in 0..=events.len() {
        let mut reader = log.reader(at(1, cut as u64)).expect("a place");
        assert_eq!(events[..cut].concat() + &rest(&mut reader).await, whole);
    }
}

#[tokio::test]
async fn more_logs_than_go_into_one_round_are_all_copied() {
    let two = Two::start().await;
    let ids: Vec<Id> = (0..600u128)
        .map(|n| Id::new("log-", n.to_be_bytes()))
        .collect();
    let mut producers = Vec::new();
    for id in &ids {
        let spec = Spec {
            id: id.clone(),
            ..spec(SOON)
        };
        producers.push(two.a.create(spec).await.expect("room"));
    }
    for producer in &mut producers {
        producer.append(event("a;")).expect("within the limits");
    }
    for producer in producers {
        producer.finish([event("b;")], End::Completed);
    }
    timeout(SOON, two.a.settle()).await.expect("in time");
    for id in &ids {
        let Ok(Lookup::Found(log)) = two.b.find(OWNER, id).await else {
            panic!("{id} is not there");
        };
        let mut reader = log.reader(Cursor::START).expect("start");
        assert_eq!(rest(&mut reader).await, "a;b;");
    }
}

#[tokio::test]
async fn readers_that_attach_elsewhere_while_the_log_grows_miss_and_repeat_nothing() {
    let two = Two::start().await;
    let two = Arc::new(two);
    for round in 0..20 {
        let mut producer = create(&two.a).await;
        let mut readers = Vec::new();
        let mut whole = String::new();
        for n in 0..200 {
            whole.push_str(&format!("{n},"));
            producer
                .append(event(&format!("{n},")))
                .expect("within the limits");
            if n % 20 == 10 {
                let two = Arc::clone(&two);
                readers.push(tokio::spawn(async move {
                    let mut reader = found(&two.b).await.reader(Cursor::START).expect("start");
                    rest(&mut reader).await
                }));
                sleep(Duration::from_millis(round % 7)).await;
            }
        }
        producer.finish([], End::Completed);
        for reader in readers {
            assert_eq!(reader.await.expect("no panic"), whole);
        }
    }
}

#[tokio::test]
async fn a_place_that_the_copy_has_not_reached_is_waited_for() {
    let two = Two::start().await;
    let mut producer = create(&two.a).await;
    let log = found(&two.b).await;
    for _ in 0..5 {
        producer.append(event("x")).expect("within the limits");
    }
    log.reached(at(1, 5)).await;
    assert!(log.reader(at(1, 5)).is_ok());
    log.reached(at(1, 6)).await;
    assert_eq!(log.reader(at(1, 6)).err(), Some(CursorError::Invalid));
}

#[tokio::test]
async fn a_lease_is_renewed_without_waking_who_reads() {
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    let two = Two::start().await;
    let mut producer = create(&two.a).await;
    let mut reader = producer.log().reader(Cursor::START).expect("start");
    let woken = Arc::new(Woken::default());
    let waker = Arc::clone(&woken).into();
    let mut events = Vec::new();
    let polled = reader.poll_batch(&mut Context::from_waker(&waker), &mut events);
    assert!(polled.is_pending());
    sleep(two.redis.settings().lease * 2).await;
    assert!(!producer.log().needs_renewal(), "it was renewed");
    assert!(!woken.0.load(Relaxed));
    producer.append(event("a;")).expect("within the limits");
    assert!(woken.0.load(Relaxed));
}

#[tokio::test]
async fn cancelled_there_is_cancelled_here() {
    let two = Two::start().await;
    let producer = create(&two.a).await;
    let log = found(&two.b).await;
    log.cancel();
    let cancelled = producer.log().cancelled();
    timeout(SOON, cancelled).await.expect("in time");
    producer.finish([event("stopped")], End::Cancelled);
    let mut reader = log.reader(Cursor::START).expect("start");
    assert_eq!(rest(&mut reader).await, "stopped");
    assert_eq!(log.end(), Some(End::Cancelled));
}

#[tokio::test]
async fn a_reader_elsewhere_keeps_the_generation_alive_and_none_does_not() {
    let two = Two::start().await;
    let grace = Duration::from_millis(400);
    let producer = two.a.create(spec(grace)).await.expect("room");
    let reader = found(&two.b).await.reader(Cursor::START).expect("start");
    let log = producer.log();
    let abandoned = timeout(grace * 4, log.abandoned()).await;
    assert!(abandoned.is_err(), "somebody reads on the other node");
    drop(reader);
    timeout(SOON, log.abandoned())
        .await
        .expect("nobody reads any more");
}

#[tokio::test]
async fn a_longer_grace_that_was_given_elsewhere_counts_here() {
    let two = Two::start().await;
    let producer = create(&two.a).await;
    let log = found(&two.b).await;
    let _reader = log.reader(Cursor::START).expect("start");
    log.extend_grace(Grace(SOON * 2));
    soon(|| producer.log().grace() == Grace(SOON * 2)).await;
}

#[tokio::test]
async fn an_expired_log_is_told_from_one_that_never_was_and_a_removed_one_is_not() {
    let redis = TestRedis::start();
    let brief = Settings {
        retention: Duration::from_millis(200),
        ..settings()
    };
    let (a, b) = (redis.node(&brief).await, redis.node(&brief).await);
    create(&a).await.finish([event("a")], End::Completed);
    let mut reader = found(&b).await.reader(Cursor::START).expect("start");
    assert_eq!(rest(&mut reader).await, "a");
    drop(reader);
    sleep(Duration::from_millis(300)).await;
    for node in [&a, &b] {
        assert!(matches!(node.find(OWNER, &id()).await, Ok(Lookup::Expired)));
    }
    let producer = create(&a).await;
    b.remove(OWNER, &id()).await.expect("a store that answers");
    drop(producer);
    let is_unknown = async {
        while !matches!(a.find(OWNER, &id()).await, Ok(Lookup::Unknown)) {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, is_unknown)
        .await
        .expect("the writer hears of it");
}

#[tokio::test]
async fn copies_that_nobody_reads_are_let_go() {
    let two = Two::start().await;
    let mut producer = create(&two.a).await;
    producer.append(event("a;")).expect("within the limits");
    let mut reader = found(&two.b).await.reader(Cursor::START).expect("start");
    assert_eq!(read_to(&mut reader, 1).await, "a;");
    let budget = Arc::clone(two.b.shared.memory.budget());
    assert!(budget.used() > 0, "copies are counted");
    drop(reader);
    soon(|| budget.used() == 0).await;
    producer.finish([event("b;")], End::Completed);
    let mut reader = found(&two.b).await.reader(Cursor::START).expect("start");
    assert_eq!(rest(&mut reader).await, "a;b;");
}
