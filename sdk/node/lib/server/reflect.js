'use strict';
// Which methods an object offers, found by looking at it or by what `expose` says of it.

const { createHash } = require('crypto');
const { EventEmitter } = require('events');
const { isGenerator, run } = require('./generator');

const EXPOSED = Symbol.for('herder.expose');
const KINDS = ['call', 'events', 'notify', 'state'];
// A last parameter of such a name makes a method a stream of what it is called with.
const CALLBACK = /^(callback|cb|done|fn|handler|listener|next|on[A-Z]\w*)$/;
const OWN_OF_EMITTERS = Object.keys(new EventEmitter());

/**
 * Says which methods of an object can be called, instead of all that are found: a list of names, or
 * `{name: {kind, args, doc, idempotent, deadline, concurrency, queue}}`. Returns the object.
 */
function expose(object, methods) {
  const list = Array.isArray(methods) ? Object.fromEntries(methods.map((name) => [name, {}])) : methods;
  for (const [name, { kind }] of Object.entries(list)) {
    if (!(name in object)) throw new TypeError(`there is no ${name} to expose`);
    if (kind !== undefined && !KINDS.includes(kind)) throw new TypeError(`${name}: ${kind} is none of ${KINDS.join(', ')}`);
  }
  Object.defineProperty(object, EXPOSED, { value: list, configurable: true });
  return object;
}

/** What a module exports, as objects: values, promises, classes, functions and generators that make them. */
async function resolve(exported) {
  const made = await make(exported);
  const objects = {};
  for (const name of Object.keys(made)) objects[name] = await make(made[name]);
  return objects;
}

async function make(value) {
  if (isGenerator(value)) return run(value);
  if (typeof value !== 'function') return value;
  if (/^class\b/.test(Function.prototype.toString.call(value))) return new value();
  const made = await value();
  return isGenerator(made) ? run(made) : made;
}

/** The objects with their methods in the order of their numbers, and the signature of the library. */
function library(name, objects) {
  const described = {};
  const table = [];
  const hashes = [];
  for (const [id, objectName] of sorted(Object.keys(objects)).entries()) {
    const object = objects[objectName];
    if (object === null || (typeof object !== 'object' && typeof object !== 'function')) {
      throw new TypeError(`${objectName} is no object: ${typeof object}`);
    }
    const found = methodsOf(object);
    const names = sorted(Object.keys(found));
    const methods = Object.fromEntries(names.map((method, place) => [method, { id: place, ...signature(found[method]) }]));
    const hash = digest(methods);
    hashes.push(objectName, hash);
    described[objectName] = { doc: '', id, hash, methods };
    table.push({ name: objectName, object, methods: names.map((method) => ({ name: method, ...found[method] })) });
  }
  return { table, signature: { library: name, hash: digest(hashes), objects: described } };
}

function methodsOf(object) {
  const exposed = object[EXPOSED];
  if (exposed) {
    const entries = Object.entries(exposed).map(([name, more]) => [name, describe(object, name, more)]);
    return Object.fromEntries(entries);
  }
  const names = new Set();
  for (let owner = object; owner && !isBuiltIn(owner); owner = Object.getPrototypeOf(owner)) {
    for (const name of Object.getOwnPropertyNames(owner)) names.add(name);
  }
  const hidden = new Set(['constructor']);
  if (typeof object === 'function') for (const name of Object.getOwnPropertyNames(class {})) hidden.add(name);
  if (object instanceof EventEmitter) for (const name of OWN_OF_EMITTERS) hidden.add(name);
  const offered = [...names].filter((name) => !name.startsWith('_') && !hidden.has(name));
  return Object.fromEntries(offered.map((name) => [name, describe(object, name, {})]));
}

const BUILT_IN = new Set([Object.prototype, Function.prototype, EventEmitter.prototype, Array.prototype, Map.prototype]);

function isBuiltIn(prototype) {
  return BUILT_IN.has(prototype);
}

function describe(object, name, more) {
  const call = valueOf(object, name);
  if (typeof call !== 'function') return { doc: '', ...more, kind: 'call', property: true, parameters: [] };
  const parameters = more.args ?? parametersOf(call);
  const takesCallback = CALLBACK.test(parameters[parameters.length - 1] ?? '');
  const iterates = /^\[object Async(Generator)Function\]$/.test(Object.prototype.toString.call(call));
  const kind = more.kind ?? (iterates || takesCallback ? 'events' : 'call');
  return {
    doc: '', ...more, kind, iterates, parameters: takesCallback && !more.args ? parameters.slice(0, -1) : parameters,
    exact: more.args !== undefined,
  };
}

/** The value, without running a getter: what it gives is asked for when it is read. */
function valueOf(object, name) {
  for (let owner = object; owner; owner = Object.getPrototypeOf(owner)) {
    const found = Object.getOwnPropertyDescriptor(owner, name);
    if (found) return found.value;
  }
  return undefined;
}

/** The names of a function's parameters, as far as its text tells them. */
function parametersOf(call) {
  const text = Function.prototype.toString.call(call);
  const head = /^(?:async\s*)?(?:function\b\s*\*?\s*)?(?:\*\s*)?[^(=]*\(([^()]*)\)/.exec(text);
  if (head) {
    const names = head[1].split(',').map((part) => part.replace(/=.*/s, '').replace(/[^\w$.]/g, '').replace(/^\.+/, ''));
    return names.filter(Boolean);
  }
  const single = /^(?:async\s+)?([\w$]+)\s*=>/.exec(text);
  if (single) return [single[1]];
  return Array.from({ length: call.length }, (_, index) => `arg${index + 1}`);
}

function signature({ kind, doc, parameters, property, exact, idempotent, deadline }) {
  const fields = {
    kind, doc, args: parameters.map((name) => ({ name, schema: true })), returns: true, errors: null,
    idempotent: Boolean(idempotent || property), deadline_ms: deadline ?? null,
  };
  // A function of JavaScript takes any number of arguments, unless `expose` names them.
  if (!exact) fields.variadic = true;
  if (property) fields.property = true;
  return fields;
}

function digest(value) {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** In the order of their bytes: numbers are places in it, on both sides. */
function sorted(names) {
  return names.map((name) => Buffer.from(name)).sort(Buffer.compare).map(String);
}

module.exports = { expose, library, resolve };
