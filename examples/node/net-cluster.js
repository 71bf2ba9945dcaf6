'use strict';
// Node's classic cluster program, whole: `node net-cluster.js` makes its own workers. Under herder it
// finds that it is one.
const cluster = require('cluster');
const net = require('net');
const os = require('os');

if (cluster.isMaster) {
  for (let i = 0; i < os.cpus().length; i++) cluster.fork();
  cluster.on('online', (worker) => console.log(`Create worker-${worker.process.pid}`));
  cluster.on('exit', (worker, code, signal) => {
    console.log(`[Master] worker ${worker.process.pid} died with code:${code}, and${signal}`);
    cluster.fork();
  });
} else {
  net.createServer((socket) => {
    setTimeout(() => socket.end(`Request handled by worker-${process.pid}`), 10);
  }).listen(process.env.PORT || 8989);
}
