//! The one script that writes: batches of many logs in one call.

use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, Value, cmd};

use super::{
    link::Link,
    scripts::{ScriptError, Times, millis},
};
use crate::stream::Seq;

/// For each log adds a batch, or none, and renews the lease. What fails for one is nothing to the
/// others. A batch tells its epoch, place and first event itself, see [`super::batch`]; the epoch
/// alone is none.
/// ARGV: lease, life, life after the end and memory of the name in ms, 1 if batches are published;
/// then of each log what its keys begin with, nonce, `add`, `renew` or `end`, and batch.
const WRITE: &str = r"
local function write(log, nonce, how, batch)
  local meta = redis.call('HMGET', log .. 'meta', 'nonce', 'epoch', 'place', 'cancel', 'grace')
  if not meta[1] then
    return redis.call('GET', log .. 'gone') == 'removed' and 'replaced' or 'missing'
  end
  if meta[1] ~= nonce then return 'replaced' end
  local te, ts = tonumber(meta[2] or 0), tonumber(meta[3] or 0)
  local epoch = struct.unpack('>I4', batch)
  if te > epoch then return 'fenced' end
  local readers
  if #batch > 4 then
    local place, first = struct.unpack('>I8I8', batch, 5)
    if not (te == epoch and ts >= place) then
      if ts < first - 1 then return string.format('hole %.0f', ts) end
      if te > 0 and redis.call('EXISTS', log .. 'log') == 0 then
        redis.call('HDEL', log .. 'meta', 'epoch', 'place')
        return 'hole 0'
      end
      redis.call('XADD', log .. 'log', string.format('%.0f-%.0f', epoch, place), 'b', batch)
      redis.call('HSET', log .. 'meta', 'epoch', epoch, 'place', place)
      if ARGV[5] == '1' then readers = redis.call('SPUBLISH', log .. 'live', batch) end
    end
  end
  if how == 'end' then
    redis.call('PEXPIRE', log .. 'log', ARGV[3])
    redis.call('PEXPIRE', log .. 'meta', ARGV[3])
    redis.call('DEL', log .. 'lease')
    redis.call('SET', log .. 'gone', '1', 'PX', ARGV[4])
  elseif how == 'renew' or te == 0 then
    redis.call('PEXPIRE', log .. 'log', ARGV[2])
    redis.call('PEXPIRE', log .. 'meta', ARGV[2])
    redis.call('SET', log .. 'lease', nonce, 'PX', ARGV[1])
  end
  readers = readers or redis.call('PUBSUB', 'SHARDNUMSUB', log .. 'live')[2]
  return 'ok ' .. readers .. ' ' .. (meta[4] or 0) .. ' ' .. (meta[5] or 0)
end
local answers = {}
for at = 6, #ARGV, 4 do
  local done, answer = pcall(write, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  answers[#answers + 1] = done and answer or 'failed'
end
return answers
";

/// What is to be written of one log.
pub(super) struct Writing<'a> {
    /// What its keys begin with.
    pub(super) log: &'a str,
    pub(super) nonce: &'a str,
    pub(super) how: How,
    pub(super) epoch: u32,
    /// A batch of that epoch, if there is one.
    pub(super) batch: Option<&'a [u8]>,
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
    /// A call that writes nothing yet.
    pub(super) fn call(&self, times: Times, is_published: bool) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(self.0.get_hash()).arg(0);
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
        let Value::Array(answers) = answer else {
            return Err(ScriptError::Answer);
        };
        let written = answers.iter().map(written);
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
    /// Adds it to a call.
    pub(super) fn add_to(&self, call: &mut Cmd) {
        let how = match self.how {
            How::Add => "add",
            How::Renew => "renew",
            How::End => "end",
        };
        call.arg(self.log).arg(self.nonce).arg(how);
        call.arg(self.batch.unwrap_or(&self.epoch.to_be_bytes()));
    }
}

/// `None` when it is no answer of the script.
fn written(answer: &Value) -> Option<Written> {
    let Value::BulkString(answer) = answer else {
        return None;
    };
    let mut words = std::str::from_utf8(answer).ok()?.split(' ');
    let what = words.next()?;
    let mut number = || words.next()?.parse().ok();
    Some(match what {
        "ok" => Written::Ok {
            readers: number()?,
            is_cancelled: number()? == 1,
            grace: Duration::from_millis(number()?),
        },
        "hole" => Written::Hole(Seq(number()?)),
        "missing" => Written::Missing,
        "fenced" => Written::Fenced,
        "replaced" => Written::Replaced,
        "failed" => Written::Failed,
        _ => return None,
    })
}
