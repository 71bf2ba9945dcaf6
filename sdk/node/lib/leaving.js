'use strict';
// The end of a worker: it was told to leave, and has no listener left.

const cluster = require('cluster');

const told = new Set();
let leaving = false;

// The worker and not the process is asked: to listen for the process's event would keep it alive.
cluster.worker?.once('disconnect', () => {
  leaving = true;
  for (const tell of [...told]) tell();
});

/** Calls back when this worker leaves; returns what takes that back. */
function onLeave(tell) {
  told.add(tell);
  return () => told.delete(tell);
}

module.exports = { isLeaving: () => leaving, onLeave };
