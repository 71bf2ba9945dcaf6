// An ES module that listens after an `await`, and says what it is.
import cluster from 'node:cluster';
import http from 'node:http';
import { setImmediate } from 'node:timers/promises';

await setImmediate();
http.createServer((request, response) => {
  response.setHeader('Connection', 'close');
  response.end(`pid:${process.pid} worker:${cluster.worker.id} ${globalThis.loaded ?? 'alone'}`);
}).listen(0, '127.0.0.1');
