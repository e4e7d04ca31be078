//! What keys use, counted by all nodes together in Redis: every change is one script.
//!
//! Each answer under way has a lease there, which its node renews, so that a node that dies leaves
//! nothing taken for longer; what its answers held is counted as used then. What has ended here is
//! told with the next request of its key, or at once if there is none.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use redis::{RedisError, Script, ScriptInvocation, aio::MultiplexedConnection};
use tokio::{
    select,
    sync::Notify,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    Held, Limit, LimitFuture, Limiter, MemoryLimiter, Quota, Refused, Standing,
    levels::Levels,
    scripts::{ACCOUNT, RENEW, RESERVE},
};

/// The longest that a request waits for Redis.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most ended answers of a key that wait to be told while Redis is away; the others are
/// counted as what they held, when their lease has run out.
const MOST_ENDED: usize = 10_000;
/// How many leases one script renews.
const AT_ONCE: usize = 500;

/// Gives the connection as it is now, if there is one.
pub type Connect = Arc<dyn Fn() -> Option<MultiplexedConnection> + Send + Sync>;

/// The limits of a node among several.
pub struct RedisLimiter {
    connect: Connect,
    node: String,
    lease: Duration,
    // Counts while Redis is away; without it nobody is let in then.
    own: Option<MemoryLimiter>,
    names: AtomicU64,
    books: Mutex<HashMap<String, Book>>,
    changed: Notify,
    reserve: Script,
    renew: Script,
}

/// What this node has to tell of one key.
struct Book {
    quota: Arc<Quota>,
    // Answers under way, with the tokens that each holds.
    live: HashMap<String, u64>,
    // Answers that have ended, with the tokens that each used.
    ended: Vec<(String, u64)>,
}

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("there is no connection")]
    Away,
    #[error("no answer in time")]
    Late,
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("not an answer of this script")]
    Answer,
}

/// A script on its way. What it was to tell is told again if it is not known to have arrived,
/// which changes nothing if it has.
struct Telling<'a> {
    limiter: &'a RedisLimiter,
    quota: &'a Arc<Quota>,
    ended: Vec<(String, u64)>,
}

impl RedisLimiter {
    /// Limits that all nodes share whose connections lead to the same Redis. `node` is this
    /// process' own name. While Redis is away they are this node's alone if `is_own`, or nobody is
    /// let in.
    pub fn new(connect: Connect, node: &str, (lease, is_own): (Duration, bool)) -> Self {
        let script = |own: &str| Script::new(&format!("{ACCOUNT}{own}"));
        Self {
            connect,
            node: node.to_owned(),
            lease,
            own: is_own.then(MemoryLimiter::default),
            names: AtomicU64::new(0),
            books: Mutex::default(),
            changed: Notify::new(),
            reserve: script(RESERVE),
            renew: script(RENEW),
        }
    }

    async fn reserve_shared(
        &self,
        quota: &Arc<Quota>,
        tokens: u64,
    ) -> Result<(Held, Standing), Refused> {
        let id = format!("{}/{}", self.node, self.names.fetch_add(1, Relaxed));
        let mut telling = self.telling(quota);
        let mut call = self.call(&self.reserve, &telling);
        call.arg(&id).arg(tokens);
        call.arg(quota.streams.unwrap_or(0));
        call.arg(quota.tokens_per_day.unwrap_or(0));
        // A client that leaves meanwhile leaves nothing taken.
        telling.ended.push((id.clone(), 0));
        let (verdict, levels) = match self.ask(&call).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "limits are not counted together");
                drop(telling);
                let own = self.own.as_ref().ok_or(Refused::Unavailable)?;
                return own.reserve_now(quota, tokens);
            }
        };
        telling.ended.clear();
        if let Some(limit) = verdict {
            let exceeded = levels.refusal(quota, (limit, tokens));
            return Err(Refused::Exceeded(Box::new(exceeded)));
        }
        if let Some(book) = self.books().get_mut(&quota.name) {
            book.live.insert(id.clone(), tokens);
        }
        let held = Held {
            quota: Arc::clone(quota),
            id,
            tokens,
            is_own: false,
        };
        Ok((held, levels.standing(quota)))
    }

    /// Tells what has ended, and of every answer under way if `is_renewal`.
    async fn tell(&self, is_renewal: bool) {
        let due = |book: &Book| !book.ended.is_empty() || (is_renewal && !book.live.is_empty());
        let quotas: Vec<_> = {
            let books = self.books();
            let due = books.values().filter(|book| due(book));
            due.map(|book| Arc::clone(&book.quota)).collect()
        };
        let tell = quotas.iter().map(|quota| self.tell_of(quota, is_renewal));
        join_all(tell).await;
    }

    async fn tell_of(&self, quota: &Arc<Quota>, is_renewal: bool) {
        let mut telling = self.telling(quota);
        let live: Vec<_> = match self.books().get(&quota.name) {
            Some(book) if is_renewal => book.live.clone().into_iter().collect(),
            Some(_) | None => Vec::new(),
        };
        let mut parts = live.chunks(AT_ONCE);
        loop {
            let part = parts.next().unwrap_or_default();
            let mut call = self.call(&self.renew, &telling);
            for (id, tokens) in part {
                call.arg(id).arg(tokens);
            }
            if let Err(error) = self.ask(&call).await {
                tracing::debug!(%error, "limits are told later");
                return;
            }
            telling.ended.clear();
            if parts.len() == 0 {
                return;
            }
        }
    }

    fn telling<'a>(&'a self, quota: &'a Arc<Quota>) -> Telling<'a> {
        let mut books = self.books();
        let book = books.entry(quota.name.clone()).or_insert_with(|| Book {
            quota: Arc::clone(quota),
            live: HashMap::new(),
            ended: Vec::new(),
        });
        Telling {
            limiter: self,
            quota,
            ended: std::mem::take(&mut book.ended),
        }
    }

    fn call<'a>(&self, script: &'a Script, telling: &Telling<'_>) -> ScriptInvocation<'a> {
        let quota = telling.quota;
        let mut call = script.prepare_invoke();
        for kind in ["account", "streams", "held"] {
            // One hash tag, so that one script may use all three.
            call.key(format!("tf:{{limits:{}}}:{kind}", quota.name));
        }
        call.arg(quota.rpm.unwrap_or(0)).arg(quota.tpm.unwrap_or(0));
        call.arg(u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX));
        call.arg(telling.ended.len());
        for (id, used) in &telling.ended {
            call.arg(id).arg(used);
        }
        call
    }

    async fn ask(&self, call: &ScriptInvocation<'_>) -> Result<(Option<Limit>, Levels), AskError> {
        let mut connection = (self.connect)().ok_or(AskError::Away)?;
        let answer = timeout(PATIENCE, call.invoke_async(&mut connection));
        let answer: Vec<String> = answer.await.map_err(|_| AskError::Late)??;
        read(&answer).ok_or(AskError::Answer)
    }

    fn books(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        // Collections are left whole by every operation under the lock.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(answer: &[String]) -> Option<(Option<Limit>, Levels)> {
    let [verdict, numbers @ ..] = answer else {
        return None;
    };
    let verdict = match &verdict[..] {
        "ok" => None,
        "requests" => Some(Limit::Requests),
        "tokens" => Some(Limit::Tokens),
        "streams" => Some(Limit::Streams),
        "day" => Some(Limit::Day),
        _ => return None,
    };
    let mut numbers = numbers.iter().map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    let levels = Levels {
        now: next()?,
        requests: next()?,
        tokens: next()?,
        held: next()?,
        spent: next()?,
        open: next()?,
    };
    Some((verdict, levels))
}

impl Limiter for RedisLimiter {
    fn reserve<'a>(
        &'a self,
        quota: &'a Arc<Quota>,
        tokens: u64,
    ) -> LimitFuture<'a, Result<(Held, Standing), Refused>> {
        Box::pin(self.reserve_shared(quota, tokens))
    }

    fn end(&self, held: &Held, used: u64) {
        if let (true, Some(own)) = (held.is_own, &self.own) {
            return own.end(held, used);
        }
        if let Some(book) = self.books().get_mut(&held.quota.name) {
            book.live.remove(&held.id);
            book.ended.push((held.id.clone(), used));
        }
        self.changed.notify_one();
    }

    fn tend(&self) -> LimitFuture<'_, ()> {
        Box::pin(async move {
            let mut renewal = interval(self.lease / 3);
            renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                select! {
                    _ = renewal.tick() => self.tell(true).await,
                    () = self.changed.notified() => self.tell(false).await,
                }
            }
        })
    }

    fn settle(&self) -> LimitFuture<'_, ()> {
        Box::pin(self.tell(false))
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        if let Some(book) = self.limiter.books().get_mut(&self.quota.name) {
            book.ended.append(&mut self.ended);
            book.ended.truncate(MOST_ENDED);
        }
    }
}
