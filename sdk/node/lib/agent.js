'use strict';

const { EventEmitter } = require('events');
const { fit } = require('./arguments');
const { Budget } = require('./budget');
const { Connection } = require('./connection');
const { HerderError } = require('./errors');
const { isLeaving, onLeave } = require('./leaving');
const { ONE_WAY, PREFIX, Type } = require('./wire');
const { Subscription } = require('./subscription');
const values = require('./values');

const DEADLINE = 5000;
const RECONNECT_WAIT = 1000;
const BACKOFF = { first: 5, last: 500 };
// What waits here for the library to take it, beyond the window that the library grants.
const WAITING = { calls: 16 * 1024, bytes: 8 * 1024 * 1024 };
const ATTEMPTS = 3;

/**
 * The client of one library. Emits `up(epoch)` and `down(error)`.
 *
 * A call waits in `waiting` until there is a connection with room in its window, then is in `calls` until
 * it is answered. What has not left `waiting` was certainly not executed.
 */
class Agent extends EventEmitter {
  constructor({ name, path, identity, reconnectWait = RECONNECT_WAIT }) {
    super();
    this.name = name;
    this.path = path;
    this.identity = identity;
    this.reconnectWait = reconnectWait;
    this.budget = new Budget();
    this.waiting = new Set();
    this.waitingBytes = 0;
    this.calls = new Map();
    this.streams = new Set();
    this.channels = new Map();
    this.connection = null;
    this.ready = false;
    this.leaving = new Set();
    this.signature = null;
    this.epoch = 0;
    this.nextId = 1;
    this.backoff = BACKOFF.first;
    this.held = 0;
    this.downSince = Date.now();
    this.offLeave = onLeave(() => this.keepAlive());
    this.connect();
  }

  /** Resolves when the library has told what it offers. */
  init(timeout) {
    if (this.signature) return Promise.resolve();
    this.hold();
    return new Promise((resolve, reject) => {
      const done = (settle) => (value) => {
        clearTimeout(timer);
        this.off('up', up);
        this.off('refused', refused);
        this.release();
        settle(value);
      };
      const up = done(() => resolve());
      const refused = done(reject);
      const late = () => {
        const last = this.lastError ? `: ${this.lastError.message}` : '';
        return new HerderError('unavailable', 'no', `library ${this.name} was not there after ${timeout} ms${last}`);
      };
      const timer = setTimeout(() => done(reject)(late()), timeout);
      this.once('up', up);
      this.once('refused', refused);
    });
  }

  /** Calls a method; the answer, or a `HerderError`. */
  call(object, method, args, options = {}) {
    const target = `${object}.${method}`;
    return new Promise((resolve, reject) => {
      const known = this.find(object, method);
      if (known instanceof HerderError) return reject(known.at(target));
      const deadline = options.deadline ?? known?.deadline_ms ?? DEADLINE;
      const now = Date.now();
      const call = {
        object, method, target, options, resolve, reject, until: now + deadline, since: now, attempts: 1,
        idempotent: Boolean(known?.idempotent), oneWay: known?.kind === 'notify', id: 0, on: null,
      };
      try {
        call.text = values.encode(fit(known, args));
      } catch (error) {
        const wrong = error instanceof HerderError ? error : new HerderError('codec', 'no', error.message);
        return reject(wrong.at(target));
      }
      call.size = PREFIX + 10 + Buffer.byteLength(call.text);
      this.start(call, deadline);
    });
  }

  /** Opens a stream. */
  subscribe(object, method, args, options = {}) {
    const target = `${object}.${method}`;
    const known = this.find(object, method);
    if (known instanceof HerderError) throw known.at(target);
    const deadline = options.deadline ?? known?.deadline_ms ?? DEADLINE;
    let text;
    try {
      text = values.encode(fit(known, args));
    } catch (error) {
      throw (error instanceof HerderError ? error : new HerderError('codec', 'no', error.message)).at(target);
    }
    const plan = { object, method, target, text, options, deadline, until: Date.now() + deadline };
    const stream = new Subscription(this, plan);
    this.streams.add(stream);
    this.keepAlive();
    if (this.ready) this.open(stream);
    return stream;
  }

  /** Ends everything; nothing can be called any more. */
  close() {
    this.over = true;
    this.offLeave();
    clearTimeout(this.retry);
    clearTimeout(this.sweep);
    const gone = () => new HerderError('unavailable', 'no', 'the agent was closed');
    for (const call of [...this.waiting]) this.fail(call, gone());
    for (const stream of [...this.streams]) stream.close();
    for (const connection of [this.connection, ...this.leaving]) connection?.fail('the agent was closed');
  }

  // --- methods and their arguments

  find(object, method) {
    if (!this.signature) return undefined;
    const methods = this.signature.objects[object]?.methods;
    if (!methods) {
      const names = Object.keys(this.signature.objects).join(', ');
      return new HerderError('no_object', 'no', `library ${this.name} has ${names || 'none'}`);
    }
    if (Object.hasOwn(methods, method)) return methods[method];
    return new HerderError('no_method', 'no', `it has ${Object.keys(methods).join(', ') || 'none'}`);
  }

  // --- calls

  start(call, deadline) {
    const { signal } = call.options;
    this.hold();
    if (signal?.aborted) return this.fail(call, aborted(signal, 'no'));
    if (this.over) return this.fail(call, new HerderError('unavailable', 'no', 'the agent was closed'));
    if (call.size > (this.connection?.limits.frame ?? Infinity)) {
      return this.fail(call, new HerderError('too_large', 'no', `its arguments are ${call.size} bytes long`));
    }
    const full = this.waiting.size >= WAITING.calls || this.waitingBytes + call.size > WAITING.bytes;
    const free = this.ready && this.waiting.size === 0 && this.connection.writable && this.hasRoom(call);
    const stuck = call.options.wait === 0 && !free;
    if (stuck || (full && this.waiting.size)) {
      return this.fail(call, new HerderError('overloaded', 'no', 'too many calls wait for the library'));
    }
    this.budget.called();
    call.timer = setTimeout(() => this.abandon(call, (executed) => {
      return new HerderError('deadline', executed, `the answer was not there after ${deadline} ms`);
    }), deadline);
    if (signal) {
      const abort = () => this.abandon(call, (executed) => aborted(signal, executed));
      signal.addEventListener('abort', abort, { once: true });
      call.unwatch = () => signal.removeEventListener('abort', abort);
    }
    this.enqueue(call);
    return undefined;
  }

  enqueue(call) {
    this.waiting.add(call);
    this.waitingBytes += call.size;
    this.pump();
    if (!this.ready) this.sweepSoon();
  }

  dequeue(call) {
    if (this.waiting.delete(call)) this.waitingBytes -= call.size;
  }

  /** Sends what may be sent. */
  pump() {
    // To end a call pumps too.
    if (this.pumping) return;
    this.pumping = true;
    for (const call of this.waiting) {
      if (!this.ready || !this.connection.writable || !this.hasRoom(call)) break;
      this.dequeue(call);
      this.transmit(call);
    }
    this.pumping = false;
  }

  hasRoom(call) {
    const { limits, calls, bytes } = this.connection;
    return calls === 0 || (calls < limits.calls && bytes + call.size <= limits.bytes);
  }

  transmit(call) {
    const known = this.find(call.object, call.method);
    if (known instanceof HerderError) return this.fail(call, known);
    const id = this.nextId++;
    this.connection.send({
      type: Type.CALL, id, flags: call.oneWay ? ONE_WAY : 0, object: this.signature.objects[call.object].id,
      method: known.id, deadline: Math.max(1, Math.ceil(call.until - Date.now())), key: call.options.key, body: call.text,
    });
    if (call.oneWay) return this.finish(call, () => call.resolve());
    call.id = id;
    call.on = this.connection;
    this.calls.set(id, call);
    this.connection.calls += 1;
    this.connection.bytes += call.size;
    return undefined;
  }

  /** Takes a call off its connection. */
  untransmit(call) {
    if (!call.on) return;
    this.calls.delete(call.id);
    call.on.calls -= 1;
    call.on.bytes -= call.size;
    call.on = null;
  }

  /** Nobody waits any more. */
  abandon(call, error) {
    const { on } = call;
    if (on) on.send({ type: Type.CANCEL, id: call.id });
    this.fail(call, error(on ? 'maybe' : 'no'));
  }

  fail(call, error) {
    this.finish(call, () => call.reject(error.at(call.target, this.epoch)));
  }

  finish(call, settle) {
    if (call.done) return;
    call.done = true;
    clearTimeout(call.timer);
    call.unwatch?.();
    this.dequeue(call);
    this.untransmit(call);
    this.release();
    settle();
    this.pump();
  }

  /** Makes a call again if that is safe, within its time and the budget. */
  again(call, error) {
    // What the method says is away is not back at once, and the caller is to hear of it.
    const away = error.kind === 'unavailable' && error.retryAfter !== undefined;
    const safe = !away && (error.executed === 'no' ? ['unavailable', 'overloaded'].includes(error.kind)
      : error.kind === 'unavailable' && call.idempotent);
    const pause = (error.retryAfter ?? 0) + Math.random() * 10 * 2 ** call.attempts;
    const inTime = Date.now() + pause < call.until;
    if (!safe || call.options.retry === false || call.attempts >= ATTEMPTS || !inTime || !this.budget.take()) {
      return this.fail(call, error);
    }
    this.untransmit(call);
    call.attempts += 1;
    call.since = Date.now() + pause;
    setTimeout(() => {
      if (!call.done) this.enqueue(call);
    }, pause);
    return undefined;
  }

  /** While there is no connection, calls wait for it only so long. */
  sweepSoon() {
    if (this.sweep || this.over) return;
    this.sweep = setTimeout(() => {
      this.sweep = null;
      if (this.ready) return;
      const now = Date.now();
      for (const call of this.waiting) {
        const wait = call.options.wait ?? this.reconnectWait;
        if (now < Math.max(call.since, this.downSince) + wait) continue;
        const why = this.lastError ? `: ${this.lastError.message}` : '';
        this.fail(call, new HerderError('unavailable', 'no', `library ${this.name} is away${why}`));
      }
      if (this.waiting.size) this.sweepSoon();
    }, 20);
  }

  // --- streams

  open(stream) {
    const { object, method, text, until, target } = stream.plan;
    const known = this.find(object, method);
    if (known instanceof HerderError) return stream.end(known.at(target));
    const id = this.nextId++;
    const left = stream.phase === 'opening' ? until - Date.now() : DEADLINE;
    const opening = stream.attach(this.connection, id);
    this.channels.set(id, stream);
    this.connection.send({
      type: Type.SUBSCRIBE, id, object: this.signature.objects[object].id, method: known.id,
      deadline: Math.max(1, Math.ceil(left)), body: text, ...opening,
    });
    return undefined;
  }

  credit(stream, items) {
    stream.connection.send({ type: Type.CREDIT, id: stream.id, items });
  }

  cancelStream(stream) {
    const { connection, id } = stream;
    if (!connection) return;
    this.channels.delete(id);
    stream.connection = null;
    connection.send({ type: Type.CANCEL, id });
  }

  dropStream(stream) {
    if (!this.streams.delete(stream)) return;
    this.channels.delete(stream.id);
    this.keepAlive();
  }

  // --- the connection

  connect() {
    clearTimeout(this.retry);
    if (this.over) return;
    const hello = { ...this.identity, hash: this.signature?.hash ?? '' };
    this.connection = new Connection(this.path, hello, this);
    this.connection.hold(this.isNeeded);
  }

  opened(connection, welcome) {
    if (connection !== this.connection) return void connection.close();
    this.welcome = welcome;
    if (this.signature?.hash === welcome.hash && welcome.hash) this.up();
    else connection.send({ type: Type.SIGNATURE_ASK, id: this.nextId++ });
  }

  up() {
    this.ready = true;
    this.backoff = BACKOFF.first;
    this.lastError = null;
    this.epoch = this.welcome.epoch;
    for (const stream of this.streams) {
      this.cancelStream(stream);
      this.open(stream);
    }
    this.emit('up', this.epoch);
    this.pump();
  }

  frame(connection, frame) {
    switch (frame.type) {
      case Type.SIGNATURE:
        this.signature = JSON.parse(frame.body.toString());
        if (connection === this.connection) this.up();
        return;
      case Type.GOAWAY:
        this.leave(connection);
        return;
      default:
        this.answer(connection, frame);
    }
  }

  answer(connection, frame) {
    const stream = this.channels.get(frame.id);
    if (stream) {
      if (stream.connection === connection) this.stream(stream, frame);
      return;
    }
    const call = this.calls.get(frame.id);
    // The answer to what nobody waits for any more.
    if (!call) return;
    if (frame.type === Type.OK) {
      let value;
      try {
        value = values.decode(frame.body);
      } catch (error) {
        this.fail(call, new HerderError('codec', 'yes', error.message));
        return;
      }
      this.finish(call, () => call.resolve(value));
    } else if (frame.type === Type.ERROR) {
      this.again(call, HerderError.fromBody(frame.body));
    }
  }

  stream(stream, frame) {
    const { connection } = stream;
    switch (frame.type) {
      case Type.OPENED:
        return stream.open(frame.epoch, frame.seq);
      case Type.ITEM:
        return stream.take(frame);
      case Type.END:
        stream.connection = null;
        return stream.end();
      case Type.ERROR: {
        const ending = connection !== this.connection;
        stream.connection = null;
        this.channels.delete(stream.id);
        const error = HerderError.fromBody(frame.body);
        // A library that ends takes its streams with it; the next one goes on with them.
        if (ending && error.kind === 'unavailable') return undefined;
        return stream.end(error);
      }
      default:
        return undefined;
    }
  }

  /** The library is about to end: what is in flight ends there, all else goes to its successor. */
  leave(connection) {
    if (connection !== this.connection) return;
    this.leaving.add(connection);
    connection.state = 'leaving';
    this.ready = false;
    this.downSince = Date.now();
    this.connect();
    this.sweepSoon();
  }

  drained(connection) {
    if (connection === this.connection) this.pump();
  }

  closed(connection, error, opened) {
    this.leaving.delete(connection);
    const current = connection === this.connection;
    if (current) {
      if (this.ready) this.downSince = Date.now();
      this.ready = false;
      this.lastError = error;
      this.reconnect(connection, opened);
    }
    for (const stream of this.streams) {
      if (stream.connection !== connection) continue;
      this.channels.delete(stream.id);
      stream.connection = null;
    }
    const why = error ? `: ${error.message}` : '';
    for (const call of [...this.calls.values()]) {
      if (call.on !== connection) continue;
      this.again(call, new HerderError('unavailable', 'maybe', `library ${this.name} went away${why}`));
    }
    if (current && opened) this.emit('down', error);
    if (connection.refused) this.emit('refused', error);
  }

  reconnect(connection, opened) {
    if (this.over) return;
    if (this.waiting.size) this.sweepSoon();
    const pause = opened ? Math.random() * BACKOFF.first : this.backoff * (0.5 + Math.random() / 2);
    if (!opened) this.backoff = Math.min(this.backoff * 2, BACKOFF.last);
    this.retry = setTimeout(() => this.connect(), pause);
    if (!this.isNeeded) this.retry.unref();
  }

  // --- whether the process is kept alive: only while somebody waits for something

  hold() {
    this.held += 1;
    if (this.held === 1) this.keepAlive();
  }

  release() {
    this.held -= 1;
    if (this.held === 0) this.keepAlive();
  }

  /** Streams have no end of their own: those of a worker that was told to leave hold nobody back. */
  get isNeeded() {
    return this.held > 0 || (this.streams.size > 0 && !isLeaving());
  }

  keepAlive() {
    const needed = this.isNeeded;
    this.connection?.hold(needed);
    if (needed) this.retry?.ref();
    else this.retry?.unref();
  }
}

function aborted(signal, executed) {
  const reason = signal.reason instanceof Error ? signal.reason.message : '';
  return new HerderError('cancelled', executed, reason, { cause: signal.reason });
}

module.exports = { Agent };
