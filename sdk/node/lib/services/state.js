'use strict';

const { options: callOptions, split } = require('../options');
const { Gap } = require('../subscription');
const values = require('../values');
const { Lease } = require('./lease');

const PAGE = 256;
const LEASE_TTL = 10_000;

/**
 * Values that all processes of the herd share, under one name. A value is what JSON has a form for, or
 * bytes: what is not JSON is read as a `Buffer`. Times are in milliseconds. Behind the arguments of every
 * method may stand `herder.options()`.
 */
class Namespace {
  constructor(object, name) {
    this.object = object;
    this.name = name;
  }

  /** The value of a key, or undefined. Of a store it may be as old as the news of a change needs. */
  async get(key, ...given) {
    return (await this.getEntry(key, ...given))?.value;
  }

  /** The value with its revision, and how long it lives on (null: until it is deleted). */
  async getEntry(key, ...given) {
    return entryOf(key, await this.object.get(this.name, key, ...given));
  }

  /** The same, asked for where it is. */
  async getFresh(key, ...given) {
    return entryOf(key, await this.object.get_fresh(this.name, key, ...given));
  }

  /** The bytes of a value, whatever they are. */
  async getBuffer(key, ...given) {
    return (await this.object.get(this.name, key, ...given))?.value;
  }

  /**
   * Writes a value, and resolves to its revision. `ifRevision`: only over this one (0: only if there is
   * none), else it rejects with the code `conflict` and `data.present`.
   */
  set(key, value, ...given) {
    const [[{ ttl = null, ifRevision = null } = {}], options] = split(given);
    const conditions = { ttl_ms: ttl, if_revision: ifRevision };
    return this.call('set', [key, pack(value), conditions], options);
  }

  /** Adds to a number, and resolves to the sum. A new one lives for `ttl`. */
  increment(key, ...given) {
    const [[by = 1, { ttl = null } = {}], options] = split(given);
    return this.call('increment', [key, by, ttl], options);
  }

  /** Adds to a number, whose sum nobody waits for: kept while the store is away, and added afterwards. */
  async add(key, ...given) {
    const [[by = 1], options] = split(given);
    await this.call('add', [key, by], options);
  }

  /** Whether there was one that is deleted now. */
  delete(key, ...given) {
    const [[{ ifRevision = null } = {}], options] = split(given);
    return this.call('delete', [key, ifRevision], options);
  }

  /** All entries whose keys begin with `prefix`, in the order of keys. */
  async* scan(...given) {
    const [[prefix = '', { after = null, page = PAGE } = {}], options] = split(given);
    for (let last = after; ;) {
      const { entries, next } = await this.call('scan', [prefix, last, page], options);
      for (const [key, entry] of entries) yield entryOf(key, entry);
      if (next === null) return;
      last = next;
    }
  }

  /** The entries whose keys begin with `prefix`, then what changes. */
  watch(...given) {
    const [[prefix = ''], options] = split(given);
    return new Watch(this.call('watch', [prefix], options));
  }

  /**
   * A lease that renews itself until it is released or this process ends; null when another has it. With
   * `wait` it is waited for, so many milliseconds or (`true`) for ever.
   */
  lease(name, ...given) {
    const [[{ ttl = LEASE_TTL, wait = 0 } = {}], options] = split(given);
    return Lease.acquire(this, { name, ttl, wait, options });
  }

  /** Whether one more is allowed: `count` at once, and in `per` milliseconds on the average. */
  async limit(key, { count, per }, ...given) {
    const [, options] = split(given);
    const { allowed, left, retry_after_ms: retryAfter } = await this.call('limit', [key, count, per], options);
    return { allowed, left, retryAfter };
  }

  /** Whether this is the first time within `ttl`. */
  once(key, { ttl }, ...given) {
    const [, options] = split(given);
    return this.call('once', [key, ttl], options);
  }

  call(method, args, options) {
    return this.object[method](this.name, ...args, callOptions(options));
  }
}

/**
 * What becomes of some keys: first what is there, then every change. Where something is missing stands a
 * `Gap`, after which everything that is there is told again.
 */
class Watch {
  constructor(stream) {
    this.stream = stream;
    /** Resolves when the library has opened the stream. */
    this.opened = stream.opened.then(() => this);
    this.opened.catch(() => {});
  }

  async next() {
    const { done, value } = await this.stream.next();
    return done ? { done, value } : { done, value: changeOf(value) };
  }

  async return(value) {
    this.close();
    return { done: true, value };
  }

  close() {
    this.stream.close();
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

function changeOf(change) {
  if (change instanceof Gap) return change;
  return entryOf(change.key, change.value) ?? { key: change.key, value: undefined, deleted: true };
}

function entryOf(key, entry) {
  if (!entry) return undefined;
  return { key, value: unpack(entry.value), revision: entry.revision, ttl: entry.ttl_ms };
}

/** The bytes of a value: its JSON, or itself if it is bytes. Bytes that could be taken for JSON are marked. */
function pack(value) {
  const isBytes = ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  if (!isBytes) return Buffer.from(values.encode(value));
  const bytes = ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.from(value);
  return Buffer.isBuffer(unpack(bytes)) ? bytes : Buffer.from(values.encode(bytes));
}

function unpack(bytes) {
  if (bytes.length === 0) return bytes;
  try {
    return values.decode(bytes);
  } catch {
    return bytes;
  }
}

module.exports = { Namespace, Watch };
