// Answers each request with what it has read of it. It listens twice: for those who come by the front, and
// for those who come directly. The first line that it prints is both ports.
'use strict';
const http = require('node:http');

// Requests that came by the front's connections, but are none that it passed on.
const strays = [];

function pairs(raw) {
  const list = [];
  for (let i = 0; i < raw.length; i += 2) list.push([raw[i], raw[i + 1]]);
  return list;
}

function answer(request, response, body) {
  const seen = {
    method: request.method,
    target: request.url,
    version: request.httpVersion,
    lines: pairs(request.rawHeaders),
    body: body.toString('latin1'),
    trailers: pairs(request.rawTrailers),
  };
  const text = Buffer.from(JSON.stringify(seen)).toString('base64');
  response.writeHead(200, { 'X-Seen': text, 'Content-Length': 0 });
  response.end();
}

function serve(check) {
  const server = http.createServer((request, response) => {
    check(request);
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => answer(request, response, Buffer.concat(pieces)));
    request.on('error', () => {});
  });
  server.on('clientError', (_, socket) => refuse(socket, 0));
  server.keepAliveTimeout = 600_000;
  server.headersTimeout = 0;
  server.requestTimeout = 0;
  server.timeout = 0;
  return new Promise((listening) => {
    server.listen(0, '127.0.0.1', () => listening(server.address().port));
  });
}

// Requests that were read before the one that cannot be are answered first; as a rule Node forgets them.
function refuse(socket, turns) {
  if (socket._httpMessage && turns < 50) return setImmediate(refuse, socket, turns + 1);
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
}

function fromFront(request) {
  const id = request.headers['x-request-id'];
  const client = request.headers['x-forwarded-for'];
  if (!/^[0-9a-f]{32}$/.test(id ?? '') || client !== '127.0.0.1') {
    strays.push(`${request.method} ${request.url}`);
  }
}

function directly(request) {
  if (request.url === '/strays') request.rawHeaders.push('Strays', strays.join(', '));
}

Promise.all([serve(fromFront), serve(directly)]).then((ports) => console.log(ports.join(' ')));
// Who started this ends it by closing its standard input.
process.stdin.on('end', () => process.exit()).resume();
