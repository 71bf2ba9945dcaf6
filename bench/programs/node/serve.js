'use strict';
// What every Node worker of the benchmark runs, whoever its primary is: an answer that names the process. Who
// cannot say where it listens is told by PORT.
const http = require('http');

const body = `worker-${process.pid}`.padEnd(42);

http.createServer((request, response) => response.end(body)).listen(Number(process.env.PORT || 0), '127.0.0.1');
