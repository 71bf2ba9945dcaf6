'use strict';
// cluster-dispatch's interface, served by herder: one library process, an agent in every app worker.

const { Agent } = require('./lib/dispatch/agent');
const { Master } = require('./lib/dispatch/master');

module.exports = { Agent, Master };
