'use strict';

const { HerderError } = require('../errors');
const { options: callOptions } = require('../options');

/** How many renewals fit into the time of a lease. */
const RENEWALS = 3;
const LONGEST_PAUSE = 1000;

const now = () => performance.now();
const pause = (time) => new Promise((resolve) => { setTimeout(resolve, time); });

/**
 * What only one process of the herd has at a time. It renews itself; if that fails until its time is over,
 * or another was quicker after a restart, it is lost: `signal` is aborted, and `held` false. `token` grows
 * from lease to lease: what you write to refuses a smaller one than the greatest that it has seen.
 */
class Lease {
  static async acquire(space, { name, ttl, wait, options }) {
    const until = wait === true ? Infinity : now() + wait;
    for (;;) {
      const asked = now();
      const { ours, held } = await space.call('acquire', [name, ttl], options);
      if (ours) return new Lease(space, { name, ttl, token: ours.token, asked });
      if (now() >= until) return null;
      options.signal?.throwIfAborted();
      await pause(Math.max(1, Math.min(held.left_ms, LONGEST_PAUSE, until - now())));
    }
  }

  constructor(space, { name, ttl, token, asked }) {
    Object.assign(this, { space, name, ttl, token });
    this.held = true;
    this.controller = new AbortController();
    this.signal = this.controller.signal;
    this.count(asked);
  }

  /** Gives it back. Resolves to whether it was still held. */
  async release() {
    if (!this.held) return false;
    this.end(new Error(`the lease ${this.name} was released`));
    try {
      await this.space.call('release', [this.name, this.token], callOptions({}));
      return true;
    } catch (error) {
      if (error instanceof HerderError && error.code === 'not_held') return false;
      throw error;
    }
  }

  /** It is ours for so long from when we asked for it: the library began to count later. */
  count(asked) {
    this.until = asked + this.ttl;
    this.schedule(this.ttl / RENEWALS);
  }

  schedule(time) {
    this.timer = setTimeout(() => this.renew(), time);
    // A lease alone is no reason to live.
    this.timer.unref();
  }

  async renew() {
    const asked = now();
    if (asked >= this.until) return this.end(new Error(`the lease ${this.name} could not be renewed in time`));
    const deadline = Math.max(1, Math.min(this.until - asked, this.ttl / RENEWALS));
    try {
      await this.space.call('renew', [this.name, this.token, this.ttl], callOptions({ deadline }));
      if (this.held) this.count(asked);
    } catch (error) {
      if (!this.held) return undefined;
      if (error.code === 'not_held') return this.end(error);
      this.schedule(Math.min(this.ttl / RENEWALS / 2, Math.max(1, this.until - now())));
    }
    return undefined;
  }

  end(reason) {
    this.held = false;
    clearTimeout(this.timer);
    this.controller.abort(reason);
  }
}

// `await using lease = …`, where the engine knows it.
if (Symbol.asyncDispose) {
  Lease.prototype[Symbol.asyncDispose] = async function dispose() { await this.release(); };
}

module.exports = { Lease };
