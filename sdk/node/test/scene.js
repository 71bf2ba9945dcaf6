'use strict';
// What the tests have in common: a private directory, libraries in it, agents of them.

const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawn } = require('child_process');
const herder = require('..');

const HERD = '00112233445566778899aabbccddeeff';

class Scene {
  constructor(test) {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'herder-node-'));
    this.path = path.join(this.directory, 'core.sock');
    this.libraries = [];
    this.connected = [];
    this.children = [];
    test.after(() => this.end());
  }

  async library(objects, options = {}) {
    fs.rmSync(this.path, { force: true });
    const library = await herder.host(objects, { path: this.path, name: 'core', herd: HERD, epoch: 1, ...options });
    this.libraries.push(library);
    return library;
  }

  async agent(options = {}) {
    const objects = await herder.connect({
      libraries: [{ name: 'core', path: this.path }], identity: { herd: HERD, part: 'worker', slot: 3, worker: 7 },
      timeout: 5000, ...options,
    });
    this.connected.push(objects);
    return objects;
  }

  /** Runs a program of the fixtures with its output read. */
  spawn(file, args = [], options = {}) {
    const child = spawn(process.execPath, [path.join(__dirname, 'fixtures', file), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'], ...options,
    });
    this.children.push(child);
    return child;
  }

  end() {
    for (const objects of this.connected) herder.close(objects);
    for (const library of this.libraries) library.kill();
    for (const child of this.children) child.kill('SIGKILL');
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Resolves when `check` gives something true; fails after 5 s. */
async function eventually(check) {
  const until = Date.now() + 5000;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > until) throw new Error(`not within 5 s: ${check}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A promise that is settled from outside. */
function gate() {
  const made = {};
  made.opened = new Promise((resolve, reject) => Object.assign(made, { open: resolve, fail: reject }));
  return made;
}

module.exports = { HERD, Scene, eventually, gate };
