'use strict';
// Listens on each of LISTEN, one after the other, and says what came of it. A UDP socket echoes.
const dgram = require('dgram');
const net = require('net');
const { id } = require('cluster').worker;

function listen(wanted) {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.end(`worker:${id}`));
    server.on('error', (error) => resolve(`${error.code} ${error.errno} ${error.syscall}`));
    server.listen(wanted, () => resolve(server.address()));
  });
}

function bind(wanted) {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(wanted.udp);
    socket.on('error', (error) => resolve(`${error.code} ${error.errno} ${error.syscall}`));
    socket.on('message', (text, from) => socket.send(`${text} from ${id}`, from.port, from.address));
    socket.bind(wanted, () => resolve(socket.address()));
  });
}

(async () => {
  for (const [place, wanted] of JSON.parse(process.env.LISTEN).entries()) {
    const found = await (wanted.udp ? bind(wanted) : listen(wanted));
    console.log(`worker ${id} place ${place}: ${JSON.stringify(found)}`);
  }
  console.log(`worker ${id} is done`);
})();
