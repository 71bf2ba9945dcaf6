'use strict';
// A library written in Node: node library.js PATH
const herder = require('../../../sdk/node');

const path = process.argv[2];
const echo = { echo: (text) => text };

herder.host({ echo }, { path, name: 'core', herd: process.env.BENCH_HERD }).then(() => console.log(`listening ${path}`));
