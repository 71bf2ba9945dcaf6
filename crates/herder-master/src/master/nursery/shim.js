'use strict';
// Loaded by herder before the program, in each of its workers. It does two things.
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

// A connection comes in a line of its own. Node takes such a line apart in two rounds of its event loop's
// queue, and answers twice: that it has come, and whether it is taken. This does the same in one round, and
// says both in one write, before the program sees the connection, as ever. Whatever is not exactly such a
// line, or comes while Node does not write at once, is left to Node; so is everything if its insides are
// not those that are known.
const ENVELOPE = '{"cmd":"NODE_HANDLE","type":"net.Native","msg":';
const CONNECTION = `${ENVELOPE}{"cmd":"NODE_CLUSTER","act":"newconn",`;
const ACKNOWLEDGEMENT = { cmd: 'NODE_HANDLE_ACK' };
const LONGEST = 512;

function shortcut(channel) {
  const { onread, writeUtf8String } = channel;
  if (typeof onread !== 'function' || typeof writeUtf8String !== 'function') return;
  if (typeof process._send !== 'function' || !('_handleQueue' in process)) return;
  const { Buffer } = require('buffer');
  const acknowledgement = `${JSON.stringify(ACKNOWLEDGEMENT)}\n`;
  let owed = false;

  function acknowledge() {
    if (!owed) return;
    owed = false;
    if (process.channel) process._send(ACKNOWLEDGEMENT, null, true);
  }

  // What a reading holds if it is one connection and nothing else.
  function connectionIn(bytes) {
    if (!bytes || bytes.byteLength > LONGEST || !channel.pendingHandle) return undefined;
    if (channel.buffering || process._handleQueue || !process.connected) return undefined;
    const text = Buffer.from(bytes).toString();
    const end = text.length - 1;
    if (!text.startsWith(CONNECTION) || text.indexOf('\n') !== end) return undefined;
    return JSON.parse(text.slice(ENVELOPE.length, end - 1));
  }

  channel.writeUtf8String = function(request, line, handle) {
    if (owed && !handle) {
      owed = false;
      return writeUtf8String.call(this, request, acknowledgement + line, handle);
    }
    acknowledge();
    return writeUtf8String.call(this, request, line, handle);
  };
  channel.onread = function(bytes) {
    const message = connectionIn(bytes);
    if (!message) return onread.call(this, bytes);
    const handle = channel.pendingHandle;
    channel.pendingHandle = null;
    owed = true;
    try {
      process.emit('internalMessage', message, handle);
    } finally {
      acknowledge();
    }
    return undefined;
  };
}

const { worker } = require('cluster');
if (worker) {
  const hidden = Object.getOwnPropertySymbols(process).find((it) => it.description === 'kChannelHandle');
  if (hidden && process[hidden]) shortcut(process[hidden]);
  const { disconnect } = worker;
  worker.disconnect = function(...args) {
    linger();
    return disconnect.apply(this, args);
  };
}
