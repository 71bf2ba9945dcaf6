'use strict';
// One connection of an agent to a library: handshake, frames, heartbeat. It decides nothing about calls;
// its owner is told what came and when it ended.

const net = require('net');
const { Decoder, FrameError, MAX_FRAME, Type, encode } = require('./wire');
const { HerderError } = require('./errors');

const VERSION = 1;
// How long a library may leave a new connection without a word. The connection may wait in the listener's
// queue while a library starts, which takes longer than a call may.
const WELCOME = 60_000;
// So many heartbeats without a byte, and the library is taken for dead.
const MISSED = 3;
const DEFAULT_LIMITS = { frame: MAX_FRAME, calls: 256, bytes: 4 * 1024 * 1024 };

/**
 * The owner has: `opened(connection, welcome)`, `frame(connection, frame)`, `drained(connection)`,
 * `closed(connection, error)`.
 */
class Connection {
  constructor(path, hello, owner) {
    this.owner = owner;
    this.decoder = new Decoder();
    this.limits = DEFAULT_LIMITS;
    this.state = 'opening';
    this.corked = false;
    this.error = null;
    this.missed = 0;
    this.quiet = true;
    // What the owner has under way here, for its window.
    this.calls = 0;
    this.bytes = 0;
    this.socket = net.connect({ path });
    this.timer = setTimeout(() => this.fail('the library did not answer the greeting'), WELCOME);
    this.timer.unref();
    const languages = { versions: [VERSION, VERSION], language: 'node', codecs: ['json'] };
    this.socket.once('connect', () => {
      this.send({ type: Type.HELLO, body: JSON.stringify({ ...languages, ...hello }) });
    });
    this.socket.on('data', (chunk) => this.receive(chunk));
    this.socket.on('drain', () => this.owner.drained(this));
    this.socket.on('error', (error) => { this.error ||= error; });
    this.socket.on('end', () => this.socket.destroy());
    this.socket.on('close', () => this.end());
  }

  /** Whether calls can be sent now. */
  get writable() {
    return this.state === 'open' && !this.socket.writableNeedDrain;
  }

  /** Sends a frame; what is sent within one turn of the event loop goes out together. */
  send(frame) {
    if (this.state === 'closed') return;
    if (!this.corked) {
      this.corked = true;
      this.socket.cork();
      process.nextTick(() => {
        this.corked = false;
        this.socket.uncork();
      });
    }
    this.socket.write(encode(frame));
  }

  /** Keeps the process alive, or lets it end, while this connection is open. */
  hold(held) {
    if (held) this.socket.ref();
    else this.socket.unref();
  }

  /** Ends the connection for a reason. */
  fail(reason) {
    this.error ||= reason instanceof Error ? reason : new Error(reason);
    this.socket.destroy();
  }

  close() {
    this.socket.destroySoon();
  }

  receive(chunk) {
    this.quiet = false;
    let frames;
    try {
      frames = this.decoder.push(chunk);
      for (const frame of frames) this.take(frame);
    } catch (error) {
      if (!(error instanceof FrameError) && !(error instanceof SyntaxError)) throw error;
      this.fail(error);
    }
  }

  take(frame) {
    switch (frame.type) {
      case Type.WELCOME:
        return this.welcome(JSON.parse(frame.body.toString()));
      case Type.REFUSED:
        this.refused = true;
        return this.fail(HerderError.fromBody(frame.body));
      case Type.PING:
        return this.send({ type: Type.PONG, id: frame.id, lag: 0 });
      case Type.PONG:
        return undefined;
      default:
        if (this.state === 'opening') throw new FrameError('the library spoke before its welcome');
        return this.owner.frame(this, frame);
    }
  }

  welcome(welcome) {
    if (this.state !== 'opening') throw new FrameError('the library said welcome twice');
    if (welcome.version !== VERSION) throw new FrameError(`the library speaks version ${welcome.version}`);
    clearTimeout(this.timer);
    this.limits = { ...DEFAULT_LIMITS, ...welcome.limits };
    this.epoch = welcome.epoch;
    this.hash = welcome.hash;
    this.state = 'open';
    if (welcome.heartbeat_ms > 0) this.listen(welcome.heartbeat_ms);
    this.owner.opened(this, welcome);
  }

  /** A process that was busy itself counts one missed heartbeat, however long it was busy. */
  listen(interval) {
    this.timer = setInterval(() => {
      this.missed = this.quiet ? this.missed + 1 : 0;
      if (this.missed >= MISSED) this.fail(`the library was silent for ${interval * MISSED} ms`);
      else if (this.quiet) this.send({ type: Type.PING, id: 0 });
      this.quiet = true;
    }, interval);
    this.timer.unref();
  }

  end() {
    clearTimeout(this.timer);
    const opened = this.state !== 'opening';
    this.state = 'closed';
    this.owner.closed(this, this.error, opened);
  }
}

module.exports = { Connection };
