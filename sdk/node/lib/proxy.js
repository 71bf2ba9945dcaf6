'use strict';
// Objects of libraries as objects of JavaScript.

const { HerderError } = require('./errors');
const { split } = require('./options');

// What JavaScript itself asks of any object: a remote object must not look like a promise, for example.
const NOT_REMOTE = new Set(['then', 'catch', 'finally', 'constructor', 'inspect', 'toJSON', 'toString', 'valueOf']);
const STREAMS = new Set(['events', 'state']);

/** All objects of all libraries, by name; where two have one of the same name, the first has it. */
function objects(agents) {
  const made = new Map();
  const owner = (name) => agents.find(({ signature }) => signature && Object.hasOwn(signature.objects, name));
  const object = (name) => {
    const agent = typeof name === 'string' && !NOT_REMOTE.has(name) ? owner(name) : undefined;
    if (!agent) return undefined;
    if (!made.has(name)) made.set(name, remote(agent, name));
    return made.get(name);
  };
  return new Proxy(Object.create(null), {
    get: (target, name) => object(name),
    has: (target, name) => object(name) !== undefined,
    ownKeys: () => [...new Set(agents.flatMap(({ signature }) => Object.keys(signature?.objects ?? {})))],
    getOwnPropertyDescriptor: (target, name) => {
      const value = object(name);
      return value && { value, enumerable: true, configurable: true, writable: false };
    },
    set: () => false,
  });
}

/** One object. Its methods are looked up when they are used: a restarted library may have others. */
function remote(agent, object) {
  const made = new Map();
  const methods = () => agent.signature?.objects[object]?.methods ?? {};
  const get = (target, name) => {
    if (typeof name !== 'string' || NOT_REMOTE.has(name)) return undefined;
    if (!made.has(name)) made.set(name, method(agent, object, name));
    const call = made.get(name);
    return methods()[name]?.property ? property(call) : call;
  };
  return new Proxy(Object.create(null), {
    get,
    has: (target, name) => Object.hasOwn(methods(), name),
    ownKeys: () => Object.keys(methods()),
    getOwnPropertyDescriptor: (target, name) => {
      if (!Object.hasOwn(methods(), name)) return undefined;
      return { value: get(target, name), enumerable: true, configurable: true, writable: false };
    },
    set: () => false,
  });
}

function method(agent, object, name) {
  return (...given) => {
    const [args, options] = split(given);
    const callback = typeof args[args.length - 1] === 'function' ? args.pop() : undefined;
    const kind = agent.signature?.objects[object]?.methods[name]?.kind;
    if (!callback && !STREAMS.has(kind)) return agent.call(object, name, args, options);
    if (callback && kind === 'notify') {
      const error = new HerderError('bad_arguments', 'no', 'it has no answer for a callback');
      return Promise.reject(error.at(`${object}.${name}`));
    }
    const stream = agent.subscribe(object, name, args, options);
    if (callback) follow(stream, callback);
    return stream;
  };
}

/** A field: `await cfg.name` and `await cfg.name()` read it. */
function property(call) {
  const read = (...args) => call(...args);
  read.then = (resolve, reject) => call().then(resolve, reject);
  return read;
}

/**
 * Calls back with each value, or with the arguments that the library's callback was given. The stream's
 * `onend(error?)` is told when there is nothing more to come.
 */
async function follow(stream, callback) {
  try {
    for await (const value of stream) {
      const several = value && Array.isArray(value.$args);
      callback(...(several ? value.$args : [value]));
    }
  } catch (error) {
    if (stream.phase !== 'ended') {
      // The callback's own exception is the program's, as that of any listener.
      stream.close();
      process.nextTick(() => { throw error; });
    } else if (!stream.onend) {
      process.emitWarning(error);
    }
  }
}

module.exports = { follow, objects };
