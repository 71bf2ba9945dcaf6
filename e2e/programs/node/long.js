'use strict';
// Clients that stay connected, as their packages make them: six of socket.io, or six of ws. Says what becomes
// of them.
const { io } = require('socket.io-client');
const WebSocket = require('ws');

const port = process.env.PORT;

function socketIo(number) {
  const options = { transports: ['websocket'], forceNew: true, reconnectionDelay: 50 };
  const socket = io(`http://127.0.0.1:${port}`, options);
  let times = 0;
  socket.on('connect', () => {
    times += 1;
    socket.emit('chat', `${number}`);
    console.log(`socket.io ${number} is connected ${times}`);
  });
  socket.on('disconnect', (reason) => console.log(`socket.io ${number} lost: ${reason}`));
}

function ws(number) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  socket.on('open', () => console.log(`ws ${number} is connected 1`));
  socket.on('close', (code) => console.log(`ws ${number} closed: ${code}`));
  socket.on('error', (error) => console.log(`ws ${number} failed: ${error.message}`));
}

const connect = process.argv[2] === 'ws' ? ws : socketIo;
for (let number = 0; number < 6; number += 1) connect(number);
