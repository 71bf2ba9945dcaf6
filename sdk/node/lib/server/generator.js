'use strict';

/** Runs a generator whose yields are promises, other generators, or arrays of them; its return value. */
async function run(generator) {
  let step = generator.next();
  while (!step.done) {
    let value;
    let failed = false;
    try {
      value = await resolve(step.value);
    } catch (error) {
      failed = true;
      value = error;
    }
    step = failed ? generator.throw(value) : generator.next(value);
  }
  return step.value;
}

function resolve(value) {
  if (isGenerator(value)) return run(value);
  return Array.isArray(value) ? Promise.all(value.map(resolve)) : value;
}

function isGenerator(value) {
  return Object.prototype.toString.call(value) === '[object Generator]';
}

module.exports = { isGenerator, run };
