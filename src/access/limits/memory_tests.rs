//! The arithmetic, to the millisecond, on a clock that stands still.

use tokio::time::advance;

use super::*;
use crate::access::limits::{Exceeded, Limit, levels::DAY};

fn quota(change: impl FnOnce(&mut Quota)) -> Arc<Quota> {
    let mut quota = Quota {
        name: "a".to_owned(),
        ..Quota::default()
    };
    change(&mut quota);
    Arc::new(quota)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One request after the other, each ended at once; what the last was told.
fn ask(limiter: &MemoryLimiter, quota: &Arc<Quota>, tokens: u64) -> Result<Standing, Exceeded> {
    match limiter.reserve_now(quota, tokens) {
        Ok((held, standing)) => {
            limiter.end(&held, tokens);
            Ok(standing)
        }
        Err(Refused::Exceeded(exceeded)) => Err(*exceeded),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn requests_come_back_evenly_and_the_wait_is_exact() {
    let limiter = MemoryLimiter::default();
    // One every 857 and one seventh milliseconds.
    let quota = quota(|quota| quota.rpm = Some(70));
    for left in (0..70).rev() {
        let meter = ask(&limiter, &quota, 0).expect("room").requests;
        let meter = meter.expect("a limit");
        assert_eq!((meter.limit, meter.remaining), (70, left));
    }
    for _ in 0..200 {
        let exceeded = ask(&limiter, &quota, 0).expect_err("none left");
        assert_eq!(exceeded.limit, Limit::Requests);
        assert_eq!((exceeded.size, exceeded.asked), (70, 1));
        let wait = exceeded.retry_after.expect("a time");
        assert!(wait <= millis(858), "{wait:?}");
        advance(wait - millis(1)).await;
        ask(&limiter, &quota, 0).expect_err("too early by a millisecond");
        advance(millis(1)).await;
        let meter = ask(&limiter, &quota, 0).expect("room").requests;
        let reset = meter.expect("a limit").reset;
        assert!(
            reset > millis(59_000) && reset <= millis(60_000),
            "{reset:?}"
        );
    }
    advance(millis(60_000)).await;
    let meter = ask(&limiter, &quota, 0)
        .expect("room")
        .requests
        .expect("a limit");
    assert_eq!((meter.remaining, meter.reset), (69, millis(858)));
}

#[tokio::test(start_paused = true)]
async fn no_minute_has_more_than_its_tokens_and_what_comes_back_in_it() {
    let limiter = MemoryLimiter::default();
    let quota = quota(|quota| quota.tpm = Some(1000));
    let mut used = 0;
    for _ in 0..6000 {
        if ask(&limiter, &quota, 7).is_ok() {
            used += 7;
        }
        advance(millis(10)).await;
    }
    assert!((1990..=2000).contains(&used), "{used}");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_held_until_the_end_and_counted_as_used_then() {
    let limiter = MemoryLimiter::default();
    let quota = quota(|quota| quota.tpm = Some(600));
    let (held, standing) = limiter.reserve_now(&quota, 500).expect("room");
    let meter = standing.tokens.expect("a limit");
    assert_eq!((meter.remaining, meter.reset), (100, Duration::ZERO));
    advance(millis(3_600_000)).await;
    let exceeded = ask(&limiter, &quota, 101).expect_err("still held");
    assert_eq!((exceeded.used, exceeded.asked), (500, 101));
    limiter.end(&held, 200);
    let meter = ask(&limiter, &quota, 0)
        .expect("room")
        .tokens
        .expect("a limit");
    assert_eq!((meter.remaining, meter.reset), (400, millis(20_000)));
    // What was used beyond what was held is owed.
    let (held, _) = limiter.reserve_now(&quota, 1).expect("room");
    limiter.end(&held, 1000);
    let exceeded = ask(&limiter, &quota, 10).expect_err("owed");
    assert_eq!(exceeded.retry_after, Some(millis(61_000)), "610 tokens");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_fits_is_told_so() {
    let limiter = MemoryLimiter::default();
    let quota = quota(|quota| quota.tpm = Some(600));
    let exceeded = ask(&limiter, &quota, 601).expect_err("too large");
    assert_eq!(
        (exceeded.limit, exceeded.retry_after),
        (Limit::Tokens, None)
    );
    assert!(exceeded.to_string().contains("too large"), "{exceeded}");
    ask(&limiter, &quota, 600).expect("all of it");
}

#[tokio::test(start_paused = true)]
async fn a_days_tokens_are_back_at_midnight() {
    let limiter = MemoryLimiter::default();
    let quota = quota(|quota| quota.tokens_per_day = Some(1000));
    ask(&limiter, &quota, 900).expect("room");
    let (held, _) = limiter.reserve_now(&quota, 50).expect("room");
    let exceeded = ask(&limiter, &quota, 51).expect_err("spent and held");
    assert_eq!((exceeded.limit, exceeded.used), (Limit::Day, 950));
    let wait = exceeded.retry_after.expect("a time");
    let midnight = limiter.now() + u64::try_from(wait.as_millis()).expect("a day");
    assert_eq!(midnight % DAY, 0);
    advance(wait).await;
    ask(&limiter, &quota, 951).expect_err("held still");
    limiter.end(&held, 60);
    ask(&limiter, &quota, 940).expect("counted on the day of its end");
    ask(&limiter, &quota, 1).expect_err("all spent");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_changes_keeps_what_was_used() {
    let limiter = MemoryLimiter::default();
    let (few, many) = (quota(|q| q.tpm = Some(100)), quota(|q| q.tpm = Some(1000)));
    ask(&limiter, &few, 100).expect("room");
    let meter = ask(&limiter, &many, 0)
        .expect("room")
        .tokens
        .expect("a limit");
    assert_eq!((meter.remaining, meter.reset), (900, millis(6_000)));
}
