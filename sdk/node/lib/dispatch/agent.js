'use strict';

const herder = require('../../index');
const { follow } = require('../proxy');
const { split } = require('../options');

const DEADLINE = 10_000;
// An app may have another copy of this package than the one that started it.
const CURRENT = Symbol.for('herder.dispatch.agent');

class Agent {
  /** The agent of this app worker; it was made before the app was loaded. */
  static getAgent() {
    const agent = globalThis[CURRENT];
    if (!agent) throw new Error('there is no agent: not an app worker of Master, or needAgent is false');
    return agent;
  }

  /** Connects to the library and makes the agent that `getAgent` gives. */
  static async init(deadline = Number(process.env.HERDER_DISPATCH_DEADLINE) || DEADLINE) {
    const objects = await herder.agent();
    const [agent] = herder.agentsOf(objects);
    globalThis[CURRENT] = new Agent(agent, deadline);
    return globalThis[CURRENT];
  }

  constructor(agent, deadline) {
    Object.defineProperties(this, { herder: { value: agent }, deadline: { value: deadline } });
    for (const [object, { methods }] of Object.entries(agent.signature.objects)) {
      this[object] = {};
      for (const method of Object.keys(methods)) {
        this[object][method] = (...args) => this.invoke({ objName: object, methodName: method }, ...args);
      }
    }
  }

  /**
   * Calls a method. With a function as its last argument it is a subscription: the function gets what the
   * library calls back with, and the promise that is returned has `close()`.
   */
  invoke({ objName, methodName }, ...rest) {
    const [args, given] = split(rest);
    const options = { deadline: this.deadline, ...given };
    if (typeof args[args.length - 1] !== 'function') return this.herder.call(objName, methodName, args, options);
    const callback = args.pop();
    let stream;
    try {
      stream = this.herder.subscribe(objName, methodName, args, options);
    } catch (error) {
      return Object.assign(Promise.reject(error), { close() {} });
    }
    follow(stream, callback);
    const opened = stream.opened.then(() => null);
    // `follow` warns of what nobody waits for.
    opened.catch(() => {});
    return Object.assign(opened, { close: () => stream.close() });
  }
}

module.exports = { Agent };
