'use strict';

const { spawn } = require('child_process');
const { EventEmitter } = require('events');
const fs = require('fs');
const os = require('os');
const path = require('path');
const readline = require('readline');

const LIBRARY = 'library';
const APP = path.join(__dirname, 'app.js');

/** Starts herder with a library and app workers, and tells what becomes of them. */
class Master extends EventEmitter {
  constructor({
    baseDir = process.cwd(), appPath = 'index.js', libraryPath = 'agent/lib/index.js',
    appWorkerCount = os.availableParallelism?.() ?? os.cpus().length, logging = console.log,
    needLibrary = true, needAgent = true, deadline,
  } = {}) {
    super();
    if (!needLibrary && needAgent) throw new Error('needAgent needs the library: needLibrary must not be false');
    this.baseDir = baseDir;
    this.appPath = path.resolve(baseDir, appPath);
    this.libraryPath = path.resolve(baseDir, libraryPath);
    this.appWorkerCount = appWorkerCount;
    this.logging = typeof logging === 'function' ? logging : () => {};
    this.needLibrary = needLibrary;
    this.needAgent = needAgent;
    this.deadline = deadline;
    this.serving = new Set();
    this.whenReady = new Promise((resolve, reject) => { this.settle = { resolve, reject }; });
    this.whenReady.catch(() => {});
  }

  /** Resolves when the library and all app workers are ready. */
  async init() {
    for (const file of this.needLibrary ? [this.appPath, this.libraryPath] : [this.appPath]) {
      if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) throw new Error(`${file} is not there, or no file`);
    }
    this.start();
    await this.whenReady;
  }

  /** Calls back when all are ready. */
  ready(callback) {
    if (callback) this.whenReady.then(callback, () => {});
    return this.whenReady;
  }

  /** Stops the herd in order; resolves when it has ended. */
  close() {
    if (!this.child) return Promise.resolve();
    this.closing = true;
    this.child.kill('SIGTERM');
    return this.ended;
  }

  start() {
    const env = { ...process.env, HERDER_DISPATCH_APP: this.appPath, HERDER_DISPATCH_AGENT: this.needAgent ? '1' : '0' };
    if (this.deadline) env.HERDER_DISPATCH_DEADLINE = String(this.deadline);
    // A group of its own: the terminal's signals come from here, once.
    this.child = spawn(process.env.HERDER_BIN || 'herder', this.arguments(), {
      env, stdio: ['ignore', 'pipe', 'pipe'], detached: true,
    });
    for (const input of [this.child.stdout, this.child.stderr]) {
      readline.createInterface({ input }).on('line', (line) => this.read(line));
    }
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve(this.end(code, signal)));
    });
    this.child.once('error', (error) => this.settle.reject(notStarted(error)));
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT']) this.forward(signal);
    process.once('exit', () => this.child.kill('SIGTERM'));
  }

  arguments() {
    const args = ['run', '--json', '--workers', String(this.appWorkerCount), '--name', nameOf(this.baseDir)];
    args.push('--interpreter', process.execPath);
    if (this.needLibrary) args.push('--library', `${LIBRARY}=${this.libraryPath}`);
    return [...args, APP];
  }

  forward(signal) {
    process.on(signal, () => {
      this.closing = true;
      this.exits = true;
      this.child.kill(signal);
    });
  }

  /** One line of herder: an event, or what one of the processes printed. */
  read(line) {
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      this.logging(line);
      return;
    }
    if (event.event === 'line') {
      process[event.stream === 'stderr' ? 'stderr' : 'stdout'].write(event.continues ? event.line : `${event.line}\n`);
      return;
    }
    this.logging(event.message);
    this.learn(event);
  }

  learn(event) {
    if (event.event === 'finished') this.outcome = event;
    if (event.part) return this.complain(event);
    if (event.event === 'ready') {
      this.serving.add(event.slot);
      if (this.serving.size >= this.appWorkerCount) this.settle.resolve();
    }
    return this.complain(event);
  }

  /** A death is an error, for who wants to hear of it. */
  complain({ event, level, message }) {
    const bad = level === 'warning' && event !== 'warning' && !this.closing;
    if (bad && this.listenerCount('error') > 0) this.emit('error', new Error(message));
  }

  end(code, signal) {
    const last = this.outcome?.last_lines;
    const lines = Array.isArray(last) ? last.join('\n') : last;
    const error = new Error([`herder ended (${signal ?? `status ${code}`})`, lines].filter(Boolean).join(':\n'));
    this.settle.reject(error);
    if (this.exits) process.exit(code ?? 1);
    if (!this.closing && this.listenerCount('error') > 0) this.emit('error', error);
  }
}

function notStarted(error) {
  if (error.code !== 'ENOENT') return error;
  return new Error('the command herder is not there: install it, or name it in HERDER_BIN', { cause: error });
}

/** A name for the herd out of its directory's. */
function nameOf(directory) {
  const name = path.basename(path.resolve(directory)).replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^[^A-Za-z0-9]+|-+$/g, '');
  return name.slice(0, 32) || 'app';
}

module.exports = { Master };
