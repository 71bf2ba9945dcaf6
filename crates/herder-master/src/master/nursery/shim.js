'use strict';
// Loaded by herder before the program, in each of its workers.
//
// A worker that is told to leave closes its servers, and Node then cuts idle keep-alive connections at
// once, also those on which a request is already under way. With this, requests go on being answered
// for a moment, each with `Connection: close`, and only then what is still idle is closed.
const LINGER = 1000;
const SWEEP = 100;
let leaving = false;

function linger() {
  if (leaving) return;
  leaving = true;
  const until = Date.now() + LINGER;
  const http = require('http');
  const prototypes = [http.Server.prototype];
  try {
    prototypes.push(require('https').Server.prototype);
  } catch {
    // A Node without TLS.
  }
  const { writeHead } = http.ServerResponse.prototype;
  http.ServerResponse.prototype.writeHead = function(...args) {
    this.shouldKeepAlive = false;
    return writeHead.apply(this, args);
  };
  for (const prototype of prototypes) {
    const { close, closeIdleConnections } = prototype;
    if (!closeIdleConnections) continue;
    const sweep = (server) => {
      if (Date.now() >= until) closeIdleConnections.call(server);
      setTimeout(sweep, SWEEP, server).unref();
    };
    prototype.closeIdleConnections = function() {};
    prototype.close = function(...args) {
      setTimeout(sweep, SWEEP, this).unref();
      return close.apply(this, args);
    };
  }
}

process.prependListener('internalMessage', (message) => {
  if (message && message.cmd === 'NODE_CLUSTER' && message.act === 'disconnect') linger();
});

const { worker } = require('cluster');
if (worker) {
  const { disconnect } = worker;
  worker.disconnect = function(...args) {
    linger();
    return disconnect.apply(this, args);
  };
}
