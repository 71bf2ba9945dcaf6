'use strict';

const { HerderError } = require('../errors');
const { onLeave } = require('../leaving');
const { Gap } = require('../subscription');

const LONGEST_REASON = 2000;
const HISTORY = 100;

/** The app's own jobs: what they are, when they run, who runs them. Times are in milliseconds. */
class Jobs {
  constructor(object) {
    this.object = object;
    this.servers = new Map();
  }

  /**
   * Makes a job, or changes it: its timing (`0 3 * * * Europe/Berlin`, `every 10s`), or `{timing, target,
   * overlap, misfire, timeout, retries, jitter, start}`.
   */
  async define(name, definition) {
    const { timeout, jitter, ...rest } = typeof definition === 'string' ? { timing: definition } : definition;
    if (timeout !== undefined) rest.timeout_ms = timeout;
    if (jitter !== undefined) rest.jitter_ms = jitter;
    await this.object.define(name, rest);
  }

  /** All jobs, with their next and last times. */
  async list() {
    return (await this.object.list()).map(({ definition, next, last, ...job }) => {
      const { timeout_ms: timeout, jitter_ms: jitter, ...rest } = definition;
      return { ...job, ...rest, timeout, jitter, next: date(next), last: date(last) };
    });
  }

  /** What happened, latest first; of one job, or of all. */
  async history(name = null, limit = HISTORY) {
    return (await this.object.history(name, limit)).map((entry) => ({
      ...entry, tick: date(entry.tick), started: date(entry.started), ended: date(entry.ended),
    }));
  }

  /** It is not due until it is resumed. */
  async pause(name) {
    await this.object.pause(name);
  }

  async resume(name) {
    await this.object.resume(name);
  }

  /** Removes it. What runs goes on. */
  async remove(name) {
    await this.object.remove(name);
  }

  /** Runs it now, beside its times. */
  async runNow(name) {
    await this.object.run_now(name);
  }

  /**
   * Runs the job in this process when it is this process's turn: `listener({name, tick, attempt, token,
   * timeout, signal})`. The run fails when the listener throws or rejects. `signal` is aborted when nobody
   * waits for the run any more: it took too long, or the library ended. `close()` of what is returned
   * ends it.
   */
  on(name, listener) {
    if (this.servers.has(name)) throw new Error(`the job ${name} is run by another listener of this process`);
    const server = new Server(this.object, name, listener);
    this.servers.set(name, server);
    server.ended.then(() => {
      if (this.servers.get(name) === server) this.servers.delete(name);
    }, () => {});
    return server;
  }
}

/** A process that runs a job. */
class Server {
  constructor(object, name, listener) {
    Object.assign(this, { object, name, listener });
    this.runs = new Map();
    this.stream = object.serve([name]);
    /** Resolves when runs can come. */
    this.opened = this.stream.opened.then(() => this);
    this.opened.catch(() => {});
    /** Told when it ended without having been closed. */
    this.onend = null;
    this.offLeave = onLeave(() => this.drain());
    this.ended = this.follow();
  }

  /** Runs nothing any more. What runs is aborted, and others are free to do it. */
  close() {
    this.stream.close();
    this.abandon(new Error(`nobody runs the job ${this.name} here any more`));
  }

  async follow() {
    let problem;
    try {
      for await (const order of this.stream) this.take(order);
    } catch (error) {
      problem = error;
    }
    this.offLeave();
    this.abandon(problem ?? new Error('the stream of runs has ended'));
    if (!problem) return;
    if (this.onend) this.onend(problem);
    else process.emitWarning(problem);
  }

  take(order) {
    if (order instanceof Gap) {
      // The library that gave them is gone, and the next one knows nothing of them.
      this.abandon(new HerderError('unavailable', 'maybe', 'the library started again'));
    } else if (order.cancel) {
      this.abort(order.cancel.run, new HerderError('cancelled', 'maybe', 'nobody waits for this run any more'));
    } else if (order.run) {
      this.run(order.run);
    }
  }

  async run({ run: id, name, tick, attempt, token, timeout_ms: timeout }) {
    const controller = new AbortController();
    this.runs.set(id, controller);
    let failure = null;
    try {
      await this.listener({ name, tick: date(tick), attempt, token, timeout, signal: controller.signal });
    } catch (error) {
      failure = describe(error);
    }
    // Nobody asks for the end of what was given up, and its number may be another's.
    if (!this.runs.delete(id)) return;
    try {
      await this.object.done(id, failure);
    } catch (error) {
      process.emitWarning(error);
    }
    if (this.draining) this.drain();
  }

  abort(id, reason) {
    const controller = this.runs.get(id);
    this.runs.delete(id);
    controller?.abort(reason);
    if (this.draining) this.drain();
  }

  abandon(reason) {
    for (const id of [...this.runs.keys()]) this.abort(id, reason);
  }

  /** The worker comes to its end: what runs here may end. */
  drain() {
    this.draining = true;
    if (this.runs.size === 0) this.stream.close();
  }
}

function date(millis) {
  return millis === null || millis === undefined ? null : new Date(millis);
}

function describe(error) {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.slice(0, LONGEST_REASON) || 'it failed';
}

module.exports = { Jobs };
