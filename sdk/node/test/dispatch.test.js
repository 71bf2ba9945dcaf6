'use strict';

const assert = require('assert');
const fs = require('fs');
const http = require('http');
const path = require('path');
const test = require('node:test');
const { spawn, spawnSync } = require('child_process');
const { Master } = require('../cluster-dispatch');
const { eventually } = require('../fixtures/scene');

const BIN = process.env.HERDER_BIN || 'herder';
const skip = spawnSync(BIN, ['--version']).error ? 'the command herder is not there (HERDER_BIN)' : false;

test('options have their defaults and contradictions are errors', async () => {
  const master = new Master({ baseDir: '/srv/app' });
  assert.strictEqual(master.appPath, '/srv/app/index.js');
  assert.strictEqual(master.libraryPath, '/srv/app/agent/lib/index.js');
  assert.ok(master.appWorkerCount >= 1);
  assert.deepStrictEqual([master.needLibrary, master.needAgent], [true, true]);
  assert.throws(() => new Master({ needLibrary: false }), /needAgent needs the library/);
  assert.strictEqual(new Master({ needLibrary: false, needAgent: false }).needAgent, false);
  await assert.rejects(master.init(), /index.js is not there/);
});

test('node master.js starts the library, then the workers, whose agents call it', { skip, timeout: 60_000 }, async (t) => {
  const directory = install(t);
  const { master, out, log } = run(t, directory);
  await eventually(() => out.text.includes('all ready'));
  const port = /listening on 127\.0\.0\.1:(\d+)/.exec(log.text)[1];
  const seen = [];
  for (let count = 0; count < 4; count++) seen.push(await get(port));
  const [first] = seen;
  assert.strictEqual(first.name, 'get name');
  assert.deepStrictEqual(first.values, ['a promise', 'a function', 'a generator']);
  assert.strictEqual(first.failure, 'app: demo.fail failed: not today');
  assert.deepStrictEqual(first.told, ['news 0', 'news 1', 'news 2']);
  assert.strictEqual(new Set(seen.map(({ library }) => library)).size, 1);
  assert.strictEqual(new Set(seen.map(({ worker }) => worker)).size, 2);

  process.kill(first.library, 'SIGKILL');
  const later = await eventually(async () => {
    const answer = await get(port).catch(() => null);
    return answer && answer.library !== first.library && answer;
  });
  assert.strictEqual(later.name, 'get name');
  await eventually(() => out.text.includes('error: '));

  const ended = new Promise((resolve) => { master.once('exit', (code, signal) => resolve([code, signal])); });
  master.kill('SIGTERM');
  assert.deepStrictEqual(await ended, [0, null]);
  for (const { worker } of seen) assert.throws(() => process.kill(worker, 0));
  assert.throws(() => process.kill(later.library, 0));
});

test('a library that cannot start is told, and no worker starts', { skip, timeout: 60_000 }, async (t) => {
  const directory = install(t);
  fs.writeFileSync(path.join(directory, 'agent/lib/index.js'), 'throw new Error("no library today");');
  const { master, out, log } = run(t, directory);
  const code = await new Promise((resolve) => { master.once('exit', resolve); });
  assert.strictEqual(code, 1);
  assert.match(out.text, /failed: herder ended/);
  assert.match(out.text + log.text, /no library today/);
  assert.doesNotMatch(log.text, /worker 0/);
});

/** The example in a directory of its own, with this package installed. */
function install(t) {
  const directory = fs.mkdtempSync(path.join(require('os').tmpdir(), 'herder-dispatch-'));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  fs.cpSync(path.join(__dirname, '../fixtures/dispatch'), directory, { recursive: true });
  fs.mkdirSync(path.join(directory, 'node_modules'));
  fs.symlinkSync(path.join(__dirname, '..'), path.join(directory, 'node_modules/herder'));
  return directory;
}

function run(t, directory) {
  const master = spawn(process.execPath, ['master.js'], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => master.kill('SIGTERM'));
  return { master, out: collect(master.stdout), log: collect(master.stderr) };
}

function collect(stream) {
  const made = { text: '' };
  stream.setEncoding('utf8').on('data', (text) => { made.text += text; });
  return made;
}

function get(port) {
  return new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => { text += part; });
      response.on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(text))));
    }).on('error', reject);
  });
}
