'use strict';
const { WebSocketServer, WebSocket } = require('ws');

const server = new WebSocketServer({ port: process.env.PORT || 8080 });

server.on('connection', (socket) => {
  socket.on('error', console.error);
  socket.on('message', (text) => {
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(`worker-${process.pid}: ${text}`);
    }
  });
});
