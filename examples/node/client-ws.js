'use strict';
// A client of chat-ws.js: says one thing, prints what comes back, leaves.
const WebSocket = require('ws');

const socket = new WebSocket(`ws://127.0.0.1:${process.env.PORT || 8080}`);
socket.on('open', () => socket.send(process.argv[2] || 'hello'));
socket.on('message', (text) => {
  console.log(`${text}`);
  socket.close();
});
