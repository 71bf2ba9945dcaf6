'use strict';

const { HerderError } = require('../errors');

const QUEUE = 64;

/** Lets so many calls of one method run at a time; others wait in a bounded queue, or are turned away. */
class Gate {
  constructor(concurrency = Infinity, queue = QUEUE) {
    this.free = concurrency;
    this.most = queue;
    this.queue = [];
  }

  /** Runs `start` now or later; throws when the queue is full. */
  enter(context, start) {
    if (this.free > 0) {
      this.free -= 1;
      start();
      return;
    }
    this.queue = this.queue.filter((waiting) => !isDead(waiting.context));
    if (this.queue.length >= this.most) {
      throw new HerderError('overloaded', 'no', 'too many calls of this method wait', { retryAfter: 100 });
    }
    this.queue.push({ context, start });
  }

  leave() {
    this.free += 1;
    while (this.queue.length && this.free > 0) {
      const { context, start } = this.queue.shift();
      // Nobody waits for it any more: it never runs.
      if (isDead(context)) continue;
      this.free -= 1;
      start();
    }
  }
}

function isDead(context) {
  return context.aborted || context.remaining === 0;
}

module.exports = { Gate };
