'use strict';
// Loaded by herder before the program, in each of its workers. It does three things.
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
  sayFarewell();
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

// What was upgraded would keep the worker until it is told by a signal, and be cut off then. Each such
// connection is closed before, one after the other within three quarters of that time, so that their
// clients do not come back to the other workers all at once. A WebSocket's client is told that its
// server is going away (1001), as by a frame of the program's own between two others.
const WINDOW = (Number(process.env.HERDER_DRAIN_MILLIS) || 0) * 3 / 4;
const FASTEST = 1;
const PARTING = 1000;
const GOING_AWAY = [0x88, 2, 0x03, 0xe9];
const upgraded = new Map();

function noteUpgrades() {
  const { prototype } = require('net').Server;
  for (const name of ['addListener', 'on', 'prependListener']) {
    const add = prototype[name];
    prototype[name] = function(event, listener) {
      if (event !== 'upgrade' || typeof listener !== 'function') return add.call(this, event, listener);
      const noting = function(request, socket, ...rest) {
        note(request, socket);
        return listener.call(this, request, socket, ...rest);
      };
      // By this it is found when it is to be removed.
      noting.listener = listener.listener || listener;
      return add.call(this, event, noting);
    };
  }
}

function note(request, socket) {
  if (!request || !socket || upgraded.has(socket)) return;
  const isWebSocket = /^websocket$/i.test(request.headers.upgrade);
  upgraded.set(socket, isWebSocket);
  socket.once('close', () => upgraded.delete(socket));
  if (leaving) setTimeout(part, Math.random() * WINDOW, socket).unref();
}

function sayFarewell() {
  const sockets = [...upgraded.keys()];
  const first = Math.min(LINGER, WINDOW / 4);
  const every = Math.max((WINDOW - first) / sockets.length, FASTEST);
  const began = Date.now() + first;
  let gone = 0;
  const next = () => {
    const due = Math.floor((Date.now() - began) / every) + 1;
    while (gone < Math.min(due, sockets.length)) part(sockets[gone++]);
    if (gone < sockets.length) setTimeout(next, every).unref();
  };
  setTimeout(next, first).unref();
}

function part(socket) {
  if (!socket.writable) return;
  if (upgraded.get(socket)) {
    // The program answers the client's answer, and ends the connection.
    socket.write(Buffer.from(GOING_AWAY));
  } else {
    socket.end();
  }
  setTimeout(() => {
    socket.end();
    setTimeout(() => socket.destroy(), PARTING).unref();
  }, PARTING).unref();
}

noteUpgrades();

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
