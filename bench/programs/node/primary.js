'use strict';
// Node's own primary, as its documentation has it: round robin over as many workers as the argument says.
const cluster = require('cluster');
const path = require('path');

const count = Number(process.argv[2]);
let listening = 0;

cluster.setupPrimary({ exec: path.join(__dirname, 'serve.js'), args: [] });
cluster.on('listening', (worker, { address, port }) => {
  listening += 1;
  if (listening === count) console.log(`listening ${address}:${port}`);
});
for (let i = 0; i < count; i += 1) cluster.fork();
