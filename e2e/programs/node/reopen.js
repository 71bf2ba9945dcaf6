'use strict';
// Opens and closes its listener 20 times, and listens in the end.
const http = require('http');

const server = http.createServer((request, response) => response.end(`pid:${process.pid}`));

function open(left) {
  server.listen(Number(process.env.PORT_TO_TAKE), '127.0.0.1', () => {
    if (left > 0) server.close(() => open(left - 1));
    else process.send('ready');
  });
}

open(20);
