'use strict';
// What a library tells the master: lines as of sd_notify(3), written to an inherited datagram socket.

const fs = require('fs');

function notify(text, env = process.env) {
  const fd = Number(env.HERDER_NOTIFY_FD);
  if (!env.HERDER_NOTIFY_FD || !Number.isInteger(fd)) return false;
  try {
    fs.writeSync(fd, text);
    return true;
  } catch (error) {
    // The master is gone or busy; it learns how this process fares by its end.
    process.emitWarning(`cannot tell the master ${text}: ${error.message}`);
    return false;
  }
}

/** Tells the master that the event loop turns, as often as it wants to know. */
function watchdog(env = process.env) {
  const interval = Number(env.WATCHDOG_USEC) / 1000 / 2;
  if (!(interval > 0)) return;
  setInterval(() => notify('WATCHDOG=1', env), Math.max(1, interval)).unref();
}

module.exports = { notify, watchdog };
