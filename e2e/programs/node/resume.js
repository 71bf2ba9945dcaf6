'use strict';
// Connects by TLS until it meets another worker than at first, each time with the session of the first; says
// whether that one took the session.
const tls = require('tls');

const port = Number(process.argv[2]);

const meet = (session) => new Promise((resolve, reject) => {
  const found = { session: undefined, reused: false, worker: '' };
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, session }, () => {
    found.reused = socket.isSessionReused();
    found.session = socket.getSession();
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  });
  socket.setEncoding('latin1');
  socket.on('data', (text) => { found.worker += text; });
  socket.on('error', reject);
  socket.on('close', () => resolve({ ...found, worker: /worker:\d/.exec(found.worker)[0] }));
});

(async () => {
  const first = await meet();
  for (let turn = 0; turn < 500; turn += 1) {
    const next = await meet(first.session);
    if (next.worker !== first.worker) {
      console.log(JSON.stringify({ reused: next.reused, byAnother: true }));
      return;
    }
  }
  console.log(JSON.stringify({ byAnother: false }));
})();
