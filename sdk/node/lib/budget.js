'use strict';

const SHARE = 0.1;
const MOST = 10;

/** Retries may be a tenth of all calls, so that a library in trouble is not called twice as often. */
class Budget {
  constructor() {
    this.tokens = MOST;
  }

  called() {
    this.tokens = Math.min(this.tokens + SHARE, MOST);
  }

  take() {
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

module.exports = { Budget };
