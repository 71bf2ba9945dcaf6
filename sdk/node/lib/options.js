'use strict';

const KNOWN = ['credits', 'deadline', 'key', 'retry', 'signal', 'wait'];

/** Options of one call, given behind its arguments. Made by `herder.options()`. */
class CallOptions {
  constructor(fields) {
    for (const [name, value] of Object.entries(fields)) {
      if (!KNOWN.includes(name)) throw new TypeError(`a call has no option ${name}; it has ${KNOWN.join(', ')}`);
      this[name] = value;
    }
    const { deadline, credits } = this;
    if (deadline !== undefined && !(deadline > 0 && deadline < 2 ** 31)) {
      throw new RangeError('the deadline is in milliseconds, above 0');
    }
    if (credits !== undefined && !(Number.isInteger(credits) && credits > 0)) {
      throw new RangeError('credits are a whole number above 0');
    }
  }
}

/** Options for one call: `kv.get('a', herder.options({deadline: 50}))`. */
const options = (fields) => new CallOptions(fields);

/** Takes the options off the end of a call's arguments. */
function split(args) {
  const last = args[args.length - 1];
  return last instanceof CallOptions ? [args.slice(0, -1), last] : [args, {}];
}

module.exports = { CallOptions, options, split };
