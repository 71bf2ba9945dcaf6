'use strict';
// The library in Node: the one connection to the configuration server, and the object `config`.

const net = require('net');
const readline = require('readline');
const herder = require('../../../sdk/node'); // in a project of its own: require('herder')

const [host, port] = (process.env.CONFIG_SERVER || '127.0.0.1:9000').split(':');
const RETRY = 100;
const values = new herder.State();
let socket = null;
let orders = []; // who waits for the server's `done`, in order

/** Connects; resolves when all values are there. */
function open() {
  return new Promise((resolve, reject) => {
    const gone = new Set(values.entries.keys());
    socket = net.connect({ host, port, noDelay: true }, () => socket.write('follow\n'));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the configuration server has hung up')));
    readline.createInterface({ input: socket }).on('line', (line) => {
      const [, word, key, value] = /^(\S+) ?(\S*) ?(.*)$/.exec(line);
      gone.delete(key);
      if (word === 'set' && values.get(key) !== value) values.set(key, value);
      if (word === 'remove') values.delete(key);
      if (word === 'done') orders.shift()?.resolve();
      if (word === 'end') {
        for (const left of gone) values.delete(left);
        console.error(`connected with ${host}:${port}, ${values.entries.size} keys`);
        resolve();
      }
    }).on('error', () => {}); // the socket tells
  });
}

/** Opens it again whenever it is lost. While the server is away, the last values stay. */
function keep() {
  socket.once('close', async () => {
    console.error('the configuration server is away');
    for (const { reject } of orders.splice(0)) reject(new Error('the configuration server is away'));
    while (!(await open().then(() => true, () => false))) await new Promise((again) => setTimeout(again, RETRY));
    keep();
  });
}

function set(key, value) {
  if (!/^\S+$/.test(key) || /\n/.test(value)) throw new Error('keys have no blanks, and values no line feeds');
  if (!socket.writable) throw new Error('the configuration server is away');
  return new Promise((resolve, reject) => {
    orders.push({ resolve, reject });
    socket.write(`set ${key} ${value}\n`);
  });
}

const config = herder.expose({
  get: (key) => values.get(key) ?? null,
  set,
  watch: (prefix) => values.watch(prefix),
}, {
  get: { args: ['key'], idempotent: true },
  set: { args: ['key', 'value'], idempotent: true },
  watch: { kind: 'state', args: ['prefix'] },
});

// The library is ready when this has resolved.
module.exports = open().then(() => {
  keep();
  console.error('the library offers config.get(key), config.set(key, value), config.watch(prefix)');
  return { config };
});
