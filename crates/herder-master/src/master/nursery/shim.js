'use strict';
// Loaded by herder before the program, in each of its workers. It does five things.
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

// Even so each connection costs a turn of the event loop: libuv goes back to its poll after each reading that
// finds less than there is room for. So connections come by a channel of their own, if herder gives one: in
// records as long as the room for one, each with one descriptor. All that have come are taken in one turn, and
// one writing says which are taken, before the first byte of any of them is read. Whether the program takes a
// connection is decided by Node itself, as ever; only its word to herder is caught on its way.
const LANE = process.env.HERDER_LANE;
delete process.env.HERDER_LANE;
const IPC = 2;
const RECORD = 16;
const MARK = RECORD - 1;
const DUPLICATE = 2;
const HELLO = 1;
const TAKEN = 2;
const REFUSED = 3;
// libuv reads so often in one turn.
const READINGS = 32;
const HIGH = 2 ** 32;

function openLane(place, Pipe) {
  const { Buffer } = require('buffer');
  const { fstatSync, writeSync } = require('fs');
  const [descriptor, number] = place.split(':').map(Number);
  // Whoever has started this process for herder may have kept it, and something else be in its place.
  const found = fstatSync(descriptor);
  if (!found.isSocket() || found.ino !== number) return;
  const sending = Object.getOwnPropertyDescriptor(process, 'send');
  if (!sending || !sending.writable || typeof Pipe.prototype.useUserBuffer !== 'function') return;
  const lane = new Pipe(IPC);
  if (lane.open(descriptor)) return;
  const record = Buffer.alloc(RECORD);
  const receipts = Buffer.alloc(2 * READINGS * RECORD);
  let length = 0;
  let came = 0;
  let taken = 0;
  let last = 0;
  let seq = 0;
  let send;

  function say(kind, number, count) {
    receipts.writeUInt32LE(number % HIGH, length);
    receipts.writeUInt32LE(Math.floor(number / HIGH), length + 4);
    receipts.writeUInt32LE(count, length + 8);
    receipts[length + MARK] = kind;
    length += RECORD;
  }

  function sayTaken() {
    if (taken > 0) say(TAKEN, last, taken);
    taken = 0;
  }

  function answer() {
    sayTaken();
    came = 0;
    const end = length;
    length = 0;
    try {
      writeSync(descriptor, receipts, 0, end);
    } catch {
      // Herder has gone, and this process is about to hear of it.
    }
  }

  function decide(accepted) {
    if (accepted) {
      last = seq;
      taken += 1;
    } else {
      sayTaken();
      say(REFUSED, seq, 0);
    }
  }

  function caught(word, ...rest) {
    release();
    if (!word || word.cmd !== 'NODE_CLUSTER' || word.ack !== seq) return send.call(this, word, ...rest);
    decide(word.accepted);
    return true;
  }

  function release() {
    if (process.send === caught) Reflect.set(process, 'send', send);
  }

  lane.useUserBuffer(record);
  lane.onread = function() {
    // It is called, too, when there is nothing more, and at the end.
    if (record[MARK] === 0) {
      if (came > 0) answer();
      return;
    }
    const isDuplicate = record[MARK] === DUPLICATE;
    record[MARK] = 0;
    if (isDuplicate) {
      const duplicate = lane.pendingHandle;
      lane.pendingHandle = null;
      if (duplicate) addDuplicate(String(record.readUInt32LE(8)), duplicate);
      return;
    }
    seq = record.readUInt32LE(0) + record.readUInt32LE(4) * HIGH;
    const key = String(record.readUInt32LE(8));
    const connection = lane.pendingHandle;
    lane.pendingHandle = null;
    came += 1;
    if (connection && process.connected) {
      send = process.send;
      Reflect.set(process, 'send', caught);
      try {
        process.emit('internalMessage', { cmd: 'NODE_CLUSTER', act: 'newconn', key, seq }, connection);
      } finally {
        release();
        if (came === READINGS) answer();
      }
    } else {
      // There was no descriptor left for it; or nobody hears any more what becomes of it.
      if (connection) connection.close();
      decide(false);
      if (came === READINGS) answer();
    }
  };
  // It may be the program's answer to a connection.
  process.on('exit', () => {
    if (came > 0) answer();
  });
  lane.readStart();
  lane.unref();
  say(HELLO, 0, DUPLICATES);
  answer();
}

// Where a worker has a listener for itself, it accepts from it by itself, and libuv accepts one connection in each
// turn of its event loop (since 1.45; before, all that wait). So herder gives further descriptors of such a
// listener by the lane. Each is polled for itself, so that a turn takes as many of those that wait. The program
// has one listener, as ever: what comes by a duplicate comes to it, and they end with it and keep no loop alive.
const [major, minor] = process.versions.uv.split('.').map(Number);
const DUPLICATES = major > 1 || minor >= 45 ? 7 : 0;
const listeners = new Map();
// What has come before the listener.
const early = new Map();
// What comes when it is closed already, and is on its way no longer than this.
const CLOSED = { add: (duplicate) => duplicate.close() };
const LATEST = 10_000;

function addDuplicate(key, duplicate) {
  const listener = listeners.get(key);
  if (listener) {
    listener.add(duplicate);
  } else {
    early.set(key, [...early.get(key) || [], duplicate]);
  }
}

function noteListener(key, handle) {
  const { fstatSync } = require('fs');
  const { listen, close } = handle;
  const waiting = early.get(key) || [];
  const duplicates = [];
  let backlog;
  early.delete(key);

  function isOfSameSocket(duplicate) {
    try {
      return fstatSync(duplicate.fd).ino === fstatSync(handle.fd).ino;
    } catch {
      return false;
    }
  }

  function begin(duplicate) {
    // The listener may have been closed and opened again meanwhile.
    if (!isOfSameSocket(duplicate)) {
      duplicate.close();
      return;
    }
    duplicate.onconnection = (error, connection) => handle.onconnection(error, connection);
    // As the program did: it is one socket.
    if (duplicate.listen(backlog)) {
      duplicate.close();
      return;
    }
    duplicate.unref();
    duplicates.push(duplicate);
  }

  listeners.set(key, {
    add(duplicate) {
      if (backlog === undefined) {
        waiting.push(duplicate);
      } else {
        begin(duplicate);
      }
    },
  });
  handle.listen = function(length, ...rest) {
    const error = listen.call(this, length, ...rest);
    if (!error) {
      backlog = length;
      waiting.splice(0).forEach(begin);
    }
    return error;
  };
  handle.close = function(...args) {
    listeners.set(key, CLOSED);
    setTimeout(() => {
      if (listeners.get(key) === CLOSED) listeners.delete(key);
    }, LATEST).unref();
    for (const duplicate of [...waiting.splice(0), ...duplicates.splice(0)]) duplicate.close();
    return close.apply(this, args);
  };
}

// Before Node itself hears of it, which calls both.
function noteListeners() {
  process.prependListener('internalMessage', (message, handle) => {
    if (!message || message.cmd !== 'NODE_CLUSTER' || message.ack === undefined || !message.key) return;
    if (handle && typeof handle.listen === 'function') noteListener(message.key, handle);
  });
}

const { worker } = require('cluster');
if (worker) {
  const hidden = Object.getOwnPropertySymbols(process).find((it) => it.description === 'kChannelHandle');
  const channel = hidden && process[hidden];
  if (channel) {
    shortcut(channel);
    if (LANE) {
      try {
        noteListeners();
        openLane(LANE, channel.constructor);
      } catch {
        // Then herder hears nothing of it, and goes on as ever.
      }
    }
  }
  const { disconnect } = worker;
  worker.disconnect = function(...args) {
    linger();
    return disconnect.apply(this, args);
  };
}
