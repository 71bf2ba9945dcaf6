'use strict';
// A worker that does nothing until the test tells it to. What it keeps by a name, the test can ask for again.
const cluster = require('cluster');
const dgram = require('dgram');
const http = require('http');
const https = require('https');
const net = require('net');

const id = cluster.worker ? cluster.worker.id : Number(process.env.NODE_UNIQUE_ID);
const kept = {};
const heard = [];

// Starts a server that tells each client whom it has met.
const open = (name, options) => new Promise((resolve, reject) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`worker:${id}`);
  });
  kept[name] = server;
  server.on('error', reject);
  server.listen(options, () => resolve(server.address()));
});

const serve = (name, server, options) => new Promise((resolve, reject) => {
  kept[name] = server;
  server.on('error', reject);
  server.listen(options, () => resolve(server.address()));
});

const bind = (name, type, options) => new Promise((resolve, reject) => {
  const socket = dgram.createSocket(type);
  kept[name] = socket;
  socket.on('error', reject);
  socket.on('message', (text, from) => socket.send(`${text} from ${id}`, from.port, from.address));
  socket.bind(options, () => resolve(socket.address()));
});

const close = (name) => new Promise((resolve) => kept[name].close(() => resolve('closed')));

// Keeps what the primary says, and what it says next when that is waited for.
let waiting = [];
const listen = () => process.on('message', (message, handle) => {
  heard.push({ message, handle: Boolean(handle) });
  waiting.forEach((wake) => wake());
  waiting = [];
});
const hear = async (count) => {
  while (heard.length < count) await new Promise((resolve) => waiting.push(resolve));
  return heard;
};

require('./act.js')(id, {
  cluster, dgram, http, https, net, require, id, kept, open, serve, bind, close, listen, hear,
});
