'use strict';
// What the master tells its children by their environment.

const NAME = /^[a-z0-9-]{1,32}$/;

/** The libraries of this herd: `[{name, path}]`, in their order. */
function libraries(env = process.env) {
  const text = env.HERDER_LIBRARIES || '';
  return text.split(':').filter(Boolean).map((entry) => {
    const [name, path, ...more] = entry.split('=');
    if (!NAME.test(name) || !path || more.length) throw new Error(`HERDER_LIBRARIES has a bad entry: ${entry}`);
    return { name, path };
  });
}

/** How this process names itself to a library. */
function identity(env = process.env) {
  const library = env.HERDER_LIBRARY;
  const herd = env.HERDER_HERD || '';
  return {
    app: env.HERDER_APP || '',
    herd,
    part: library ? `library:${library}` : herd ? 'worker' : 'tool',
    slot: Number(env.HERDER_SLOT) || 0,
    worker: Number(library ? env.HERDER_EPOCH : env.HERDER_WORKER_ID) || 0,
    pid: process.pid,
  };
}

module.exports = { identity, libraries };
