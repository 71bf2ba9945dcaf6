'use strict';
// One agent's connection to this library.

const { Context, storage } = require('./context');
const { HerderError } = require('../errors');
const { SOURCE } = require('./sources');
const { Stream } = require('./stream');
const { isGenerator, run } = require('./generator');
const { Decoder, FrameError, MAX_FRAME, ONE_WAY, POSTCARD, PREFIX, Type, encode } = require('../wire');
const values = require('../values');

const VERSION = 1;
const GREETING = 10_000;
const LIMITS = { frame: MAX_FRAME, calls: 256, bytes: 4 * 1024 * 1024 };
const HEARTBEAT = 5000;
// An agent that takes nothing gets no more, then is cut.
const OUTBOUND = 8 * 1024 * 1024;
const STALLED = 30_000;

class Session {
  constructor(socket, library) {
    this.socket = socket;
    this.library = library;
    this.epoch = library.epoch;
    this.decoder = new Decoder(LIMITS.frame);
    this.caller = null;
    this.calls = new Map();
    this.bytes = 0;
    this.streams = new Map();
    this.corked = false;
    this.timer = setTimeout(() => socket.destroy(), GREETING);
    socket.on('data', (chunk) => this.receive(chunk));
    socket.on('drain', () => this.drained());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.end());
  }

  /** How much waits for the agent, in bytes. */
  get backlog() {
    return this.socket.writableLength;
  }

  send(frame) {
    const { socket } = this;
    if (socket.destroyed) return;
    if (!this.corked) {
      this.corked = true;
      socket.cork();
      process.nextTick(() => {
        this.corked = false;
        socket.uncork();
      });
    }
    socket.write(encode(frame));
    if (this.backlog > OUTBOUND && !this.stalled) {
      socket.pause();
      this.stalled = setTimeout(() => socket.destroy(), STALLED);
    }
  }

  /** Throws when a value is too long for a frame. */
  check(text) {
    const length = PREFIX + 32 + Buffer.byteLength(text);
    if (length > LIMITS.frame) throw new HerderError('too_large', 'yes', `its result is ${length} bytes long`);
  }

  /** No more calls: what is under way may end, the agent goes elsewhere for the rest. */
  leave() {
    this.leaving = true;
    if (this.caller) this.send({ type: Type.GOAWAY, body: JSON.stringify({ reason: 'the library ends' }) });
    this.closeIfIdle();
  }

  closeIfIdle() {
    if (this.leaving && this.calls.size === 0) this.socket.destroySoon();
  }

  receive(chunk) {
    try {
      for (const frame of this.decoder.push(chunk)) this.take(frame);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.library.warn(`an agent was cut: ${error.message}`);
      this.socket.destroy();
    }
  }

  take(frame) {
    if (frame.type === Type.HELLO) return this.greet(frame);
    if (!this.caller) throw new FrameError('it did not greet');
    switch (frame.type) {
      case Type.SIGNATURE_ASK:
        return this.send({ type: Type.SIGNATURE, id: frame.id, body: this.library.document });
      case Type.CALL:
        return this.call(frame);
      case Type.SUBSCRIBE:
        return this.subscribe(frame);
      case Type.CANCEL:
        return this.cancel(frame.id);
      case Type.CREDIT:
        return this.streams.get(frame.id)?.credit(frame.items);
      case Type.PING:
        return this.send({ type: Type.PONG, id: frame.id, lag: this.library.lag() });
      default:
        return undefined;
    }
  }

  greet(frame) {
    if (this.caller) throw new FrameError('it greeted twice');
    let hello;
    try {
      hello = Object(JSON.parse(frame.body.toString()));
    } catch {
      throw new FrameError('its greeting cannot be read');
    }
    clearTimeout(this.timer);
    const refusal = this.refusal(hello);
    if (refusal) {
      this.send({ type: Type.REFUSED, body: new HerderError('refused', 'no', refusal).toBody() });
      this.socket.destroySoon();
      return;
    }
    const { part, slot = 0, worker = 0, pid = 0 } = hello;
    this.caller = Object.freeze({ part, slot, worker, pid });
    const { name, signature } = this.library;
    this.send({
      type: Type.WELCOME,
      body: JSON.stringify({
        version: VERSION, library: name, epoch: this.epoch, hash: signature.hash, codecs: ['json'], limits: LIMITS,
        heartbeat_ms: HEARTBEAT,
      }),
    });
  }

  refusal({ versions, herd = '', part }) {
    const [lowest, highest] = Array.isArray(versions) ? versions : [];
    if (!(lowest <= VERSION && highest >= VERSION)) return `this library speaks version ${VERSION}`;
    if (!/^(worker|tool|library:[a-z0-9-]{1,32})$/.test(part)) return 'it is not known what the caller is';
    const stranger = part === 'tool' && herd === '' ? false : herd !== this.library.herd;
    return stranger ? 'the caller belongs to another herd' : undefined;
  }

  // --- calls

  call(frame) {
    const oneWay = Boolean(frame.flags & ONE_WAY);
    let found;
    try {
      found = this.find(frame);
      if (found.method.iterates) throw new HerderError('bad_arguments', 'no', 'it is a stream: subscribe to it');
      const context = new Context(this.caller, this.epoch, frame.deadline, frame.key);
      const call = { context, size: frame.body.length, oneWay };
      if (!oneWay) this.calls.set(frame.id, call);
      this.bytes += call.size;
      if (this.calls.size >= LIMITS.calls || this.bytes >= LIMITS.bytes) this.socket.pause();
      found.method.gate.enter(context, () => this.start(frame.id, call, found));
    } catch (error) {
      const call = this.calls.get(frame.id);
      if (oneWay) this.library.warn(`a one-way call failed: ${error.message}`);
      else this.send({ type: Type.ERROR, id: frame.id, body: sendable(error).toBody() });
      if (call) this.done(frame.id, call);
    }
  }

  find(frame) {
    const object = this.library.table[frame.object];
    if (!object) throw new HerderError('no_object', 'no', `there is no object number ${frame.object}`);
    const method = object.methods[frame.method];
    if (!method) throw new HerderError('no_method', 'no', `${object.name} has no method number ${frame.method}`);
    if (frame.flags & POSTCARD) throw new HerderError('codec', 'no', 'this library reads JSON only');
    let args;
    try {
      args = values.decode(frame.body);
    } catch (error) {
      throw new HerderError('bad_arguments', 'no', error.message);
    }
    if (!Array.isArray(args)) throw new HerderError('bad_arguments', 'no', 'arguments are a list');
    if (method.exact && args.length !== method.parameters.length) {
      throw new HerderError('bad_arguments', 'no', `it takes (${method.parameters.join(', ')}) and got ${args.length}`);
    }
    return { object: object.object, method, args };
  }

  async start(id, call, { object, method, args }) {
    try {
      const result = await storage.run(call.context, () => invoke(object, method, args));
      if (this.calls.get(id) === call) this.answer(id, result);
    } catch (error) {
      if (call.oneWay) this.library.warn(`${method.name} failed: ${error?.message}`);
      else if (this.calls.get(id) === call) this.send({ type: Type.ERROR, id, body: HerderError.fromThrown(error).toBody() });
    } finally {
      this.done(id, call);
      method.gate.leave();
    }
  }

  answer(id, result) {
    let body;
    try {
      body = values.encode(result);
      this.check(body);
    } catch (error) {
      const failed = error instanceof HerderError ? error : new HerderError('codec', 'yes', error.message);
      this.send({ type: Type.ERROR, id, body: failed.toBody() });
      return;
    }
    this.send({ type: Type.OK, id, body });
  }

  done(id, call) {
    if (call.ended) return;
    call.ended = true;
    if (this.calls.get(id) === call) this.calls.delete(id);
    this.bytes -= call.size;
    if (this.socket.isPaused() && !this.stalled && this.calls.size < LIMITS.calls) this.socket.resume();
    this.closeIfIdle();
  }

  cancel(id) {
    const call = this.calls.get(id);
    if (call) {
      this.calls.delete(id);
      call.context.abort();
      this.closeIfIdle();
    }
    this.streams.get(id)?.drop();
  }

  // --- streams

  async subscribe(frame) {
    const context = new Context(this.caller, this.epoch, frame.deadline);
    const stream = new Stream(this, frame, context);
    let found;
    try {
      found = this.find(frame);
    } catch (error) {
      stream.fail(sendable(error));
      return;
    }
    this.streams.set(frame.id, stream);
    try {
      await storage.run(context, () => feed(stream, found));
    } catch (error) {
      stream.fail(HerderError.fromThrown(error));
    }
  }

  drained() {
    if (this.stalled) {
      clearTimeout(this.stalled);
      this.stalled = null;
      this.socket.resume();
    }
    for (const stream of [...this.streams.values()]) stream.woken();
  }

  end() {
    clearTimeout(this.timer);
    clearTimeout(this.stalled);
    for (const call of this.calls.values()) call.context.abort();
    this.calls.clear();
    for (const stream of [...this.streams.values()]) stream.drop();
    this.library.ended(this);
  }
}

/** An error of this side, or what the method threw. */
function sendable(error) {
  return error instanceof HerderError ? error : HerderError.fromThrown(error);
}

function invoke(object, method, args) {
  if (method.property) return object[method.name];
  const result = object[method.name](...args);
  return isGenerator(result) ? run(result) : result;
}

/** Reads what a method gives into the stream: a source, something to iterate, or calls of a callback. */
async function feed(stream, { object, method, args }) {
  if (method.property) return stream.fail(new HerderError('bad_arguments', 'no', 'it is a field, not a stream'));
  const callback = (...told) => stream.push(told.length === 1 ? told[0] : { $args: told });
  const last = method.iterates || method.kind === 'state' ? [] : [callback];
  let given = object[method.name](...args, ...last);
  if (isGenerator(given)) given = run(given);
  given = await given;
  if (stream.over) return void release(given);
  if (typeof given?.[SOURCE] === 'function') return given[SOURCE](stream);
  if (typeof given?.[Symbol.asyncIterator] === 'function') return iterate(stream, given);
  if (last.length === 0) throw new TypeError(`${method.name} returned nothing to iterate`);
  stream.onEnd(() => release(given));
  stream.open();
  return undefined;
}

async function iterate(stream, iterable) {
  const iterator = iterable[Symbol.asyncIterator]();
  stream.onEnd(() => { Promise.resolve(iterator.return?.()).catch(() => {}); });
  stream.open();
  for (;;) {
    await stream.ready();
    if (stream.over) return;
    const { done, value } = await iterator.next();
    if (done) return void stream.finish();
    stream.put(value);
  }
}

/** Ends what a subscribing method returned, if it says how: a function, or an object that can be closed. */
function release(given) {
  const close = typeof given === 'function' ? given
    : ['close', 'unsubscribe', 'cancel', 'dispose'].map((name) => given?.[name]).find((call) => typeof call === 'function');
  try {
    close?.call(given);
  } catch (error) {
    process.emitWarning(error);
  }
}

module.exports = { Session };
