//! The one script that writes: batches of many logs in one call.

use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, Value};

use super::{
    link::Link,
    scripts::{ScriptError, Times, millis},
};
use crate::stream::Seq;

/// For each log adds a batch, or none, and renews the lease. What fails for one is nothing to the
/// others. Where the top is the one that the writer knows nothing has to be counted.
/// ARGV: lease, life, life after the end and memory of the name in ms, 1 if batches are published;
/// then of each log what its keys begin with, nonce, `add`, `renew` or `end`, `<epoch>-<place>`
/// before the batch and of it, and the batch or ''.
const WRITE: &str = r"
local function numbers(place)
  local e, s = string.match(place, '(%d+)-(%d+)')
  return tonumber(e), tonumber(s)
end
local function write(log, nonce, how, before, place, batch)
  local meta = redis.call('HMGET', log .. 'meta', 'nonce', 'top', 'cancel', 'grace')
  if not meta[1] then
    return redis.call('GET', log .. 'gone') == 'removed' and 'replaced' or 'missing'
  end
  if meta[1] ~= nonce then return 'replaced' end
  local top, is_there, readers = meta[2], batch == '', nil
  if top and top ~= before then
    local te, ts = numbers(top)
    local e, s = numbers(place)
    local _, last = numbers(before)
    if te > e then return 'fenced' end
    is_there = is_there or te == e and ts >= s
    if not is_there and ts < last then return 'hole ' .. ts end
  end
  if not is_there then
    if not top and string.match(before, '-0$') then
      redis.call('XADD', log .. 'log', place, 'b', batch)
    elseif not top or not redis.call('XADD', log .. 'log', 'NOMKSTREAM', place, 'b', batch) then
      redis.call('HDEL', log .. 'meta', 'top')
      return 'hole 0'
    end
    redis.call('HSET', log .. 'meta', 'top', place)
    if ARGV[5] == '1' then readers = redis.call('SPUBLISH', log .. 'live', batch) end
  end
  if how == 'end' then
    redis.call('PEXPIRE', log .. 'log', ARGV[3])
    redis.call('PEXPIRE', log .. 'meta', ARGV[3])
    redis.call('DEL', log .. 'lease')
    redis.call('SET', log .. 'gone', '1', 'PX', ARGV[4])
  elseif how == 'renew' or not top then
    redis.call('PEXPIRE', log .. 'log', ARGV[2])
    redis.call('PEXPIRE', log .. 'meta', ARGV[2])
    redis.call('SET', log .. 'lease', nonce, 'PX', ARGV[1])
  end
  readers = readers or redis.call('PUBSUB', 'SHARDNUMSUB', log .. 'live')[2]
  return 'ok ' .. readers .. ' ' .. (meta[3] or 0) .. ' ' .. (meta[4] or 0)
end
local answers = {}
for at = 6, #ARGV, 6 do
  local done, answer = pcall(write, unpack(ARGV, at, at + 5))
  answers[#answers + 1] = done and answer or 'failed'
end
return table.concat(answers, ',')
";

/// What each log is told with.
const ARGS: usize = 6;
/// How many bytes of a call one log takes, mostly.
const LOG_BYTES: usize = 512;

/// What is to be written of one log.
pub(super) struct Writing<'a> {
    /// What its keys begin with.
    pub(super) log: &'a str,
    pub(super) nonce: &'a str,
    pub(super) how: How,
    /// `<epoch>-<number>` before the batch, and its own.
    pub(super) places: (&'a str, &'a str),
    /// Empty where only the lease is renewed.
    pub(super) batch: &'a [u8],
}

/// What is done beside adding the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Nothing.
    Add,
    /// The lease is renewed.
    Renew,
    /// It is given up, because the log has ended.
    End,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is there.
    Ok {
        /// How many nodes read the log now.
        readers: u64,
        /// Somebody asked for a stop.
        is_cancelled: bool,
        /// How long the log is to go on unread, at least.
        grace: Duration,
    },
    /// There is nothing of the log.
    Missing,
    /// The log ends earlier than the batch begins, here.
    Hole(Seq),
    /// Another node has taken the log over.
    Fenced,
    /// Another log has its name.
    Replaced,
    /// Redis could not do it.
    Failed,
}

/// The script.
pub(super) struct Write(Script);

impl Default for Write {
    fn default() -> Self {
        Self(Script::new(WRITE))
    }
}

impl Write {
    /// A call that writes nothing yet, with room for so many logs.
    pub(super) fn call(&self, times: Times, is_published: bool, logs: usize) -> Cmd {
        let mut call = Cmd::with_capacity(8 + ARGS * logs, LOG_BYTES * (logs + 1));
        call.arg("EVALSHA").arg(self.0.get_hash()).arg(0);
        call.arg(millis(times.lease)).arg(millis(times.life));
        call.arg(millis(times.retention)).arg(millis(times.memory));
        call.arg(u8::from(is_published));
        call
    }

    /// Makes a call, which writes so many logs; what became of each.
    pub(super) async fn run(
        &self,
        link: &Link,
        call: &Cmd,
        logs: usize,
    ) -> Result<Vec<Written>, ScriptError> {
        let answer = self.ask(link, call).await;
        let answer = answer.inspect_err(|_| link.doubt())?;
        let Value::BulkString(answers) = answer else {
            return Err(ScriptError::Answer);
        };
        let written = answers.split(|byte| *byte == b',').map(written);
        let written: Option<Vec<Written>> = written.collect();
        let written = written.filter(|written| written.len() == logs);
        written.ok_or(ScriptError::Answer)
    }

    async fn ask(&self, link: &Link, call: &Cmd) -> Result<Value, ScriptError> {
        let mut connection = link.connection().ok_or(ScriptError::Unreachable)?;
        let answer: RedisResult<Value> = call.query_async(&mut connection).await;
        let is_unknown = |error: &redis::RedisError| {
            error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        };
        if !answer.as_ref().is_err_and(is_unknown) {
            return Ok(answer?);
        }
        self.0.load_async(&mut connection).await?;
        Ok(call.query_async(&mut connection).await?)
    }
}

impl Writing<'_> {
    /// Adds it to a call; how many bytes the batch has.
    pub(super) fn add_to(&self, call: &mut Cmd) -> usize {
        let how = match self.how {
            How::Add => "add",
            How::Renew => "renew",
            How::End => "end",
        };
        call.arg(self.log).arg(self.nonce).arg(how);
        call.arg(self.places.0).arg(self.places.1).arg(self.batch);
        self.batch.len()
    }
}

/// `None` when it is no answer of the script.
fn written(answer: &[u8]) -> Option<Written> {
    let mut words = answer.split(|byte| *byte == b' ');
    let what = words.next()?;
    let mut next = || number(words.next()?);
    Some(match what {
        b"ok" => Written::Ok {
            readers: next()?,
            is_cancelled: next()? == 1,
            grace: Duration::from_millis(next()?),
        },
        b"hole" => Written::Hole(Seq(next()?)),
        b"missing" => Written::Missing,
        b"fenced" => Written::Fenced,
        b"replaced" => Written::Replaced,
        b"failed" => Written::Failed,
        _ => return None,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_nothing_else() {
        let ok = Written::Ok {
            readers: 2,
            is_cancelled: true,
            grace: Duration::from_millis(60_000),
        };
        assert_eq!(written(b"ok 2 1 60000"), Some(ok));
        assert_eq!(written(b"hole 17"), Some(Written::Hole(Seq(17))));
        for other in [
            &b""[..],
            b"ok 2 1",
            b"hole",
            b"hole -1",
            b"hole 99999999999999999999",
            b"OK",
        ] {
            assert_eq!(written(other), None);
        }
    }
}
