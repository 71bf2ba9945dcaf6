'use strict';
// The worker of the classic multi-process model. It listens nowhere: its master sends it a listener.
const http = require('http');

const server = http.createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  response.end('I am worker, pid:' + process.pid + ', ppid:' + process.ppid);
  throw new Error('worker process exception!');
});

let worker;
process.title = 'node-worker';
process.on('message', (message, sendHandle) => {
  if (message === 'server') {
    worker = sendHandle;
    worker.on('connection', (socket) => server.emit('connection', socket));
  }
});

process.on('uncaughtException', (error) => {
  console.log(error.message);
  process.send({ act: 'suicide' });
  worker.close(() => process.exit(1));
});
