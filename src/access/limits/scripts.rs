//! What is done in Redis in one step: each a Lua script over the keys of one account. The same
//! arithmetic as in `levels`; Redis' own clock, so that all nodes have one.

/// What every script begins with: reads the account, lets time pass, counts the answers that have
/// ended or whose node is gone, and defines what is told at the end.
///
/// KEYS: the account, a sorted set of answers under way by the end of their lease, a hash of the
/// tokens that each holds. ARGV: requests and tokens per minute (0 for no limit), the lease in ms,
/// how many answers have ended; name and tokens of each; then what the script itself takes.
pub(super) const ACCOUNT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens', 'held', 'day', 'spent')
for nth = 1, 6 do kept[nth] = tonumber(kept[nth] or 0) end
local before, requests, tokens, held, day, spent = unpack(kept)
local rpm, tpm, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
now = math.max(now, before)
requests = rpm > 0 and math.max(0, requests - (now - before) * rpm) or 0
tokens = tpm > 0 and math.max(0, tokens - (now - before) * tpm) or 0
if day ~= math.floor(now / 86400000) then
  day, spent = math.floor(now / 86400000), 0
end
local function close(id, used)
  local reserved = redis.call('HGET', KEYS[3], id)
  if not reserved then return end
  reserved = tonumber(reserved)
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[2], id)
  used = math.min(used or reserved, 1000000000)
  held = math.max(0, held - reserved)
  spent = spent + used
  if tpm > 0 then tokens = math.min(tokens + used * 60000, 600000000000000) end
end
local function open(id, reserved)
  if redis.call('HSETNX', KEYS[3], id, reserved) == 1 then held = held + reserved end
  redis.call('ZADD', KEYS[2], now + lease, id)
end
local own = 5 + 2 * tonumber(ARGV[4])
for nth = 5, own - 1, 2 do close(ARGV[nth], tonumber(ARGV[nth + 1])) end
local function expire()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do close(id) end
end
local function tell(verdict)
  redis.call('HSET', KEYS[1], 'at', now, 'requests', requests, 'tokens', tokens,
    'held', held, 'day', day, 'spent', spent)
  for nth = 1, 3 do redis.call('PEXPIRE', KEYS[nth], 90000000) end
  local told = {verdict}
  for _, number in ipairs({now, requests, tokens, held, spent, redis.call('ZCARD', KEYS[2])}) do
    table.insert(told, string.format('%.0f', number))
  end
  return told
end
";

/// Takes one request and one stream and holds tokens, or nothing.
/// ARGV: the answer's name, its tokens, the most answers, tokens per day (0 for no limit).
pub(super) const RESERVE: &str = r"
expire()
local id, need = ARGV[own], tonumber(ARGV[own + 1])
local most, budget = tonumber(ARGV[own + 2]), tonumber(ARGV[own + 3])
if budget > 0 and spent + held + need > budget then return tell('day') end
if rpm > 0 and requests + 60000 > rpm * 60000 then return tell('requests') end
if tpm > 0 and tokens + (held + need) * 60000 > tpm * 60000 then return tell('tokens') end
if most > 0 and redis.call('ZCARD', KEYS[2]) >= most then return tell('streams') end
if rpm > 0 then requests = requests + 60000 end
open(id, need)
return tell('ok')
";

/// Renews the lease of answers under way, before those that have run out are counted: a node may
/// be late. ARGV: name and tokens of each.
pub(super) const RENEW: &str = r"
for nth = own, #ARGV, 2 do open(ARGV[nth], tonumber(ARGV[nth + 1])) end
expire()
return tell('ok')
";
