'use strict';
// A worker in Node: an HTTP server that answers from its copy, or asks the library.

const http = require('http');
const herder = require('../../../sdk/node'); // in a project of its own: require('herder')

const name = `pid:${process.pid} worker:${process.env.HERDER_WORKER_ID}`;
let copy = new Map();

/** Follows the library; calls `complete` when the copy is complete for the first time. */
async function follow(config, complete) {
  let snapshot = new Map();
  for await (const { kind, value } of config.watch('').items()) {
    if (kind === 'gap') snapshot = new Map();
    else if (kind === 'snapshot') snapshot.set(value.key, value.value);
    else if (kind === 'snapshot_end') {
      copy = snapshot;
      snapshot = new Map();
      complete();
    } else if (value.value == null) copy.delete(value.key);
    else copy.set(value.key, value.value);
  }
}

async function answer(request, config) {
  const [, fresh, key] = /^\/(fresh\/)?(.*)$/.exec(request.url);
  if (request.method === 'PUT') {
    const parts = [];
    for await (const part of request) parts.push(part);
    await config.set(key, String(Buffer.concat(parts)));
  }
  const value = fresh || request.method === 'PUT' ? await config.get(key) : copy.get(key);
  return value == null ? [404, `${name} there is no ${key}\n`] : [200, `${name} ${key}=${value}\n`];
}

async function main() {
  console.error('asks the library what it offers');
  const objects = await herder.agent();
  for (const agent of herder.agentsOf(objects)) {
    for (const [object, { methods }] of Object.entries(agent.signature.objects)) {
      const list = Object.entries(methods).map(([method, { args }]) => `${object}.${method}(${args.map((arg) => arg.name).join(', ')})`);
      console.error(`its agent offers ${list.join(', ')}`);
    }
  }
  const { config } = objects;
  await new Promise((complete, failed) => { follow(config, complete).catch(failed); });
  console.error(`has ${copy.size} keys`);
  const server = http.createServer((request, response) => {
    answer(request, config).catch((error) => [503, `${error.message}\n`]).then(([status, text]) => {
      const length = Buffer.byteLength(text);
      response.writeHead(status, { 'content-type': 'text/plain', 'content-length': length }).end(text);
    });
  });
  server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
