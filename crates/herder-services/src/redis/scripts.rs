//! What the store does in one step. A value is a hash of `v` (the value) and `r` (its revision);
//! beside all values stands a sorted set of their keys, for scans in order.

use std::sync::LazyLock;

use redis::Script;

/// Keys: value, revision counter, index. Arguments: value, time to live in ms or 0, `always`,
/// `absent` or a revision, key, what stands before a key in the store. Answer: 1 and the revision,
/// or 0 and the present one.
///
/// Nobody tells the index of a value that expires: each that is written takes two of those out, at
/// most, so that they are hardly more than the values.
pub(super) static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local present = redis.call('HGET', KEYS[1], 'r') or '0'
if ARGV[3] == 'absent' and present ~= '0' then return {0, present} end
if ARGV[3] ~= 'absent' and ARGV[3] ~= 'always' and ARGV[3] ~= present then return {0, present} end
local revision = redis.call('INCR', KEYS[2])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'r', revision)
if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('ZADD', KEYS[3], 0, ARGV[4])
for _, key in ipairs(redis.pcall('ZRANDMEMBER', KEYS[3], 2)) do
  if redis.call('EXISTS', ARGV[5] .. key) == 0 then redis.call('ZREM', KEYS[3], key) end
end
return {1, tostring(revision)}",
    )
});

/// Keys: value, revision counter, index. Arguments: what is added, time to live of a new one in ms
/// or 0, key, what stands before a key in the store. Answer: the sum.
pub(super) static INCREMENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local new = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.pcall('HINCRBY', KEYS[1], 'v', ARGV[1])
if type(sum) == 'table' then return sum end
redis.call('HSET', KEYS[1], 'r', redis.call('INCR', KEYS[2]))
if new and ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('ZADD', KEYS[3], 0, ARGV[3])
for _, key in ipairs(redis.pcall('ZRANDMEMBER', KEYS[3], 2)) do
  if redis.call('EXISTS', ARGV[4] .. key) == 0 then redis.call('ZREM', KEYS[3], key) end
end
return redis.call('HGET', KEYS[1], 'v')",
    )
});

/// Keys: the last step of an author, revision counter, index, then values. Arguments: the number of
/// the step, for how long it is remembered in ms, then for each value what is added and its key.
/// Answer: the keys of those to which nothing can be added. A step that was carried out is not
/// carried out again.
pub(super) static MERGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then return {} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local refused = {}
for i = 4, #KEYS do
  local by, key = ARGV[2 * i - 5], ARGV[2 * i - 4]
  if type(redis.pcall('HINCRBY', KEYS[i], 'v', by)) == 'table' then
    table.insert(refused, key)
  else
    redis.call('HSET', KEYS[i], 'r', redis.call('INCR', KEYS[2]))
    redis.call('ZADD', KEYS[3], 0, key)
  end
end
return refused",
    )
});

/// Keys: value, revision counter, index. Arguments: `always`, `absent` or a revision, key. Answer:
/// 1 and whether there was one, or 0 and the present revision.
pub(super) static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local present = redis.call('HGET', KEYS[1], 'r') or '0'
if ARGV[1] == 'absent' and present ~= '0' then return {0, present} end
if ARGV[1] ~= 'absent' and ARGV[1] ~= 'always' and ARGV[1] ~= present then return {0, present} end
redis.call('ZREM', KEYS[3], ARGV[2])
local existed = redis.call('DEL', KEYS[1])
if existed == 1 then redis.call('INCR', KEYS[2]) end
return {1, tostring(existed)}",
    )
});

/// Keys: value. Answer: value, revision and the time to live in ms, which is negative for none;
/// nothing when there is no value.
pub(super) static GET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local entry = redis.call('HMGET', KEYS[1], 'v', 'r')
if not entry[1] then return {} end
return {entry[1], entry[2], tostring(redis.call('PTTL', KEYS[1]))}",
    )
});

/// Keys: index. Arguments: where to begin and end in the order of keys, how many, what stands
/// before a key in the store, after how many bytes it is enough. Answer: key, value, revision, time
/// to live, one after the other, and at the end the last key that was looked at if there are more.
pub(super) static SCAN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local limit, room = tonumber(ARGV[3]), tonumber(ARGV[5])
local keys = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, limit + 1)
local found, last = {}, 0
for i = 1, math.min(#keys, limit) do
  if room <= 0 then break end
  last = i
  local entry = redis.call('HMGET', ARGV[4] .. keys[i], 'v', 'r')
  if entry[1] then
    room = room - #keys[i] - #entry[1]
    table.insert(found, keys[i])
    table.insert(found, entry[1])
    table.insert(found, entry[2])
    table.insert(found, tostring(redis.call('PTTL', ARGV[4] .. keys[i])))
  else
    redis.call('ZREM', KEYS[1], keys[i])
  end
end
if #keys > last then table.insert(found, keys[last]) end
return found",
    )
});

/// Keys: lease, token counter. Arguments: owner, time in ms. Answer: 1 and the token, or 0 and how
/// long it is held in ms.
pub(super) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local held = redis.call('HMGET', KEYS[1], 'owner', 'token')
if held[1] and held[1] ~= ARGV[1] then return {0, tostring(redis.call('PTTL', KEYS[1]))} end
local token = held[2] or tostring(redis.call('INCR', KEYS[2]))
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, token}",
    )
});

/// Keys: lease. Arguments: token, time in ms. Answer: whether it is held by this token.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1",
    )
});

/// Keys: lease. Arguments: token. Answer: whether it was held by this token.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])",
    )
});

/// Keys: the theoretical arrival time, in µs of the store's clock. Arguments: how many at once, µs
/// from one to the next. Answer: 1 and how many more, or 0 and how long to wait in µs.
pub(super) static LIMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local count, step = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = tonumber(redis.call('GET', KEYS[1]) or 0)
if arrival < now then arrival = now end
local ahead = arrival + step - now
if ahead > step * count then return {0, string.format('%.0f', ahead - step * count)} end
redis.call('SET', KEYS[1], string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000))
return {1, string.format('%.0f', math.floor((step * count - ahead) / step))}",
    )
});

/// Keys: claim, token counter. Arguments: time in ms, and the token that is to be replaced if it is
/// the present one. Answer: 1 and the token; 0 and how long it is held in ms; 2 and nothing when the
/// tick is done.
pub(super) static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local token = redis.call('GET', KEYS[1])
if token == 'done' then return {2, '0'} end
if token and token ~= ARGV[2] then return {0, tostring(redis.call('PTTL', KEYS[1]))} end
token = tostring(redis.call('INCR', KEYS[2]))
redis.call('SET', KEYS[1], token, 'PX', ARGV[1])
return {1, token}",
    )
});

/// Keys: claim. Arguments: token, time in ms. Answer: as of `CLAIM`.
pub(super) static RENEW_CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local token = redis.call('GET', KEYS[1])
if token == 'done' then return {2, '0'} end
if token ~= ARGV[1] then return {0, tostring(redis.call('PTTL', KEYS[1]))} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, token}",
    )
});

/// Keys: claim. Arguments: token, for how long it is remembered in ms. Answer: whether it was held.
pub(super) static SETTLE_CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local token = redis.call('GET', KEYS[1])
if token and token ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'done', 'PX', ARGV[2])
return 1",
    )
});

/// Keys: claim. Arguments: token. Answer: whether it was held.
pub(super) static RELEASE_CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])",
    )
});
