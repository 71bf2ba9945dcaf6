'use strict';

const { HerderError } = require('./errors');
const { Place } = require('./place');
const { Kind } = require('./wire');
const values = require('./values');

const CREDITS = 64;

/** Stands in a stream where items are missing. */
class Gap {
  constructor(reason, missed) {
    this.reason = reason;
    if (missed !== undefined) this.missed = missed;
  }
}

/**
 * A stream of a library, which goes on after the library or the connection was replaced. Iterating it gives
 * the values, with a `Gap` wherever some are missing; leaving the loop ends it.
 */
class Subscription {
  constructor(agent, plan) {
    this.agent = agent;
    this.plan = plan;
    this.credits = plan.options.credits || CREDITS;
    this.place = new Place();
    this.received = [];
    this.held = 0;
    this.returned = 0;
    this.waiting = [];
    this.phase = 'opening';
    this.connection = null;
    this.id = 0;
    /** Settles when the library has opened the stream for the first time. */
    this.opened = new Promise((resolve, reject) => { this.settle = { resolve, reject }; });
    // Who iterates learns it there.
    this.opened.catch(() => {});
    this.watch(plan.options);
  }

  watch({ signal }) {
    const left = Math.max(this.plan.deadline, 1);
    this.timer = setTimeout(() => {
      this.cancel();
      this.end(new HerderError('deadline', 'maybe', `it was not open after ${left} ms`));
    }, left);
    if (!signal) return;
    const abort = () => {
      this.cancel();
      this.end(new HerderError('cancelled', 'maybe', '', { cause: signal.reason }));
    };
    if (signal.aborted) return void process.nextTick(abort);
    signal.addEventListener('abort', abort, { once: true });
    this.unwatch = () => signal.removeEventListener('abort', abort);
  }

  /** Every item with its kind: `{kind: 'item' | 'snapshot' | 'snapshot_end' | 'gap', ...}`. */
  items() {
    return {
      [Symbol.asyncIterator]() { return this; },
      next: () => this.pull(),
      return: (value) => this.return(value),
    };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    for (;;) {
      const { done, value: item } = await this.pull();
      if (done) return { done, value: undefined };
      if (item.kind === 'gap') return { done: false, value: new Gap(item.reason, item.missed) };
      if (item.kind !== 'snapshot_end') return { done: false, value: item.value };
    }
  }

  async return(value) {
    this.close();
    return { done: true, value };
  }

  /** Ends the stream here and in the library. */
  close() {
    this.cancel();
    this.end();
    this.received = [];
  }

  pull() {
    const item = this.received.shift();
    if (item) {
      if (item.counts) this.give();
      return Promise.resolve({ done: false, value: item.entry });
    }
    if (this.phase !== 'ended') return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
    const { error } = this;
    this.error = undefined;
    return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
  }

  /** The stream belongs to this connection now. */
  attach(connection, id) {
    this.connection = connection;
    this.id = id;
    this.returned = 0;
    this.toldGap = false;
    return { credits: this.credits - this.held, ...this.place.resume() };
  }

  open(epoch, seq) {
    const reason = this.place.opened(epoch, seq);
    if (this.phase === 'opening') {
      this.phase = 'open';
      clearTimeout(this.timer);
      this.settle.resolve(this);
    }
    if (!reason) return;
    this.toldGap = true;
    this.put({ kind: 'gap', reason });
  }

  take({ kind, seq, body }) {
    const toldGap = this.toldGap;
    this.toldGap = false;
    switch (kind) {
      case Kind.ITEM:
        this.place.item(seq);
        return this.count({ kind: 'item', seq, value: values.decode(body) });
      case Kind.SNAPSHOT:
        this.place.snapshot();
        return this.count({ kind: 'snapshot', seq, value: values.decode(body) });
      case Kind.SNAPSHOT_END:
        this.place.snapshotEnd(seq);
        return this.put({ kind: 'snapshot_end', seq });
      default: {
        this.place.item(seq);
        // That of the new opening was told already.
        if (toldGap) return undefined;
        const { reason, missed } = Object(values.decode(body));
        return this.put({ kind: 'gap', reason: String(reason ?? ''), missed });
      }
    }
  }

  count(entry) {
    if (this.held >= this.credits) {
      this.cancel();
      this.end(new HerderError('unavailable', 'maybe', 'the library sent more than it had credit for'));
      return;
    }
    this.held += 1;
    this.put(entry, true);
  }

  put(entry, counts = false) {
    const waiting = this.waiting.shift();
    if (!waiting) return void this.received.push({ entry, counts });
    if (counts) this.give();
    waiting.resolve({ done: false, value: entry });
  }

  /** Credit goes back in halves of the window: a frame for each item would double the traffic. */
  give() {
    this.held -= 1;
    this.returned += 1;
    if (this.returned * 2 < this.credits || !this.connection) return;
    this.agent.credit(this, this.returned);
    this.returned = 0;
  }

  cancel() {
    this.agent.cancelStream(this);
  }

  end(error) {
    if (this.phase === 'ended') return;
    this.phase = 'ended';
    clearTimeout(this.timer);
    this.unwatch?.();
    const { target } = this.plan;
    if (error) error.at(target, this.agent.epoch);
    this.settle.reject(error || new HerderError('cancelled', 'no', '').at(target));
    this.agent.dropStream(this);
    const waiting = this.waiting.splice(0);
    this.error = error;
    for (const { resolve, reject } of waiting) {
      if (this.error) reject(this.error);
      else resolve({ done: true, value: undefined });
      this.error = undefined;
    }
    this.onend?.(error);
  }
}

module.exports = { Gap, Subscription };
