'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
  const delay = request.url === '/slow' ? 1000 : 0;
  setTimeout(() => response.end(`Hello from worker-${process.pid}\n`), delay);
});
server.listen(process.env.PORT || 8080);
