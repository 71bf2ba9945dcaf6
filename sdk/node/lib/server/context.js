'use strict';

const { AsyncLocalStorage } = require('async_hooks');

// A library may have another copy of this package than the host that serves it.
const SHARED = Symbol.for('herder.context');
const storage = globalThis[SHARED] ||= new AsyncLocalStorage();

/** What a method of a library may know about the call that it serves. */
class Context {
  constructor(caller, epoch, deadline, key) {
    this.caller = caller;
    this.epoch = epoch;
    this.until = Date.now() + deadline;
    this.key = key || undefined;
    this.aborted = false;
  }

  /** How much time is left, in milliseconds. */
  get remaining() {
    return Math.max(0, this.until - Date.now());
  }

  /** Aborted when nobody waits any more: the caller cancelled, or is gone. */
  get signal() {
    if (!this.controller) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort();
    }
    return this.controller.signal;
  }

  abort() {
    this.aborted = true;
    this.controller?.abort();
  }
}

/** The context of the call that is being served, or undefined. */
const context = () => storage.getStore();

module.exports = { Context, context, storage };
