//! What every shelf promises. Each case runs against every implementation in [`shelves`].

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::*;
use crate::stream::{MemoryStore, RedisStore, StreamStore, TestRedis, memory::tests::settings};

const OWNER: Owner = Owner([1; 16]);

const LIMITS: ShelfLimits = ShelfLimits {
    max: 4,
    max_bytes: 100,
    keep: Duration::from_secs(3600),
};

/// One shelf, as two nodes see it; the same one twice where there is one node.
struct Nodes {
    name: &'static str,
    a: Arc<dyn Shelf>,
    b: Arc<dyn Shelf>,
    // What the shelves live on.
    _stores: Vec<RedisStore>,
}

/// Every implementation, made anew. The server of one is held beside them.
async fn shelves(limits: ShelfLimits) -> (Vec<Nodes>, TestRedis) {
    let redis = TestRedis::start();
    let settings = settings();
    let (a, b) = tokio::join!(redis.node(&settings), redis.node(&settings));
    let alone = MemoryStore::new(&settings).shelf("tests", limits);
    let nodes = vec![
        Nodes {
            name: "memory",
            a: Arc::clone(&alone),
            b: alone,
            _stores: Vec::new(),
        },
        Nodes {
            name: "redis",
            a: a.shelf("tests", limits),
            b: b.shelf("tests", limits),
            _stores: vec![a, b],
        },
    ];
    (nodes, redis)
}

fn id(n: usize) -> Id {
    Id::parse(&format!("id-{n}")).expect("an id")
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn put(shelf: &Arc<dyn Shelf>, n: usize, head: &str, body: &str) -> Option<Record> {
    let put = shelf.put(OWNER, &id(n), bytes(head), bytes(body)).await;
    put.expect("a shelf that answers")
}

async fn get(shelf: &Arc<dyn Shelf>, n: usize) -> Option<(Bytes, Bytes)> {
    let got = shelf.get(OWNER, &id(n)).await;
    let record = got.expect("a shelf that answers")?;
    Some((record.head, record.body))
}

/// All of an owner's, in parts of `count`.
async fn all(shelf: &Arc<dyn Shelf>, is_descending: bool, count: usize) -> Vec<(Id, Bytes)> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let range = Range {
            after,
            is_descending,
            count,
        };
        let listed = shelf.list(OWNER, range).await;
        let listed = listed.expect("a shelf that answers");
        assert!(listed.entries.len() <= count);
        entries.extend(listed.entries);
        after = listed.next;
        if after.is_none() {
            return entries;
        }
    }
}

#[tokio::test]
async fn the_first_of_a_name_stays_and_is_told_to_the_others() {
    let (shelves, _redis) = shelves(LIMITS).await;
    for Nodes { name, a, b, .. } in &shelves {
        assert_eq!(put(a, 1, "h", "b").await, None, "{name}");
        let there = put(b, 1, "other", "other").await.expect("the first");
        assert_eq!((&there.head[..], &there.body[..]), (&b"h"[..], &b"b"[..]));
        assert_eq!(get(b, 1).await, Some((bytes("h"), bytes("b"))), "{name}");
        assert_eq!(get(b, 2).await, None, "{name}");
        let other = b.get(Owner([2; 16]), &id(1)).await;
        assert_eq!(other, Ok(None), "{name}: another owner's");
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_first() {
    let (shelves, _redis) = shelves(LIMITS).await;
    for Nodes { name, a, b, .. } in &shelves {
        let heads: Vec<_> = (0..40).map(|n| n.to_string()).collect();
        let puts = heads.iter().enumerate();
        let puts = puts.map(|(n, head)| put(if n % 2 == 0 { a } else { b }, 1, head, ""));
        let found = join_all(puts).await;
        let firsts: Vec<_> = (0..40).filter(|n| found[*n].is_none()).collect();
        assert_eq!(firsts.len(), 1, "{name}");
        let (head, _) = get(b, 1).await.expect("the first");
        assert_eq!(head, heads[firsts[0]], "{name}");
        let mut others = found.into_iter().flatten();
        assert!(others.all(|there| there.head == head), "{name}");
    }
}

#[tokio::test]
async fn a_head_is_replaced_and_the_body_and_the_place_stay() {
    let (shelves, _redis) = shelves(LIMITS).await;
    for Nodes { name, a, b, .. } in &shelves {
        put(a, 1, "h", "b").await;
        put(a, 2, "", "").await;
        let replaced = b.replace(OWNER, &id(1), bytes("new")).await;
        let replaced = replaced.expect("a shelf that answers").expect("a record");
        assert_eq!(
            (&replaced.head[..], &replaced.body[..]),
            (&b"new"[..], &b"b"[..])
        );
        assert_eq!(get(a, 1).await, Some((bytes("new"), bytes("b"))), "{name}");
        let expected = [(id(1), bytes("new")), (id(2), bytes(""))];
        assert_eq!(all(a, false, 9).await, expected, "{name}");
        let unknown = b.replace(OWNER, &id(3), bytes("new")).await;
        assert_eq!(unknown, Ok(None), "{name}");
        assert_eq!(get(a, 3).await, None, "{name}: none is made by it");
    }
}

#[tokio::test]
async fn a_record_is_removed_only_with_the_head_that_is_meant() {
    let (shelves, _redis) = shelves(LIMITS).await;
    for Nodes { name, a, b, .. } in &shelves {
        put(a, 1, "h", "b").await;
        let remove = async |head: Option<&str>| b.remove(OWNER, &id(1), head.map(bytes)).await;
        assert_eq!(remove(Some("other")).await, Ok(false), "{name}");
        assert!(get(a, 1).await.is_some(), "{name}");
        assert_eq!(remove(Some("h")).await, Ok(true), "{name}");
        assert_eq!(get(a, 1).await, None, "{name}");
        assert_eq!(all(a, false, 9).await, [], "{name}");
        assert_eq!(remove(None).await, Ok(false), "{name}");
        put(a, 1, "again", "").await;
        assert_eq!(remove(None).await, Ok(true), "{name}");
    }
}

#[tokio::test]
async fn records_are_listed_by_age_in_parts_of_any_size() {
    let (shelves, _redis) = shelves(ShelfLimits { max: 99, ..LIMITS }).await;
    for Nodes { name, a, b, .. } in &shelves {
        // Neither the order of the names nor that of the heads.
        for n in [3, 11, 2, 40, 1] {
            put(a, n, &n.to_string(), "").await;
            let other = b.put(Owner([2; 16]), &id(n), bytes("x"), bytes("")).await;
            assert_eq!(other, Ok(None), "{name}");
        }
        let mut expected = [3, 11, 2, 40, 1].map(|n| (id(n), bytes(&n.to_string())));
        for count in 1..=6 {
            assert_eq!(all(b, false, count).await, expected, "{name} by {count}");
        }
        expected.reverse();
        for count in 1..=6 {
            assert_eq!(all(b, true, count).await, expected, "{name} by {count}");
        }
        let middle = b.get(OWNER, &id(2)).await.expect("an answer").expect("it");
        let range = Range {
            after: Some(middle.place),
            is_descending: false,
            count: 9,
        };
        let behind = b.list(OWNER, range).await.expect("a shelf that answers");
        assert_eq!(behind.entries, [(id(40), bytes("40")), (id(1), bytes("1"))]);
    }
}

#[tokio::test]
async fn beyond_the_limit_of_number_or_bytes_the_oldest_goes() {
    let (shelves, _redis) = shelves(LIMITS).await;
    for Nodes { name, a, b, .. } in &shelves {
        let names = async || {
            let all = all(b, false, 9).await;
            all.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        for n in 1..=5 {
            put(a, n, "h", "b").await;
        }
        assert_eq!(names().await, [2, 3, 4, 5].map(id), "{name}");
        assert_eq!(get(b, 1).await, None, "{name}");
        put(a, 6, "", &"x".repeat(96)).await;
        assert_eq!(names().await, [4, 5, 6].map(id), "{name}: 100 bytes");
        put(a, 7, "", "x").await;
        assert_eq!(names().await, [5, 6, 7].map(id), "{name}: 99 bytes");
        let alone = a
            .put(OWNER, &id(8), bytes(&"x".repeat(101)), bytes(""))
            .await;
        assert_eq!(alone, Err(StoreError::Full), "{name}");
        assert_eq!(
            names().await,
            [5, 6, 7].map(id),
            "{name}: nothing goes for it"
        );
        for n in [5, 6, 7] {
            assert_eq!(b.remove(OWNER, &id(n), None).await, Ok(true), "{name}");
        }
        put(a, 9, "", &"x".repeat(100)).await;
        assert_eq!(names().await, [9].map(id), "{name}: removed bytes are free");
    }
}

#[tokio::test]
async fn what_is_kept_expires_and_leaves_room() {
    let brief = ShelfLimits {
        keep: Duration::from_millis(200),
        ..LIMITS
    };
    let (shelves, _redis) = shelves(brief).await;
    for Nodes { name, a, b, .. } in &shelves {
        put(a, 1, "h", &"x".repeat(99)).await;
        assert!(get(b, 1).await.is_some(), "{name}");
        let is_gone = async {
            while get(b, 1).await.is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), is_gone).await;
        waited.expect("its end in time");
        assert_eq!(all(b, false, 9).await, [], "{name}");
        assert_eq!(put(b, 1, "new", "").await, None, "{name}: its name is free");
        assert_eq!(put(a, 2, "", &"x".repeat(97)).await, None, "{name}");
        assert!(get(b, 1).await.is_some(), "{name}: its bytes are free");
    }
}

#[tokio::test]
async fn a_shelf_without_room_keeps_nothing() {
    let (shelves, _redis) = shelves(ShelfLimits { max: 0, ..LIMITS }).await;
    for Nodes { name, a, b, .. } in &shelves {
        assert_eq!(put(a, 1, "h", "b").await, None, "{name}");
        assert_eq!(get(b, 1).await, None, "{name}");
    }
}
