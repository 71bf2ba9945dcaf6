'use strict';

const { HerderError } = require('./errors');

/** The arguments as the method takes them: those that may be left out become null. */
function fit(known, args) {
  if (!known || known.variadic) return args;
  const { args: wanted = [] } = known;
  const optional = wanted.slice(args.length).every(({ schema }) => allowsNull(schema));
  if (args.length > wanted.length || !optional) {
    const names = wanted.map(({ name }) => name).join(', ');
    throw new HerderError('bad_arguments', 'no', `it takes (${names}) and got ${args.length}`);
  }
  return args.concat(new Array(wanted.length - args.length).fill(null));
}

function allowsNull(schema) {
  if (schema === true || schema === null || typeof schema !== 'object') return schema !== false;
  const { type, anyOf, oneOf } = schema;
  if (type !== undefined) return [].concat(type).includes('null');
  const choices = anyOf || oneOf;
  return choices ? choices.some(allowsNull) : schema.$ref === undefined;
}

module.exports = { fit };
