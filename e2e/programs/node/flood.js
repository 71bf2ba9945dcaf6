'use strict';
// A server that sends, when it is asked to, more than anybody can take: `/flood` to the primary, and
// `/relay/COUNT/LENGTH` to the other one of two workers. `/block/MS` answers, and then does nothing else for a time.
const cluster = require('cluster');
const http = require('http');

const other = 1 - Number(process.env.NODE_APP_INSTANCE);
let heard = 0;

function send(message, left) {
  for (let burst = 0; burst < 1000 && left > 0; burst += 1, left -= 1) process.send(message);
  if (left > 0) setImmediate(send, message, left);
  else process.send('the last one', () => console.log('all is sent'));
}

process.on('message', ({ data }) => {
  heard += 1;
  if (data === 'report') console.log(`heard ${heard}`);
});

http.createServer((request, response) => {
  const [, what, value, length] = request.url.split('/');
  const data = 'x'.repeat(Number(length) || 1024);
  response.setHeader('Connection', 'close');
  response.end(`pid:${process.pid} worker:${cluster.worker.id}`);
  switch (what) {
    case 'flood':
      send({ data }, 40_000);
      break;
    case 'relay':
      send({ type: 'process:msg', id: other, data }, Number(value));
      break;
    case 'report':
      process.send({ type: 'process:msg', id: other, data: 'report' });
      break;
    case 'block':
      response.on('close', () => {
        const until = Date.now() + Number(value);
        while (Date.now() < until);
      });
      break;
  }
}).listen(0, '127.0.0.1');
