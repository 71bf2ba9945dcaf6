'use strict';
// A server of some version: what the file VERSION_FILE says when it starts, `VERSION [MISDEED [NUMBER]]`.
//   throw      ends while it is loaded
//   mute       never listens
//   dies MS    ends so many milliseconds after it listens
const cluster = require('cluster');
const fs = require('fs');
const http = require('http');

const [version, misdeed, number] = fs.readFileSync(process.env.VERSION_FILE, 'utf8').trim().split(' ');
if (misdeed === 'throw') throw new Error(`version ${version} cannot be loaded`);

const me = `pid:${process.pid} worker:${cluster.worker && cluster.worker.id} version:${version}`;
const ledger = process.env.LEDGER && fs.openSync(process.env.LEDGER, 'a');

const server = http.createServer((request, response) => {
  // Written down before anything is done with it; one call, so that a kill cannot cut it.
  const id = request.headers['x-request'];
  if (ledger && id) fs.writeSync(ledger, `saw ${id} ${process.pid}\n`);
  const [, what, value] = request.url.split('/');
  if (what === 'slow') {
    setTimeout(() => response.end(me), Number(value));
  } else if (request.method === 'POST') {
    let bytes = 0;
    request.on('data', (chunk) => { bytes += chunk.length; });
    request.on('end', () => response.end(`${me} bytes:${bytes}`));
  } else {
    response.end(me);
  }
});

// Whose connection it is, from its first moment on.
if (ledger) server.on('connection', (socket) => fs.writeSync(ledger, `got ${socket.remotePort} ${process.pid}\n`));

if (misdeed === 'mute') {
  setInterval(() => {}, 1000);
} else {
  server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => {
    if (misdeed === 'dies') setTimeout(() => process.exit(3), Number(number));
  });
}
// What many programs do because other process managers stop them so.
if (process.env.HANDLE_SIGINT) {
  process.on('SIGINT', () => server.close(() => process.exit(0)));
}
