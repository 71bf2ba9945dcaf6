'use strict';
// Listens nowhere: takes its connections from the listener that it is sent.
const http = require('http');

const server = http.createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/plain', Connection: 'close' });
  response.end(`pid:${process.pid} worker:${process.env.HERDER_WORKER_ID}`);
});
process.on('message', (message, handle) => {
  if (message === 'server') handle.on('connection', (socket) => server.emit('connection', socket));
});
