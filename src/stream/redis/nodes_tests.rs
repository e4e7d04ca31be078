//! Two nodes on one Redis: what one writes, the other reads, whatever goes wrong between them.

#![expect(
    clippy::disallowed_methods,
    reason = "readers of a test need no tracking"
)]

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tokio::time::sleep;

use super::{test_server::TestRedis, *};
use crate::stream::{
    Batch, Cursor, CursorError, End, Event, Grace, Kind, Reader, Seq, memory::tests,
};

const OWNER: Owner = Owner([1; 16]);
/// Far longer than anything here takes, far shorter than anyone waits.
const SOON: Duration = Duration::from_secs(10);

/// Two nodes and what they share.
struct Two {
    redis: TestRedis,
    a: RedisStore,
    b: RedisStore,
}

impl Two {
    async fn start() -> Self {
        let redis = TestRedis::start();
        let stream = settings();
        let a = redis.node(&stream).await;
        let b = redis.node(&stream).await;
        Self { redis, a, b }
    }
}

fn settings() -> Settings {
    Settings {
        log_bytes: 1_000_000,
        budget_bytes: 10_000_000,
        ..tests::settings()
    }
}

fn id() -> Id {
    Id::new("log-", [1; 16])
}

fn spec(grace: Duration) -> Spec {
    Spec {
        id: id(),
        owner: OWNER,
        about: Bytes::from_static(b"about"),
        grace: Grace(grace),
    }
}

fn at(epoch: u32, seq: u64) -> Cursor {
    Cursor {
        epoch,
        seq: Seq(seq),
    }
}

fn event(text: &str) -> Event {
    Event {
        kind: Kind::Chunk,
        frame: Bytes::copy_from_slice(text.as_bytes()),
    }
}

async fn create(store: &RedisStore) -> Producer {
    store.create(spec(SOON)).await.expect("room")
}

async fn found(store: &RedisStore) -> Arc<Log> {
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
        .map(|e| String::from_utf8_lossy(&e.frame).into_owned());
    texts.collect()
}

/// Reads on until so many events were read in all.
async fn read_to(reader: &mut Reader, seq: u64) -> String {
    let mut events = Vec::new();
    let reading = async {
        while reader.cursor().seq.0 < seq {
            assert_eq!(reader.batch(&mut events).await, Batch::Events);
        }
    };
    timeout(SOON, reading).await.expect("in time");
    text(&events)
}

async fn rest(reader: &mut Reader) -> String {
    text(&timeout(SOON, reader.rest()).await.expect("in time"))
}

/// Waits for what happens soon.
async fn soon(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, waiting).await.expect("in time");
}

/// The node is gone from one moment to the next.
fn kill(store: &RedisStore) {
    store.shared.stop();
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
async fn when_the_writer_is_lost_readers_elsewhere_are_told_within_the_lease() {
    let two = Two::start().await;
    let mut producer = create(&two.a).await;
    producer.append(event("a;")).expect("within the limits");
    let log = found(&two.b).await;
    let mut reader = log.reader(Cursor::START).expect("start");
    assert_eq!(read_to(&mut reader, 1).await, "a;");
    sleep(two.redis.settings().lease).await;
    kill(&two.a);
    let killed = Instant::now();
    let expected = format!("{} was lost at 2;done", id());
    assert_eq!(rest(&mut reader).await, expected);
    let took = killed.elapsed();
    assert!(
        took < two.redis.settings().lease + Duration::from_millis(200),
        "{took:?}"
    );
    assert_eq!(log.end(), Some(End::Failed("upstream_lost".into())));
    assert_eq!((reader.cursor(), log.top()), (at(2, 3), at(2, 3)));
    // What only the lost node had seen is not part of the log.
    let is_known = |cursor| log.reader(cursor).is_ok();
    assert!(is_known(at(1, 1)) && is_known(at(2, 2)));
    assert!(!is_known(at(1, 2)) && !is_known(at(3, 3)));
    // A third node finds the same.
    let third = two.redis.node(&settings()).await;
    let mut reader = found(&third).await.reader(at(1, 1)).expect("a place");
    assert_eq!(
        (rest(&mut reader).await, reader.cursor()),
        (expected, at(2, 3))
    );
}

#[tokio::test]
async fn a_writer_that_was_away_too_long_is_fenced_and_its_readers_are_cut() {
    let redis = TestRedis::start();
    let b = redis.node(&settings()).await;
    // A thread of its own that can be stopped, as a process is by SIGSTOP.
    let thread = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let store = redis.settings();
    let a = thread.spawn(async move {
        let last_words: LastWords = Arc::new(|_, _| (Vec::new(), End::Completed));
        let a = RedisStore::new(&store, &settings(), last_words).expect("a valid URL");
        assert!(a.connected(SOON).await);
        a
    });
    let a = a.await.expect("no panic");
    let mut producer = create(&a).await;
    producer.append(event("a;")).expect("within the limits");
    let mut here = found(&a).await.reader(Cursor::START).expect("start");
    let mut there = found(&b).await.reader(Cursor::START).expect("start");
    assert_eq!(
        (read_to(&mut here, 1).await, read_to(&mut there, 1).await),
        ("a;".into(), "a;".into())
    );
    sleep(redis.settings().lease).await;
    let (go_on, stopped) = std::sync::mpsc::sync_channel::<()>(0);
    let stop = thread.spawn(async move { stopped.recv() });
    assert!(rest(&mut there).await.ends_with("was lost at 2;done"));
    producer.append(event("late;")).expect("within the limits");
    let mut events = Vec::new();
    let unsure = timeout(Duration::from_millis(50), here.batch(&mut events)).await;
    assert!(
        unsure.is_err(),
        "nobody is served before the lease is renewed"
    );
    go_on.send(()).expect("it waits");
    stop.await.expect("no panic").expect("it went on");
    let batch = timeout(SOON, here.batch(&mut events))
        .await
        .expect("in time");
    assert_eq!(
        (batch, events.len()),
        (Batch::Lost, 0),
        "no reader sees both"
    );
    timeout(SOON, producer.log().cancelled())
        .await
        .expect("the upstream is let go");
    producer.finish([event("late too")], End::Completed);
    // Here, too, the log is now the one that was taken over.
    let mut again = found(&a).await.reader(at(1, 1)).expect("a place");
    assert!(rest(&mut again).await.ends_with("was lost at 2;done"));
    drop(a);
    thread.shutdown_background();
}

#[tokio::test]
async fn a_lost_publish_is_a_delay_and_not_a_hang() {
    let two = Two::start().await;
    let mut producer = create(&two.a).await;
    let mut reader = found(&two.b).await.reader(Cursor::START).expect("start");
    producer.append(event("a;")).expect("within the limits");
    assert_eq!(read_to(&mut reader, 1).await, "a;");
    two.a.shared.drops_publishes.store(true, Relaxed);
    producer.append(event("b;")).expect("within the limits");
    assert_eq!(read_to(&mut reader, 2).await, "b;", "the poll finds it");
    producer.append(event("c;")).expect("within the limits");
    sleep(Duration::from_millis(50)).await;
    two.a.shared.drops_publishes.store(false, Relaxed);
    producer.append(event("d;")).expect("within the limits");
    producer.finish([event("e;")], End::Completed);
    assert_eq!(rest(&mut reader).await, "c;d;e;", "the hole is read again");
}

#[tokio::test]
async fn redis_may_go_away_and_come_back_empty() {
    let mut two = Two::start().await;
    let mut producer = create(&two.a).await;
    let mut here = found(&two.a).await.reader(Cursor::START).expect("start");
    let mut there = found(&two.b).await.reader(Cursor::START).expect("start");
    producer.append(event("a;")).expect("within the limits");
    assert_eq!(read_to(&mut there, 1).await, "a;");
    two.redis.stop();
    soon(|| !two.a.is_available()).await;
    let refused = two.a.create(spec(SOON)).await.err();
    assert_eq!(refused, Some(StoreError::Unavailable));
    producer.append(event("b;")).expect("within the limits");
    assert_eq!(read_to(&mut here, 2).await, "a;b;", "the owner's go on");
    sleep(two.redis.settings().lease * 2).await;
    producer.append(event("c;")).expect("within the limits");
    assert_eq!(read_to(&mut here, 3).await, "c;", "past the lease too");
    two.redis.start_again();
    assert_eq!(read_to(&mut there, 3).await, "b;c;", "the others catch up");
    producer.finish([event("d;")], End::Completed);
    assert_eq!(rest(&mut there).await, "d;");
    let third = two.redis.node(&settings()).await;
    let mut reader = found(&third).await.reader(Cursor::START).expect("start");
    assert_eq!(
        rest(&mut reader).await,
        "a;b;c;d;",
        "filled again from the first"
    );
}

#[tokio::test]
async fn without_redis_new_streams_may_be_served_unshared_and_are_shared_later() {
    let mut two = Two::start().await;
    let stream = settings();
    let tolerant = StoreSettings {
        on_unavailable: OnUnavailable::Unshared,
        ..two.redis.settings()
    };
    let node = two.redis.node_with(&tolerant, &stream).await;
    two.redis.stop();
    let mut producer = create(&node).await;
    producer.append(event("a;")).expect("within the limits");
    let mut here = found(&node).await.reader(Cursor::START).expect("start");
    assert_eq!(read_to(&mut here, 1).await, "a;");
    assert!(node.is_available());
    two.redis.start_again();
    soon(|| two.b.is_available()).await;
    let there = async {
        loop {
            match two.b.find(OWNER, &id()).await {
                Ok(Lookup::Found(log)) => return log,
                Ok(Lookup::Unknown | Lookup::Expired) | Err(_) => {
                    sleep(Duration::from_millis(5)).await;
                }
            }
        }
    };
    let there = timeout(SOON, there).await.expect("in time");
    producer.finish([event("b;")], End::Completed);
    let mut reader = there.reader(Cursor::START).expect("start");
    assert_eq!(rest(&mut reader).await, "a;b;");
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
