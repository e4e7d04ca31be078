//! Two nodes on one Redis, of which something is lost: a node, a message, Redis itself.

use std::sync::atomic::Ordering::Relaxed;

use tokio::time::sleep;

use super::{
    nodes_tests::{
        OWNER, SOON, Two, at, create, event, found, id, read_to, rest, settings, soon, spec,
    },
    test_server::TestRedis,
    *,
};
use crate::stream::{Batch, Cursor, End};

/// The node is gone from one moment to the next.
fn kill(store: &RedisStore) {
    store.shared.stop();
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
        let last_words = Arc::new(|_: &Log, _| (Vec::new(), End::Completed));
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
async fn what_redis_refuses_of_one_log_holds_up_no_other_and_is_filled_again() {
    let two = Two::start().await;
    let mut one = create(&two.a).await;
    one.append(event("a;")).expect("within the limits");
    let mut there = found(&two.b).await.reader(Cursor::START).expect("start");
    assert_eq!(read_to(&mut there, 1).await, "a;");
    let key = keys::Keys::new(OWNER, &id()).log;
    let mut redis = two.a.shared.link.connection().expect("a connection");
    let set = redis::cmd("SET").arg(&key).arg("no stream").take();
    set.exec_async(&mut redis).await.expect("an answer");
    one.append(event("b;")).expect("within the limits");
    let (spec, name) = (spec(SOON), Id::new("log-", [2; 16]));
    let other = Spec {
        id: name.clone(),
        ..spec
    };
    let mut other = two.a.create(other).await.expect("room");
    for _ in 0..5 {
        other.append(event("x;")).expect("within the limits");
        sleep(Duration::from_millis(30)).await;
    }
    other.finish([], End::Completed);
    let Ok(Lookup::Found(other)) = two.b.find(OWNER, &name).await else {
        panic!("not there");
    };
    let mut other = other.reader(Cursor::START).expect("start");
    assert_eq!(rest(&mut other).await, "x;x;x;x;x;");
    let del = redis::cmd("DEL").arg(&key).take();
    del.exec_async(&mut redis).await.expect("an answer");
    one.finish([event("c;")], End::Completed);
    assert_eq!(rest(&mut there).await, "b;c;");
    let third = two.redis.node(&settings()).await;
    let mut again = found(&third).await.reader(Cursor::START).expect("start");
    assert_eq!(rest(&mut again).await, "a;b;c;");
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
