'use strict';
// Does what a test tells it to: bodies of asynchronous functions come over a socket, one a line, and what they
// return goes back. The socket does not keep the process alive.
const net = require('net');
const AsyncFunction = (async () => {}).constructor;

module.exports = (id, scope) => {
  const socket = net.connect(process.env.CONTROL);
  const names = Object.keys(scope);
  const say = (value) => socket.write(JSON.stringify(value) + '\n');
  const told = async ({ number, body }) => {
    try {
      say({ number, value: await new AsyncFunction(...names, body)(...Object.values(scope)) });
    } catch (error) {
      const { code, errno, syscall } = error;
      say({ number, error: code ? { code, errno, syscall } : String(error.stack) });
    }
  };
  let rest = '';
  socket.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    lines.forEach((line) => told(JSON.parse(line)));
  });
  socket.on('error', () => {});
  socket.unref();
  say({ id, pid: process.pid });
};
