//! What every limiter promises. Each case runs against every implementation in [`limiters`].

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::*;

#[path = "../../../tests/it/redis.rs"]
#[expect(clippy::disallowed_methods, reason = "it waits for another process")]
mod server;

const LEASE: Duration = Duration::from_millis(600);

/// One limiter, as two nodes see it; the same one twice where there is one node.
struct Nodes {
    name: &'static str,
    a: Arc<dyn Limiter>,
    b: Arc<dyn Limiter>,
}

async fn node(redis: &server::Redis, name: &str, is_own: bool) -> RedisLimiter {
    let client = ::redis::Client::open(redis.url()).expect("a URL");
    let connection = client.get_multiplexed_async_connection().await;
    let connection = connection.expect("a server that answers");
    let connect: Connect = Arc::new(move || Some(connection.clone()));
    RedisLimiter::new(connect, name, (LEASE, is_own))
}

/// Every implementation, made anew, through all of a claim.
async fn on_each(claim: impl AsyncFn(&Nodes)) {
    let alone: Arc<dyn Limiter> = Arc::new(MemoryLimiter::default());
    let memory = Nodes {
        name: "memory",
        a: Arc::clone(&alone),
        b: alone,
    };
    claim(&memory).await;
    let redis = server::Redis::start();
    let nodes = Nodes {
        name: "redis",
        a: Arc::new(node(&redis, "a", false).await),
        b: Arc::new(node(&redis, "b", false).await),
    };
    tokio::select! {
        () = nodes.a.tend() => {}
        () = nodes.b.tend() => {}
        () = claim(&nodes) => {}
    }
}

fn quota(change: impl FnOnce(&mut Quota)) -> Arc<Quota> {
    let mut quota = Quota {
        name: "a key's}{name".to_owned(),
        ..Quota::default()
    };
    change(&mut quota);
    Arc::new(quota)
}

async fn exceeded(limiter: &Arc<dyn Limiter>, quota: &Arc<Quota>, tokens: u64) -> Exceeded {
    match limiter.reserve(quota, tokens).await {
        Err(Refused::Exceeded(exceeded)) => *exceeded,
        other => panic!("{other:?}"),
    }
}

/// Asks until it is let in.
async fn held(limiter: &Arc<dyn Limiter>, quota: &Arc<Quota>, tokens: u64) -> Held {
    let let_in = async {
        loop {
            if let Ok((held, _)) = limiter.reserve(quota, tokens).await {
                return held;
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    let let_in = timeout(Duration::from_secs(60), let_in).await;
    let_in.expect("let in some time")
}

#[tokio::test]
async fn who_waits_as_long_as_told_is_let_in() {
    on_each(async |nodes| {
        // One every 100 ms.
        let quota = quota(|quota| quota.rpm = Some(600));
        let mut left = 600;
        for _ in 0..300 {
            for node in [&nodes.a, &nodes.b] {
                let (held, standing) = node.reserve(&quota, 5).await.expect("room");
                node.end(&held, 5);
                let meter = standing.requests.expect("a limit");
                assert!(meter.remaining + 1 >= left.min(600), "{}", nodes.name);
                assert!(standing.tokens.is_none());
                left = meter.remaining;
            }
        }
        for _ in 0..20 {
            // Some came back while the others were taken.
            if let Err(Refused::Exceeded(exceeded)) = nodes.b.reserve(&quota, 5).await {
                let wait = exceeded.retry_after.expect("a time");
                assert_eq!((exceeded.limit, exceeded.size), (Limit::Requests, 600));
                assert!(wait <= Duration::from_millis(100), "{wait:?}");
                sleep(wait).await;
                let again = nodes.a.reserve(&quota, 5).await;
                assert!(again.is_ok(), "{}: {again:?}", nodes.name);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn tokens_are_held_and_then_counted_as_used() {
    on_each(async |nodes| {
        // So slow that nothing comes back during the test.
        let quota = quota(|quota| quota.tpm = Some(100));
        let (first, standing) = nodes.a.reserve(&quota, 90).await.expect("room");
        let meter = standing.tokens.expect("a limit");
        assert_eq!((meter.limit, meter.remaining), (100, 10), "{}", nodes.name);
        let refused = exceeded(&nodes.b, &quota, 20).await;
        assert_eq!((refused.limit, refused.used), (Limit::Tokens, 90));
        assert_eq!(refused.retry_after, Some(Duration::from_secs(6)));
        nodes.a.end(&first, 30);
        let (_, standing) = nodes.a.reserve(&quota, 50).await.expect("room");
        let meter = standing.tokens.expect("a limit");
        assert!(
            (20..=21).contains(&meter.remaining),
            "{}: {meter:?}",
            nodes.name
        );
        assert!(meter.reset > Duration::from_secs(17), "{meter:?}");
        assert!(meter.reset <= Duration::from_secs(18), "{meter:?}");
        let never = exceeded(&nodes.b, &quota, 101).await;
        assert_eq!(never.retry_after, None, "{}", nodes.name);
    })
    .await;
}

#[tokio::test]
async fn streams_are_free_once_they_have_ended() {
    on_each(async |nodes| {
        let quota = quota(|quota| quota.streams = Some(2));
        let (first, standing) = nodes.a.reserve(&quota, 0).await.expect("room");
        assert_eq!(standing, Standing::default());
        let (_second, _) = nodes.b.reserve(&quota, 0).await.expect("room");
        for node in [&nodes.a, &nodes.b] {
            let refused = exceeded(node, &quota, 0).await;
            assert_eq!((refused.limit, refused.used), (Limit::Streams, 2));
        }
        nodes.a.end(&first, 0);
        // At once where it ended, soon elsewhere.
        let (third, _) = nodes.a.reserve(&quota, 0).await.expect("room");
        nodes.a.end(&third, 0);
        held(&nodes.b, &quota, 0).await;
        exceeded(&nodes.a, &quota, 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_days_tokens_are_spent_once() {
    on_each(async |nodes| {
        let quota = quota(|quota| quota.tokens_per_day = Some(1_000_000_000_000));
        let half = 500_000_000;
        for _ in 0..10 {
            let (held, _) = nodes.a.reserve(&quota, half * 2).await.expect("room");
            nodes.a.end(&held, half);
        }
        let few = Arc::new(Quota {
            tokens_per_day: Some(half * 10 + 7),
            ..(*quota).clone()
        });
        let refused = exceeded(&nodes.a, &few, 8).await;
        assert_eq!((refused.limit, refused.used), (Limit::Day, half * 10));
        let wait = refused.retry_after.expect("a time");
        assert!(wait <= Duration::from_secs(86_400), "{wait:?}");
        nodes.a.reserve(&few, 7).await.expect("the rest");
    })
    .await;
}

#[tokio::test]
async fn a_refused_request_takes_nothing() {
    on_each(async |nodes| {
        let quota = quota(|quota| {
            quota.rpm = Some(2);
            quota.tpm = Some(100);
        });
        for _ in 0..5 {
            let refused = exceeded(&nodes.a, &quota, 101).await;
            let left = refused.standing.requests.expect("a limit").remaining;
            assert_eq!(left, 2, "{}", nodes.name);
        }
        nodes.a.reserve(&quota, 100).await.expect("room");
    })
    .await;
}

#[tokio::test]
async fn keys_are_counted_apart() {
    on_each(async |nodes| {
        let one = quota(|quota| quota.streams = Some(1));
        let other = Arc::new(Quota {
            name: "other".to_owned(),
            ..(*one).clone()
        });
        let _held = nodes.a.reserve(&one, 0).await.expect("room");
        nodes.b.reserve(&other, 0).await.expect("room of its own");
        exceeded(&nodes.b, &one, 0).await;
    })
    .await;
}

#[tokio::test]
async fn of_many_at_once_as_many_are_let_in_as_there_is_room_for() {
    on_each(async |nodes| {
        let quota = quota(|quota| quota.streams = Some(7));
        let asked = (0..40).map(|n| match n % 2 {
            0 => nodes.a.reserve(&quota, 0),
            _ => nodes.b.reserve(&quota, 0),
        });
        let answers = futures_util::future::join_all(asked).await;
        let let_in = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(let_in, 7, "{}", nodes.name);
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_gone_leaves_nothing_taken_for_longer_than_its_lease() {
    let redis = server::Redis::start();
    let quota = quota(|quota| {
        quota.streams = Some(2);
        quota.tpm = Some(100);
    });
    let gone = node(&redis, "gone", false).await;
    let here: Arc<dyn Limiter> = Arc::new(node(&redis, "here", false).await);
    let start = Instant::now();
    let _lost = gone.reserve(&quota, 40).await.expect("room");
    let claim = async {
        let _kept = here.reserve(&quota, 10).await.expect("room");
        exceeded(&here, &quota, 0).await;
        held(&here, &quota, 0).await;
        assert!(start.elapsed() >= LEASE, "not before");
        // The one that is renewed counts still, and the lost one's tokens as used.
        sleep(LEASE).await;
        let refused = exceeded(&here, &quota, 60).await;
        assert_eq!((refused.limit, refused.size), (Limit::Tokens, 100));
        assert!((30..=50).contains(&refused.used), "{refused:?}");
    };
    tokio::select! {
        () = here.tend() => {}
        () = claim => {}
    }
}

#[tokio::test]
async fn who_leaves_while_redis_is_asked_leaves_nothing_taken() {
    let redis = server::Redis::start();
    let quota = quota(|quota| quota.streams = Some(1));
    let here: Arc<dyn Limiter> = Arc::new(node(&redis, "here", false).await);
    for _ in 0..50 {
        let mut asking = here.reserve(&quota, 0);
        assert!(futures_util::poll!(&mut asking).is_pending());
        drop(asking);
    }
    let (held, _) = here.reserve(&quota, 0).await.expect("room");
    here.end(&held, 0);
    here.settle().await;
    assert!(
        redis
            .ask("KEYS tf:*:streams")
            .expect("an answer")
            .contains("*0")
    );
}

#[tokio::test]
async fn without_redis_requests_are_refused_or_counted_by_this_node() {
    let mut redis = server::Redis::start();
    let quota = quota(|quota| quota.streams = Some(1));
    let strict = node(&redis, "strict", false).await;
    let tolerant: Arc<dyn Limiter> = Arc::new(node(&redis, "tolerant", true).await);
    redis.stop();
    let refused = strict.reserve(&quota, 0).await.expect_err("closed");
    assert_eq!(refused, Refused::Unavailable);
    let (held, _) = tolerant.reserve(&quota, 0).await.expect("open");
    exceeded(&tolerant, &quota, 0).await;
    tolerant.end(&held, 0);
    tolerant.reserve(&quota, 0).await.expect("open");
}

#[tokio::test]
async fn a_redis_that_says_nothing_is_waited_for_a_bounded_time() {
    let redis = server::Redis::start();
    let quota = quota(|quota| quota.streams = Some(1));
    let strict = node(&redis, "strict", false).await;
    redis.signal(rustix::process::Signal::STOP);
    let asked = Instant::now();
    let refused = strict.reserve(&quota, 0).await.expect_err("closed");
    assert_eq!(refused, Refused::Unavailable);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    redis.signal(rustix::process::Signal::CONT);
    held(&(Arc::new(strict) as Arc<dyn Limiter>), &quota, 0).await;
}

#[tokio::test]
async fn every_key_in_redis_ends_by_itself_and_shares_a_slot() {
    let redis = server::Redis::start();
    let quota = quota(|quota| quota.streams = Some(1));
    let here = node(&redis, "here", false).await;
    let _held = here.reserve(&quota, 5).await.expect("room");
    let keys = redis.ask("KEYS *").expect("an answer");
    assert!(keys.starts_with("*3\r\n"), "{keys}");
    for key in keys.lines().filter(|line| line.starts_with("tf:")) {
        assert!(key.starts_with("tf:{limits:a key's}{name}:"), "{key}");
        let life = redis.ask(&format!("PTTL \"{key}\"")).expect("an answer");
        assert!(!life.starts_with(":-"), "{key}: {life}");
    }
}
