'use strict';
// A worker that calls a library: node agent.js PATH SIZE IN_FLIGHT MILLISECONDS
const herder = require('../../../sdk/node');
const { press } = require('./press');

async function main() {
  const [path, ...load] = process.argv.slice(2);
  const identity = { app: 'bench', herd: process.env.BENCH_HERD, part: 'worker', slot: 1, worker: 1 };
  const objects = await herder.connect({ libraries: [{ name: 'core', path }], identity });
  const { echo } = objects;
  await press(load.map(Number), (text) => echo.echo(text));
  herder.close(objects);
}

main();
