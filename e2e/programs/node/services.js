'use strict';
// A worker with herder's package, which does nothing until the test tells it to.
const cluster = require('cluster');
const fs = require('fs');
const http = require('http');
const herder = require('../../../sdk/node');
const { messenger } = require('../../../sdk/node/messenger');

const { id } = cluster.worker;
const kept = {};

// What happens in several processes is told in one file, in its order.
const log = (...words) => fs.appendFileSync('log', `${words.join(' ')}\n`);

// While there is a file `hold`, a run does not end, and says so.
const held = (tick) => {
  if (!fs.existsSync('hold')) return false;
  fs.writeFileSync('held', `${tick.getTime()} ${process.pid}`);
  return true;
};

// Waits until what is asked for is there.
const until = async (ask) => {
  for (;;) {
    const found = await ask();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

http.createServer((request, response) => response.end(String(id))).listen(0, '127.0.0.1', () => {
  require('./act.js')(id, { held, herder, id, kept, log, messenger, until });
});
