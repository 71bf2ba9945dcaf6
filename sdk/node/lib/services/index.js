'use strict';
// The built-in library: messages between the processes of the herd, shared state, jobs.

const { Bus } = require('./bus');
const { Jobs } = require('./jobs');
const { Namespace } = require('./state');

const LIBRARY = 'herder';

/** The services of what `agent` gives. */
function services(agent) {
  const service = async (name) => {
    const objects = await agent();
    const found = objects[name];
    if (found) return found;
    throw new Error(`this herd has no ${name}: herder run --state, --job or --bus starts its library ${LIBRARY}`);
  };
  // One for all who ask: it knows which jobs are served here.
  let jobs = null;

  return {
    /** Messages: `send`, `request`, `on`. */
    async bus() {
      return new Bus(await service('bus'));
    },
    /** The values that all share under this name: `get`, `set`, `watch`, `lease`. */
    async state(name) {
      return new Namespace(await service('state'), name);
    },
    /** The app's own jobs: `on`, `define`, `list`. */
    async jobs() {
      const object = await service('jobs');
      if (jobs?.object !== object) jobs = new Jobs(object);
      return jobs;
    },
  };
}

module.exports = { Bus, Jobs, Namespace, services };
