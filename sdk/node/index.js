'use strict';
// The public face: the agent of a worker, and the host of a library.

const { Agent } = require('./lib/agent');
const { HerderError } = require('./lib/errors');
const { Gap, Subscription } = require('./lib/subscription');
const { CallOptions, options } = require('./lib/options');
const { context } = require('./lib/server/context');
const { expose } = require('./lib/server/reflect');
const { host } = require('./lib/server/host');
const { Events, State } = require('./lib/server/sources');
const environment = require('./lib/environment');
const proxy = require('./lib/proxy');
const { Bus, Jobs, Namespace, services } = require('./lib/services');

const INIT = 60_000;
let shared = null;

/**
 * The objects of all libraries of this herd: `const { kv } = await herder.agent()`. Made once for a
 * process; rejects when a library has not told what it offers within `timeout` milliseconds.
 */
function agent({ timeout = INIT } = {}) {
  shared ||= connect({ timeout }).catch((error) => {
    shared = null;
    throw error;
  });
  return shared;
}

/** The same for given libraries (`[{name, path}]`), not shared. `close(objects)` ends it. */
async function connect({ libraries = environment.libraries(), timeout = INIT, ...more } = {}) {
  // A library is not an agent of itself.
  const others = libraries.filter(({ name }) => name !== process.env.HERDER_LIBRARY);
  if (others.length === 0) throw new HerderError('unavailable', 'no', 'this process has no library (HERDER_LIBRARIES)');
  const identity = { ...environment.identity(), ...more.identity };
  const agents = others.map((library) => new Agent({ ...more, ...library, identity }));
  try {
    await Promise.all(agents.map((each) => each.init(timeout)));
  } catch (error) {
    for (const each of agents) each.close();
    throw error;
  }
  const objects = proxy.objects(agents);
  connected.set(objects, agents);
  return objects;
}

const connected = new WeakMap();

/** The agents behind what `agent` or `connect` gave, one for each library; they emit `up` and `down`. */
const agentsOf = (objects) => connected.get(objects) ?? [];

/** Ends what `agent` or `connect` gave. */
function close(objects) {
  for (const each of agentsOf(objects)) each.close();
  shared?.then((mine) => { if (mine === objects) shared = null; }, () => {});
}

module.exports = {
  Bus, CallOptions, Events, Gap, HerderError, Jobs, Namespace, State, Subscription, agent, agentsOf, close, connect, context,
  expose, host, options, ...services(agent),
};
