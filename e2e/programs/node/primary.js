'use strict';
// Node's own primary: node primary.js COUNT PROGRAM ARGS. Says what it sees as `herder run --json` does, and does
// what a test tells it to. TERM ends it at once, and with it the workers.
const cluster = require('cluster');

const [count, exec, ...args] = process.argv.slice(2);
const say = (event, worker, more) =>
  console.log(JSON.stringify({ event, worker: worker.id, pid: worker.process.pid, ...more }));
const text = ({ address, port }) => {
  if (port === -1) return `unix:${address}`;
  if (!address) return `[::]:${port}`;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
};

// What `fork` starts the workers by.
process.execPath = process.env.WORKERS_BY;
cluster.setupPrimary({ exec, args });
cluster.on('online', (worker) => say('online', worker));
cluster.on('listening', (worker, address) => say('listening', worker, { address: text(address) }));
cluster.on('message', (worker, message) => say('message', worker, { message }));
cluster.on('disconnect', (worker) => say('disconnected', worker));
cluster.on('exit', (worker, code, signal) =>
  say('exited', worker, { code: signal ? null : code, signal, voluntary: worker.exitedAfterDisconnect }));
for (let slot = 0; slot < Number(count); slot += 1) cluster.fork({ NODE_APP_INSTANCE: slot });
process.on('SIGTERM', () => process.exit(0));
// It stays when all of its workers have gone.
setInterval(() => {}, 60_000);
require('./act.js')(0, { cluster, require });
