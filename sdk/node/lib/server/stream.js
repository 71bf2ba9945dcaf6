'use strict';
// One stream of one agent, on the side of the library.

const { HerderError } = require('../errors');
const { Kind, Type } = require('../wire');
const values = require('../values');

/** What a callback may be ahead of a slow subscriber; beyond it the oldest are left out, and a gap says so. */
const QUEUE = 1024;
/** A subscriber that takes nothing stops its streams when so much waits for it, in bytes. */
const FULL = 1024 * 1024;

class Stream {
  constructor(session, frame, context) {
    this.session = session;
    this.id = frame.id;
    this.credits = frame.credits;
    this.resume = frame.epoch || frame.seq ? { epoch: frame.epoch, seq: frame.seq } : null;
    this.context = context;
    this.seq = 0;
    this.isOpen = false;
    this.over = false;
    this.queue = [];
    this.lost = 0;
    this.ending = [];
  }

  /** Tells the agent that the stream is open, and the number of the last item before it. */
  open(seq = 0) {
    if (this.isOpen || this.over) return;
    this.isOpen = true;
    this.seq = seq;
    this.session.send({ type: Type.OPENED, id: this.id, epoch: this.session.epoch, seq });
    this.flush();
  }

  get hasRoom() {
    return this.credits > 0 && this.session.backlog < FULL;
  }

  /** Resolves when there is room for an item, or the stream is over. */
  async ready() {
    while (!this.over && !this.hasRoom) await new Promise((resolve) => { this.wake = resolve; });
  }

  credit(items) {
    this.credits += items;
    this.woken();
  }

  woken() {
    this.flush();
    const { wake } = this;
    this.wake = null;
    wake?.();
  }

  /** Sends an item; `ready` was waited for. */
  put(value, seq = this.seq + 1, kind = Kind.ITEM) {
    if (this.over) return;
    let body;
    try {
      body = values.encode(value);
      this.session.check(body);
    } catch (error) {
      this.fail(error instanceof HerderError ? error : new HerderError('codec', 'yes', error.message));
      return;
    }
    this.credits -= 1;
    this.seq = seq;
    this.session.send({ type: Type.ITEM, id: this.id, seq, kind, body });
  }

  snapshotEnd(seq) {
    this.seq = seq;
    this.session.send({ type: Type.ITEM, id: this.id, seq, kind: Kind.SNAPSHOT_END });
  }

  gap(reason, missed) {
    this.session.send({ type: Type.ITEM, id: this.id, seq: this.seq, kind: Kind.GAP, body: JSON.stringify({ reason, missed }) });
  }

  /** Sends an item as soon as there is room, from whoever cannot wait. */
  push(value) {
    if (this.over) return;
    if (this.queue.length >= QUEUE) {
      this.queue.shift();
      this.lost += 1;
    }
    this.queue.push(value);
    this.flush();
  }

  flush() {
    if (!this.isOpen) return;
    while (this.queue.length && this.hasRoom && !this.over) {
      if (this.lost) {
        this.seq += this.lost;
        this.gap('the subscriber was too slow', this.lost);
        this.lost = 0;
      }
      this.put(this.queue.shift());
    }
  }

  /** Does `close` when the stream is over. */
  onEnd(close) {
    if (this.over) close();
    else this.ending.push(close);
  }

  finish() {
    if (this.over) return;
    this.open();
    this.session.send({ type: Type.END, id: this.id });
    this.drop();
  }

  fail(error) {
    if (this.over) return;
    this.session.send({ type: Type.ERROR, id: this.id, body: error.toBody() });
    this.drop();
  }

  /** Nobody reads any more. */
  drop() {
    if (this.over) return;
    this.over = true;
    this.queue = [];
    this.session.streams.delete(this.id);
    this.context.abort();
    this.woken();
    for (const close of this.ending.splice(0)) close();
  }
}

module.exports = { Stream };
