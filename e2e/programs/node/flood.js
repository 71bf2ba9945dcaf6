'use strict';
// A server; the worker 1 sends the primary more than anybody can take when it is asked for `/flood`.
const cluster = require('cluster');
const http = require('http');

const { id } = cluster.worker;
const text = 'x'.repeat(1024);
let left = 0;

function send() {
  for (let burst = 0; burst < 1000 && left > 0; burst += 1, left -= 1) process.send({ text, left });
  if (left > 0) setImmediate(send);
  else console.log('all is sent');
}

http.createServer((request, response) => {
  response.setHeader('Connection', 'close');
  response.end(`pid:${process.pid} worker:${id}`);
  if (request.url === '/flood') {
    left = 100_000;
    send();
  }
}).listen(0, '127.0.0.1');
