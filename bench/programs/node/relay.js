'use strict';
// Calls that go from a worker through its primary to a process with the objects, and back, by `process.send`:
// node relay.js SIZE IN_FLIGHT MILLISECONDS
const cluster = require('cluster');
const { fork } = require('child_process');
const { press } = require('./press');

function primary() {
  const library = fork(__filename, [], { env: { ...process.env, RELAY: 'library' } });
  const worker = cluster.fork({ RELAY: 'worker' });
  worker.on('message', (mail) => library.send(mail));
  library.on('message', (mail) => worker.send(mail));
  worker.on('exit', (code) => {
    library.kill();
    process.exitCode = code;
  });
}

function library() {
  const echo = { echo: (text) => text };
  process.on('message', ({ id, method, args }) => process.send({ id, value: echo[method](...args) }));
}

async function worker() {
  const calls = new Map();
  let last = 0;
  process.on('message', ({ id, value }) => {
    calls.get(id)(value);
    calls.delete(id);
  });
  await press(process.argv.slice(2).map(Number), (text) => new Promise((resolve) => {
    last += 1;
    calls.set(last, resolve);
    process.send({ id: last, method: 'echo', args: [text] });
  }));
  process.disconnect();
}

({ library, worker }[process.env.RELAY] ?? primary)();
