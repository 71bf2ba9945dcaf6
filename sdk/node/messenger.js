'use strict';
// Egg's messenger, on the bus of the herd: the same names, and errors where messages were lost silently.

const { EventEmitter } = require('events');
const herder = require('.');
const { libraries } = require('./lib/environment');

const READY = 'egg-ready';
const OWN = new Set(['error', 'newListener', 'removeListener']);

/**
 * Sends and receives messages by their action. Emits `egg-ready` when it can; what cannot be sent is an
 * `error` event, or a warning when nobody listens for it, and the promise of the sending method tells too.
 */
class Messenger extends EventEmitter {
  constructor(bus = herder.bus) {
    super();
    this.streams = new Map();
    this.make = bus;
    this.on('newListener', (action) => this.follow(action));
  }

  /** Connects, when the first message is sent or listened for. */
  get bus() {
    if (!this.connected) {
      this.connected = Promise.resolve().then(this.make);
      this.connected.then(() => super.emit(READY), (error) => this.fail(error));
    }
    return this.connected;
  }

  /** To every worker and library, this one as well. */
  broadcast(action, data) {
    return this.transmit('all', action, data);
  }

  /** To every worker. */
  sendToApp(action, data) {
    return this.transmit('workers', action, data);
  }

  /** To the library: it is what Egg calls the agent. */
  sendToAgent(action, data) {
    const own = libraries().find(({ name }) => name !== 'herder');
    return this.transmit({ library: process.env.HERDER_LIBRARY ?? own?.name ?? 'agent' }, action, data);
  }

  /** To the worker with this process id. */
  sendTo(pid, action, data) {
    return this.transmit({ pid: Number(pid) }, action, data);
  }

  /** To one of the workers. */
  sendRandom(action, data) {
    return this.transmit('random', action, data);
  }

  /** Resolves when what was listened for so far will be heard. */
  async listening() {
    await this.bus;
    await Promise.all([...this.streams.values()].map(async (stream) => (await stream).opened));
  }

  /** Hears nothing more. */
  async close() {
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) (await stream).close();
  }

  transmit(to, action, data) {
    const sent = this.bus.then((bus) => bus.send(to, action, data));
    sent.catch((error) => this.fail(error));
    return sent;
  }

  follow(action) {
    if (typeof action !== 'string' || OWN.has(action) || this.streams.has(action)) return;
    const { bus } = this;
    if (action === READY) return;
    const stream = bus.then((bus) => bus.on(action, (data) => { super.emit(action, data); }));
    stream.catch(() => this.streams.delete(action));
    this.streams.set(action, stream);
  }

  fail(error) {
    if (this.listenerCount('error') > 0) super.emit('error', error);
    else process.emitWarning(error);
  }
}

let shared = null;

module.exports = {
  Messenger,
  /** The messenger of this process. */
  get messenger() {
    shared ||= new Messenger();
    return shared;
  },
};
