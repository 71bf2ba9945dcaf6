'use strict';
// What every Node worker of the benchmark runs, whoever its primary is: an answer that names the process.
const http = require('http');

const body = `worker-${process.pid}`.padEnd(42);

http.createServer((request, response) => response.end(body)).listen(0, '127.0.0.1');
