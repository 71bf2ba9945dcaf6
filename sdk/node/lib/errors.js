'use strict';

const WORDS = {
  app: 'failed', bad_arguments: 'got wrong arguments', cancelled: 'was cancelled',
  codec: 'has a value that cannot be sent', deadline: 'did not end in time',
  no_object: 'names an object that is not there', no_method: 'names a method that is not there',
  overloaded: 'was turned away because too much is under way', panicked: 'panicked', refused: 'was refused',
  too_large: 'is too large', unavailable: 'could not reach the library',
};
const RAN = { no: ' (not executed)', maybe: ' (perhaps executed)', yes: '' };
const MAX_ERROR = 64 * 1024;

/**
 * Why a call or a stream failed. `kind` says what went wrong, `executed` ('no', 'yes', 'maybe') whether the
 * method ran; `code`, `data` and `appName` are those of the application's own error.
 */
class HerderError extends Error {
  constructor(kind, executed, message, more = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'HerderError';
    this.kind = kind;
    this.executed = executed;
    for (const field of ['code', 'data', 'appName', 'retryAfter', 'target', 'epoch']) {
      if (more[field] !== undefined) this[field] = more[field];
    }
  }

  /** The same error, which says that it is about `object.method`. */
  at(target, epoch) {
    if (this.target) return this;
    this.target = target;
    if (epoch) this.epoch = epoch;
    const what = WORDS[this.kind] || 'failed in an unknown way';
    const message = this.message ? `: ${this.message}` : '';
    this.message = `${target} ${what}${message}${RAN[this.executed] || ''}`;
    return this;
  }

  /** The error out of a frame. What is no error document is an error all the same. */
  static fromBody(body) {
    let fields;
    try {
      fields = JSON.parse(body.toString());
    } catch (cause) {
      return new HerderError('codec', 'maybe', 'the library sent an error that cannot be read', { cause });
    }
    const { kind, executed, message, code, data, name, retry_after_ms: retryAfter } = Object(fields);
    const ran = executed in RAN ? executed : 'maybe';
    return new HerderError(typeof kind === 'string' ? kind : 'codec', ran, String(message ?? ''), {
      code, data, appName: name, retryAfter,
    });
  }

  /** The body of a frame. */
  toBody() {
    const fields = { kind: this.kind, executed: this.executed, message: this.message };
    if (this.code !== undefined) fields.code = String(this.code);
    if (this.appName !== undefined) fields.name = String(this.appName);
    if (this.data !== undefined) fields.data = this.data;
    if (this.retryAfter !== undefined) fields.retry_after_ms = this.retryAfter;
    return bounded(fields);
  }

  /** What a method threw, as an error that can be sent. */
  static fromThrown(thrown) {
    if (!(thrown instanceof Error)) {
      return new HerderError('app', 'yes', describe(thrown), { data: thrown });
    }
    // A library's own call of another library: its caller's call ran, whatever became of the inner one.
    const code = thrown.code ?? thrown.kind;
    return new HerderError('app', 'yes', thrown.message, { code, data: thrown.data, appName: thrown.name });
  }
}

function bounded(fields) {
  const { data, ...short } = fields;
  try {
    const text = JSON.stringify(fields);
    if (Buffer.byteLength(text) <= MAX_ERROR) return text;
  } catch {
    // The application's data has no text.
  }
  const text = JSON.stringify(short);
  if (Buffer.byteLength(text) <= MAX_ERROR) return text;
  for (const name of ['message', 'code', 'name']) {
    if (short[name]) short[name] = short[name].slice(0, 1000);
  }
  return JSON.stringify(short);
}

function describe(thrown) {
  try {
    return String(thrown);
  } catch {
    return 'something without a text was thrown';
  }
}

module.exports = { HerderError };
