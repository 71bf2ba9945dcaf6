'use strict';
// A server that does what it is asked to by the path of each request.
const cluster = require('cluster');
const http = require('http');

const me = `pid:${process.pid} worker:${cluster.worker && cluster.worker.id}`;

const server = http.createServer((request, response) => {
  const [, what, value] = request.url.split('/');
  switch (what) {
    case 'slow':
      setTimeout(() => response.end(me), Number(value));
      return;
    case 'block':
      response.end(me);
      response.on('close', () => {
        const until = Date.now() + Number(value);
        while (Date.now() < until);
      });
      return;
    case 'suicide':
      process.send({ act: 'suicide' });
      break;
    case 'disconnect':
      cluster.worker.disconnect();
      break;
    case 'kill':
      cluster.worker.kill();
      break;
    case 'cut':
      process.disconnect();
      break;
    case 'exit':
      process.exit(Number(value));
      break;
    case 'handle':
      // A socket that nobody asked for, and then what must not wait behind it.
      process.send('look', request.socket, { keepOpen: true });
      break;
  }
  response.end(me);
});
server.listen(JSON.parse(process.env.LISTEN || '{"port":0,"host":"127.0.0.1"}'));
if (process.env.TIMER) setInterval(() => {}, 1000);
if (process.env.READY_LATER) setTimeout(() => process.send('ready'), Number(process.env.READY_LATER));
process.on('message', (message) => console.log(`was told ${JSON.stringify(message)}`));
