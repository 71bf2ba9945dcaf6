'use strict';
const { createServer } = require('http');
const { Server } = require('socket.io');

const server = createServer();
const io = new Server(server);

io.on('connection', (socket) => {
  socket.on('chat', (text) => io.emit('chat', `worker-${process.pid}: ${text}`));
});

server.listen(process.env.PORT || 8080);
