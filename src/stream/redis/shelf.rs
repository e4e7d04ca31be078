//! Records that all nodes see, in Redis: every change is one script over the keys of a shelf.

use std::sync::Arc;

use bytes::Bytes;
use redis::{Script, ScriptInvocation};

use super::{
    keys::ShelfKeys,
    scripts::{ScriptError, millis, number, run, text},
    shared::Shared,
};
use crate::stream::{
    Id, Listed, Owner, Range, Record, Shelf, ShelfLimits, StoreError, StoreFuture,
};

/// Sets `name` to what is asked for and `there` to its head and body, and defines what forgets a
/// record. ARGV: what all keys begin with, `<owner>:<id>`.
const NAMED: &str = r"
local prefix, name = ARGV[1], ARGV[2]
local there = redis.call('HMGET', KEYS[4], 'head', 'body')
local function forget(name)
  local size = redis.call('HGET', KEYS[2], name)
  if size then
    redis.call('HDEL', KEYS[2], name)
    redis.call('HINCRBY', KEYS[2], 'all', 0 - tonumber(size))
  end
  redis.call('ZREM', KEYS[1], name)
  redis.call('ZREM', prefix .. 'of:' .. string.sub(name, 1, 32), string.sub(name, 34))
  redis.call('DEL', prefix .. 'record:' .. name)
end
local function found()
  return {'ok', redis.call('ZSCORE', KEYS[1], name) or '0', there[1], there[2]}
end
";

/// Keeps a record unless there is one. What has expired is the oldest, so it is let go with it.
/// ARGV: head, body, life in ms, most records, most bytes.
const PUT: &str = r"
if there[1] then return found() end
forget(name)
local size = #ARGV[3] + #ARGV[4]
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local place = tonumber(last[2] or '0') + 1
redis.call('HSET', KEYS[4], 'head', ARGV[3], 'body', ARGV[4])
redis.call('ZADD', KEYS[1], place, name)
redis.call('ZADD', KEYS[3], place, string.sub(name, 34))
redis.call('HSET', KEYS[2], name, size)
redis.call('HINCRBY', KEYS[2], 'all', size)
for at = 1, 4 do redis.call('PEXPIRE', KEYS[at], ARGV[5]) end
while true do
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
  if not oldest then break end
  local is_kept = redis.call('EXISTS', prefix .. 'record:' .. oldest) == 1
  local is_room = redis.call('ZCARD', KEYS[1]) <= tonumber(ARGV[6])
    and tonumber(redis.call('HGET', KEYS[2], 'all')) <= tonumber(ARGV[7])
  if is_kept and is_room then break end
  forget(oldest)
end
return {'none'}
";

const GET: &str = r"
if there[1] then return found() end
return {'none'}
";

/// ARGV: head.
const REPLACE: &str = r"
if not there[1] then return {'none'} end
redis.call('HSET', KEYS[4], 'head', ARGV[3])
there[1] = ARGV[3]
return found()
";

/// ARGV: 1 if the head counts, the head.
const REMOVE: &str = r"
if not there[1] or (ARGV[3] == '1' and there[1] ~= ARGV[4]) then return {'none'} end
forget(name)
return {'ok'}
";

/// Places, names and heads; no name where the record has expired.
/// ARGV: what all keys begin with, `<owner>:`, 1 for the newest first, the place, the count.
const LIST: &str = r"
local range, far = 'ZRANGEBYSCORE', '+inf'
if ARGV[3] == '1' then range, far = 'ZREVRANGEBYSCORE', '-inf' end
local ids = redis.call(range, KEYS[3], ARGV[4], far, 'WITHSCORES', 'LIMIT', 0, ARGV[5])
local list = {'ok'}
for at = 1, #ids, 2 do
  local head = redis.call('HGET', ARGV[1] .. 'record:' .. ARGV[2] .. ids[at], 'head')
  table.insert(list, ids[at + 1])
  table.insert(list, head and ids[at] or '')
  table.insert(list, head or '')
end
return list
";

/// One shelf, as this node sees it.
pub(super) struct RedisShelf {
    shared: Arc<Shared>,
    name: &'static str,
    limits: ShelfLimits,
    put: Script,
    get: Script,
    replace: Script,
    remove: Script,
    list: Script,
}

impl RedisShelf {
    pub(super) fn new(shared: Arc<Shared>, name: &'static str, limits: ShelfLimits) -> Self {
        let named = |script: &str| Script::new(&format!("{NAMED}{script}"));
        Self {
            shared,
            name,
            limits,
            put: named(PUT),
            get: named(GET),
            replace: named(REPLACE),
            remove: named(REMOVE),
            list: Script::new(LIST),
        }
    }

    fn call<'a>(&self, script: &'a Script, owner: Owner, id: &str) -> ScriptInvocation<'a> {
        let keys = ShelfKeys::new(self.name, owner, id);
        let mut call = script.prepare_invoke();
        for key in [&keys.order, &keys.sizes, &keys.owned, &keys.record] {
            call.key(key);
        }
        call.arg(keys.prefix).arg(keys.name);
        call
    }

    /// Asks Redis; again if the connection broke, as it may be there again at once. Where there
    /// was none, nobody is kept waiting.
    async fn ask(&self, call: &ScriptInvocation<'_>) -> Result<Vec<Vec<u8>>, StoreError> {
        let link = &self.shared.link;
        let mut answer = run(link, call).await;
        if matches!(answer, Err(ScriptError::Redis(_)))
            && link.connected(self.shared.patience).await
        {
            answer = run(link, call).await;
        }
        answer.map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &ScriptError) -> StoreError {
        tracing::debug!(shelf = self.name, %error, "not looked up");
        StoreError::Unavailable
    }

    async fn record(&self, call: &ScriptInvocation<'_>) -> Result<Option<Record>, StoreError> {
        let answer = self.ask(call).await?;
        record(answer).map_err(|error| self.unavailable(&error))
    }
}

impl Shelf for RedisShelf {
    fn put<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Bytes,
        body: Bytes,
    ) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            if head.len() + body.len() > self.limits.max_bytes {
                return Err(StoreError::Full);
            }
            let mut call = self.call(&self.put, owner, id.as_str());
            call.arg(&head[..]).arg(&body[..]);
            call.arg(millis(self.limits.keep));
            call.arg(self.limits.max).arg(self.limits.max_bytes);
            self.record(&call).await
        })
    }

    fn get<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let call = self.call(&self.get, owner, id.as_str());
            self.record(&call).await
        })
    }

    fn replace<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Bytes,
    ) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let mut call = self.call(&self.replace, owner, id.as_str());
            call.arg(&head[..]);
            self.record(&call).await
        })
    }

    fn remove<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Option<Bytes>,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut call = self.call(&self.remove, owner, id.as_str());
            call.arg(u8::from(head.is_some()));
            call.arg(&head.unwrap_or_default()[..]);
            // Not asked twice: where only the answer was lost, the second would be "there is none".
            let answer = run(&self.shared.link, &call).await;
            let answer = answer.map_err(|error| self.unavailable(&error))?;
            Ok(answer[0] == b"ok")
        })
    }

    fn list(&self, owner: Owner, range: Range) -> StoreFuture<'_, Listed> {
        Box::pin(async move {
            let mut call = self.call(&self.list, owner, "");
            let from = match (range.after, range.is_descending) {
                (Some(place), _) => format!("({place}"),
                (None, true) => "+inf".to_owned(),
                (None, false) => "-inf".to_owned(),
            };
            call.arg(u8::from(range.is_descending));
            call.arg(from).arg(range.count);
            let answer = self.ask(&call).await?;
            let listed = listed(&answer, range.count);
            listed.map_err(|error| self.unavailable(&error))
        })
    }
}

/// `ok`, place, head and body, or `none`.
fn record(mut answer: Vec<Vec<u8>>) -> Result<Option<Record>, ScriptError> {
    match &answer[0][..] {
        b"none" => Ok(None),
        b"ok" if answer.len() == 4 => Ok(Some(Record {
            place: number(&answer, 1)?,
            body: answer.pop().unwrap_or_default().into(),
            head: answer.pop().unwrap_or_default().into(),
        })),
        _ => Err(ScriptError::Answer),
    }
}

/// `ok`, then place, name and head of each.
fn listed(answer: &[Vec<u8>], count: usize) -> Result<Listed, ScriptError> {
    let mut listed = Listed::default();
    let found = answer.len() / 3;
    for at in (0..found).map(|entry| 1 + entry * 3) {
        listed.next = Some(number(answer, at)?);
        if let Ok(id) = Id::parse(text(answer, at + 1)?) {
            let head = Bytes::copy_from_slice(&answer[at + 2]);
            listed.entries.push((id, head));
        }
    }
    listed.next = listed.next.filter(|_| found == count);
    Ok(listed)
}
