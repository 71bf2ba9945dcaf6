'use strict';
// A client of chat-socketio.js, by long polling alone: says one thing, prints what comes back, leaves.
const { io } = require('socket.io-client');

const socket = io(`http://127.0.0.1:${process.env.PORT || 8080}`, { transports: ['polling'] });
socket.on('connect', () => socket.emit('chat', process.argv[2] || 'hello'));
socket.on('connect_error', (error) => console.log(`failed: ${error.message}`));
socket.on('chat', (text) => {
  console.log(text);
  socket.close();
});
