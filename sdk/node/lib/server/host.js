'use strict';

const net = require('net');
const { Gate } = require('./gate');
const { Session } = require('./session');
const { expose, library, resolve } = require('./reflect');
const { notify, watchdog } = require('./notify');

const FIRST_FD = 3;
const LAG = 500;

/**
 * Offers objects to the agents of this herd, and tells the master that it is ready. Options: `expose` (by
 * object, what the function of that name takes), `close` (called before the process ends), and for use
 * without a master `path` or `fd` to listen at, `name`, `epoch`, `herd`.
 */
async function host(exported, options = {}) {
  const served = new Library(await resolve(exported), options);
  await served.listen(options);
  if (options.path === undefined && options.fd === undefined) served.serveMaster();
  return served;
}

class Library {
  constructor(objects, { name, epoch, herd, expose: exposed = {}, close } = {}, env = process.env) {
    for (const object of Object.keys(exposed)) {
      if (!objects[object]) throw new TypeError(`there is no object ${object} to expose`);
      expose(objects[object], exposed[object]);
    }
    this.name = name ?? env.HERDER_LIBRARY ?? 'library';
    this.epoch = epoch ?? (Number(env.HERDER_EPOCH) || 1);
    this.herd = herd ?? env.HERDER_HERD ?? '';
    this.beforeEnd = close;
    Object.assign(this, library(this.name, objects));
    for (const { methods } of this.table) {
      for (const method of methods) method.gate = new Gate(method.concurrency, method.queue);
    }
    this.document = JSON.stringify(this.signature);
    this.sessions = new Set();
    this.server = net.createServer((socket) => {
      this.sessions.add(new Session(socket, this));
    });
  }

  listen({ path, fd }) {
    const where = path === undefined ? { fd: fd ?? inherited() } : { path };
    const { server } = this;
    return new Promise((done, failed) => {
      server.once('error', failed);
      server.listen(where, () => {
        server.off('error', failed);
        server.on('error', (error) => this.warn(error.message));
        done();
      });
    });
  }

  serveMaster() {
    watchdog();
    this.measure();
    const stop = async () => {
      notify('STOPPING=1');
      await this.close();
      process.exit(0);
    };
    process.once('SIGTERM', stop);
    // The terminal tells the whole group; the master says when.
    process.on('SIGINT', () => {});
    notify('READY=1');
  }

  /** How late the event loop turns, in microseconds. */
  lag() {
    return Math.min(this.late ?? 0, 0xffffffff);
  }

  measure() {
    let due = Date.now() + LAG;
    setInterval(() => {
      this.late = Math.max(0, Date.now() - due) * 1000;
      due = Date.now() + LAG;
    }, LAG).unref();
  }

  /** Ends in order: no new connections, what is under way ends, then `close` of the options. */
  close() {
    this.closing ||= this.drain();
    return this.closing;
  }

  async drain() {
    this.server.close();
    const gone = new Promise((resolve) => { this.empty = resolve; });
    for (const session of [...this.sessions]) session.leave();
    if (this.sessions.size) await gone;
    await this.beforeEnd?.();
  }

  /** Ends at once, as if the process had died. */
  kill() {
    this.server.close();
    for (const session of [...this.sessions]) session.socket.destroy();
  }

  ended(session) {
    this.sessions.delete(session);
    if (this.sessions.size === 0) this.empty?.();
  }

  warn(text) {
    process.emitWarning(`library ${this.name}: ${text}`, 'HerderWarning');
  }
}

/** The descriptor of the listener that the master gave to this process. */
function inherited(env = process.env) {
  const count = Number(env.LISTEN_FDS) || 0;
  const mine = env.LISTEN_PID === undefined || Number(env.LISTEN_PID) === process.pid;
  const names = (env.LISTEN_FDNAMES || '').split(':');
  const place = Math.max(0, names.indexOf('library'));
  if (!mine || place >= count) throw new Error('no listener was given to this process (LISTEN_FDS)');
  return FIRST_FD + place;
}

module.exports = { host };
