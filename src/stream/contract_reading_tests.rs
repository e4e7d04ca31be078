//! What every store promises to those who read.

use super::*;

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
