// Forks the program listening.js as a worker of Node's own cluster, and says in the file MARK when it does: a line
// like the worker's, before it.
const cluster = require('node:cluster');
const fs = require('node:fs');
const path = require('node:path');

cluster.setupPrimary({ exec: path.join(__dirname, 'listening.js') });
fs.appendFileSync(process.env.MARK, `${process.pid} ${Date.now()}\n`);
cluster.fork();
