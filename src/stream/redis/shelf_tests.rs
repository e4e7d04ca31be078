//! A shelf in Redis while Redis is away, and what it leaves there.

use bytes::Bytes;
use redis::{Value, cmd};

use super::{
    nodes_tests::{OWNER, Two, id, soon},
    *,
};

const LIMITS: ShelfLimits = ShelfLimits {
    max: 4,
    max_bytes: 100,
    keep: Duration::from_secs(3600),
};

async fn ask(store: &RedisStore, command: &mut redis::Cmd) -> Value {
    let mut connection = store.shared.link.connection().expect("a connection");
    let answer = command.query_async(&mut connection).await;
    answer.expect("an answer")
}

#[tokio::test]
async fn nobody_waits_long_for_a_redis_that_is_away_or_silent() {
    let mut two = Two::start().await;
    let shelf = two.a.shelf("tests", LIMITS);
    let put = async || shelf.put(OWNER, &id(), Bytes::new(), Bytes::new()).await;
    let pause = &mut cmd("CLIENT");
    ask(&two.b, pause.arg("PAUSE").arg(60_000).arg("ALL")).await;
    let asked = Instant::now();
    assert_eq!(put().await, Err(StoreError::Unavailable));
    assert_eq!(shelf.get(OWNER, &id()).await, Err(StoreError::Unavailable));
    let (took, patience) = (asked.elapsed(), two.a.shared.patience);
    assert!(took < patience * 20, "{took:?} with {patience:?}");
    two.redis.stop();
    soon(|| !two.a.is_available()).await;
    let asked = Instant::now();
    assert_eq!(put().await, Err(StoreError::Unavailable));
    assert!(asked.elapsed() < patience, "nothing is waited for");
    two.redis.start_again();
    soon(|| two.a.is_available()).await;
    assert_eq!(put().await, Ok(None));
}

#[tokio::test]
async fn the_keys_of_a_shelf_share_a_slot_and_end_by_themselves() {
    let two = Two::start().await;
    let shelf = two.a.shelf("tests", LIMITS);
    for n in 0..6 {
        let id = Id::new("id-", [n; 16]);
        let put = shelf.put(OWNER, &id, Bytes::new(), Bytes::new()).await;
        assert_eq!(put, Ok(None));
    }
    let Value::Array(keys) = ask(&two.a, cmd("KEYS").arg("*")).await else {
        panic!("not a list");
    };
    assert_eq!(keys.len(), 3 + LIMITS.max, "what went left nothing");
    for key in keys {
        let key: String = redis::from_redis_value(key).expect("a text");
        assert!(key.starts_with("tf:{tests}:"), "{key}");
        let life = ask(&two.a, cmd("PTTL").arg(&key)).await;
        assert!(matches!(life, Value::Int(1..)), "{key}: {life:?}");
    }
}
