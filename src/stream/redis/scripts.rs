//! What is done in Redis in one step: each a Lua script over the keys of one log. The one that
//! writes is in [`super::write`].
//!
//! A stream's own rule, that an entry's id is above the top, is the fence: who writes for an
//! epoch that is over cannot.

use std::time::Duration;

use bytes::Bytes;
use redis::{FromRedisValue, RedisResult, Script, ScriptInvocation};

use super::{
    batch::Batch,
    keys::{Keys, parse_place, place},
    link::Link,
    write::Write,
};
use crate::stream::Seq;

/// Begins a log, in place of another of its name.
/// ARGV: nonce, node, about, grace in ms, lease in ms, life in ms.
const OPEN: &str = r"
redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
redis.call('HSET', KEYS[2], 'nonce', ARGV[1], 'node', ARGV[2], 'about', ARGV[3], 'grace', ARGV[4])
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {'ok'}
";

/// What there is of a log.
const LOOK: &str = r"
local meta = redis.call('HMGET', KEYS[2], 'nonce', 'about', 'grace', 'top')
if not meta[1] then return {redis.call('GET', KEYS[4]) == '1' and 'gone' or 'missing'} end
local lease = tostring(redis.call('PTTL', KEYS[3]))
return {'ok', meta[1], meta[2], meta[3], meta[4] or '0-0', lease}
";

/// Ends a log whose writer is gone, or makes this node its writer. ARGV: nonce, `<epoch>-<place>` of
/// the top as it is known, the same of the batch, the batch, life in ms, memory of the name in ms, the
/// node that is its writer now or '', lease in ms.
const TAKE_OVER: &str = r"
if redis.call('EXISTS', KEYS[3]) == 1 then return {'leased'} end
local meta = redis.call('HMGET', KEYS[2], 'nonce', 'top')
if meta[1] ~= ARGV[1] then return {'replaced'} end
if (meta[2] or '0-0') ~= ARGV[2] then return {'moved'} end
if meta[2] and redis.call('EXISTS', KEYS[1]) == 0 then return {'moved'} end
redis.call('XADD', KEYS[1], ARGV[3], 'b', ARGV[4])
redis.call('HSET', KEYS[2], 'top', ARGV[3])
redis.call('SPUBLISH', KEYS[5], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
if ARGV[7] == '' then
  redis.call('SET', KEYS[4], '1', 'PX', ARGV[6])
else
  redis.call('HSET', KEYS[2], 'node', ARGV[7])
  redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[8])
end
return {'ok'}
";

/// Asks something of a log's writer. ARGV: nonce, `cancel` or `grace` or `look`, the value.
const ASK: &str = r"
local meta = redis.call('HMGET', KEYS[2], 'nonce', 'node', 'grace')
if meta[1] ~= ARGV[1] then return {'replaced'} end
if ARGV[2] == 'cancel' then redis.call('HSET', KEYS[2], 'cancel', '1') end
if ARGV[2] == 'grace' and tonumber(ARGV[3]) > tonumber(meta[3] or '0') then
  redis.call('HSET', KEYS[2], 'grace', ARGV[3])
end
redis.call('PUBLISH', 'tf:node:' .. meta[2], 'look ' .. ARGV[4])
return {'ok'}
";

/// Forgets a log and tells its writer, who must not fill it again.
/// ARGV: name, memory of the name in ms.
const REMOVE: &str = r"
local node = redis.call('HGET', KEYS[2], 'node')
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('SET', KEYS[4], 'removed', 'PX', ARGV[2])
if node then redis.call('PUBLISH', 'tf:node:' .. node, 'remove ' .. ARGV[1]) end
return {'ok'}
";

/// Redis was asked in vain.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScriptError {
    /// There is no connection.
    #[error("Redis cannot be reached")]
    Unreachable,
    /// It answered with an error, or not in time.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// It answered with something else than what was asked.
    #[error("Redis answered a script of ours with something else")]
    Answer,
}

/// The scripts, hashed once.
pub(super) struct Scripts {
    open: Script,
    pub(super) write: Write,
    look: Script,
    take_over: Script,
    ask: Script,
    remove: Script,
}

/// Times in Redis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) lease: Duration,
    /// How long the keys outlive the last that was heard of their log.
    pub(super) life: Duration,
    /// How long they outlive its end.
    pub(super) retention: Duration,
    /// How long the name of an expired log is remembered.
    pub(super) memory: Duration,
}

/// What a log begins with.
pub(super) struct Opening<'a> {
    pub(super) nonce: &'a str,
    pub(super) node: &'a str,
    pub(super) about: &'a [u8],
    pub(super) grace: Duration,
}

/// A log that is taken over.
#[derive(Clone, Copy)]
pub(super) struct Taking<'a> {
    pub(super) nonce: &'a str,
    /// Epoch and number of its last entry, as they are known.
    pub(super) top: (u32, Seq),
    /// What is added: its end, or what begins another epoch.
    pub(super) batch: &'a Batch,
    /// The same as bytes.
    pub(super) bytes: &'a [u8],
    /// The node that goes on; empty if none does.
    pub(super) node: &'a str,
}

/// What there is of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Log {
        nonce: String,
        about: Bytes,
        grace: Duration,
        /// Epoch and number of the last entry.
        top: (u32, Seq),
        /// For how long its writer has it for sure.
        lease: Option<Duration>,
    },
    Gone,
    Missing,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            open: Script::new(OPEN),
            write: Write::default(),
            look: Script::new(LOOK),
            take_over: Script::new(TAKE_OVER),
            ask: Script::new(ASK),
            remove: Script::new(REMOVE),
        }
    }
}

impl Scripts {
    pub(super) async fn open(
        &self,
        link: &Link,
        keys: &Keys,
        opening: Opening<'_>,
        times: Times,
    ) -> Result<(), ScriptError> {
        let mut call = on(&self.open, keys);
        call.arg(opening.nonce).arg(opening.node);
        call.arg(opening.about).arg(millis(opening.grace));
        call.arg(millis(times.lease)).arg(millis(times.life));
        run(link, &call).await.map(drop)
    }

    pub(super) async fn look(&self, link: &Link, keys: &Keys) -> Result<Seen, ScriptError> {
        let answer = run(link, &on(&self.look, keys)).await?;
        Ok(match &answer[0][..] {
            b"ok" => Seen::Log {
                nonce: text(&answer, 1)?.to_owned(),
                about: answer.get(2).ok_or(ScriptError::Answer)?.clone().into(),
                grace: Duration::from_millis(number(&answer, 3)?),
                top: parse_place(text(&answer, 4)?).ok_or(ScriptError::Answer)?,
                // Negative where there is no such key.
                lease: number(&answer, 5).ok().map(Duration::from_millis),
            },
            b"gone" => Seen::Gone,
            b"missing" => Seen::Missing,
            _ => return Err(ScriptError::Answer),
        })
    }

    /// Whether it was taken over by this; by the node of this name, if it goes on.
    pub(super) async fn take_over(
        &self,
        link: &Link,
        keys: &Keys,
        taking: Taking<'_>,
        times: Times,
    ) -> Result<bool, ScriptError> {
        let mut call = on(&self.take_over, keys);
        let Taking {
            nonce,
            top,
            batch,
            bytes,
            node,
        } = taking;
        let life = match node {
            "" => times.retention,
            _ => times.life,
        };
        call.arg(nonce).arg(place(top));
        call.arg(place((batch.epoch, batch.place()))).arg(bytes);
        call.arg(millis(life)).arg(millis(times.memory));
        call.arg(node).arg(millis(times.lease));
        Ok(run(link, &call).await?[0] == b"ok")
    }

    /// Asks the writer of a log to look at `what`, `cancel` or `grace` or `look`.
    pub(super) async fn ask(
        &self,
        link: &Link,
        keys: &Keys,
        nonce: &str,
        (what, value): (&str, u64),
    ) -> Result<(), ScriptError> {
        let mut call = on(&self.ask, keys);
        call.arg(nonce).arg(what).arg(value).arg(&keys.name);
        run(link, &call).await.map(drop)
    }

    pub(super) async fn remove(
        &self,
        link: &Link,
        keys: &Keys,
        times: Times,
    ) -> Result<(), ScriptError> {
        let mut call = on(&self.remove, keys);
        call.arg(&keys.name).arg(millis(times.memory));
        run(link, &call).await.map(drop)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .min(1 << 50)
}

fn on<'a>(script: &'a Script, keys: &Keys) -> ScriptInvocation<'a> {
    let mut call = script.prepare_invoke();
    for key in [&keys.log, &keys.meta, &keys.lease, &keys.gone, &keys.live] {
        call.key(key);
    }
    call
}

pub(super) async fn run(
    link: &Link,
    call: &ScriptInvocation<'_>,
) -> Result<Vec<Vec<u8>>, ScriptError> {
    let mut connection = link.connection().ok_or(ScriptError::Unreachable)?;
    let answer: RedisResult<redis::Value> = call.invoke_async(&mut connection).await;
    let answer = answer.inspect_err(|_| link.doubt())?;
    let answer = Vec::<Vec<u8>>::from_redis_value(answer).map_err(|_| ScriptError::Answer)?;
    if answer.is_empty() {
        return Err(ScriptError::Answer);
    }
    Ok(answer)
}

pub(super) fn text(answer: &[Vec<u8>], at: usize) -> Result<&str, ScriptError> {
    let text = answer
        .get(at)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.ok_or(ScriptError::Answer)
}

pub(super) fn number<T: std::str::FromStr>(
    answer: &[Vec<u8>],
    at: usize,
) -> Result<T, ScriptError> {
    text(answer, at)?.parse().map_err(|_| ScriptError::Answer)
}
