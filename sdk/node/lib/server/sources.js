'use strict';
// What many subscribers read: a method returns `watch()` or `stream()` of one of these.

const { HerderError } = require('../errors');
const { Kind } = require('../wire');

const SOURCE = Symbol.for('herder.source');
const RING = 1024;
const POLICIES = ['block', 'disconnect', 'drop'];

/**
 * A map whose changes can be watched: a subscriber gets all entries, then what changes. A slow one gets the
 * newest value of a key, not all that it had. Items are `{key, value}`; the value is null when it was deleted.
 */
class State {
  constructor(entries = []) {
    this.entries = new Map(entries);
    this.seq = 0;
    this.watchers = new Set();
  }

  get(key) {
    return this.entries.get(key);
  }

  set(key, value) {
    this.entries.set(key, value);
    this.changed(key);
    return this;
  }

  delete(key) {
    const deleted = this.entries.delete(key);
    if (deleted) this.changed(key);
    return deleted;
  }

  changed(key) {
    this.seq += 1;
    for (const watcher of this.watchers) watcher(key);
  }

  /** What a method of kind `state` returns. */
  watch(prefix = '') {
    return { [SOURCE]: (stream) => this.feed(stream, prefix) };
  }

  async feed(stream, prefix) {
    const changed = new Set();
    let wake = null;
    const watcher = (key) => {
      if (!key.startsWith(prefix)) return;
      changed.add(key);
      wake?.();
    };
    this.watchers.add(watcher);
    stream.onEnd(() => {
      this.watchers.delete(watcher);
      wake?.();
    });
    const { resume } = stream;
    const unchanged = resume && resume.epoch === stream.session.epoch && resume.seq === this.seq;
    stream.open(this.seq);
    if (!unchanged) await this.snapshot(stream, prefix, changed);
    while (!stream.over) {
      if (changed.size === 0) {
        await new Promise((resolve) => { wake = resolve; });
        continue;
      }
      await stream.ready();
      const [key] = changed;
      changed.delete(key);
      stream.put(this.item(key), changed.size ? stream.seq : this.seq);
    }
  }

  async snapshot(stream, prefix, changed) {
    for (const key of [...this.entries.keys()].filter((name) => name.startsWith(prefix))) {
      await stream.ready();
      if (stream.over) return;
      // What was deleted meanwhile follows as a change.
      if (!this.entries.has(key)) continue;
      changed.delete(key);
      stream.put(this.item(key), stream.seq, Kind.SNAPSHOT);
    }
    // A place before changes that have not been sent is none to go on from.
    if (!stream.over) stream.snapshotEnd(changed.size ? stream.seq : this.seq);
  }

  item(key) {
    return { key, value: this.entries.get(key) ?? null };
  }
}

/** Events in their order, of which the last `size` are kept for subscribers that come back. */
class Events {
  constructor({ size = RING, slow = 'drop' } = {}) {
    if (!POLICIES.includes(slow)) throw new TypeError(`slow: ${slow} is none of ${POLICIES.join(', ')}`);
    this.size = size;
    this.slow = slow;
    this.seq = 0;
    this.ring = [];
    this.readers = new Set();
  }

  emit(value) {
    this.seq += 1;
    this.ring.push(value);
    const held = this.slow === 'block' ? this.seq - this.slowest() : 0;
    while (this.ring.length > Math.max(this.size, held)) this.ring.shift();
    for (const reader of this.readers) reader.wake?.();
  }

  /** What a method of kind `events` returns. */
  stream() {
    return { [SOURCE]: (stream) => this.feed(stream) };
  }

  slowest() {
    return Math.min(this.seq, ...[...this.readers].map(({ stream }) => stream.seq));
  }

  async feed(stream) {
    const reader = { stream, wake: null };
    const { resume } = stream;
    const first = this.seq - this.ring.length;
    const known = resume && resume.epoch === stream.session.epoch && resume.seq >= first && resume.seq <= this.seq;
    this.readers.add(reader);
    stream.onEnd(() => {
      this.readers.delete(reader);
      reader.wake?.();
    });
    stream.open(known ? resume.seq : this.seq);
    while (!stream.over) {
      if (stream.seq === this.seq) {
        await new Promise((resolve) => { reader.wake = resolve; });
        continue;
      }
      await stream.ready();
      if (!stream.over) this.next(stream);
    }
  }

  next(stream) {
    const first = this.seq - this.ring.length;
    const missed = first - stream.seq;
    if (missed > 0 && this.slow === 'disconnect') {
      stream.fail(new HerderError('overloaded', 'yes', `the subscriber was too slow: ${missed} are missing`));
      return;
    }
    if (missed > 0) {
      stream.seq = first;
      stream.gap('the subscriber was too slow', missed);
    }
    stream.put(this.ring[stream.seq - first]);
  }
}

module.exports = { Events, SOURCE, State };
