'use strict';

const assert = require('assert');
const test = require('node:test');
const herder = require('..');
const { Scene, eventually, gate } = require('../fixtures/scene');

/** A state object that grants one lease, and does with renewals what the test says. */
function leases() {
  const asked = { renewals: 0, released: 0, renew: async () => null, held: false };
  const state = herder.expose({
    acquire: async () => (asked.held ? { held: { left_ms: 20 } } : { ours: { token: 7 } }),
    renew: (...given) => { asked.renewals += 1; return asked.renew(...given); },
    release: async () => { asked.released += 1; },
  }, { acquire: {}, renew: { idempotent: true }, release: {} });
  return { asked, state };
}

const refused = (code) => Object.assign(new Error(code), { code });

test('a lease renews itself until it is released', async (t) => {
  const scene = new Scene(t);
  const { asked, state } = leases();
  await scene.library({ state });
  const space = new herder.Namespace((await scene.agent()).state, 's');
  const lease = await space.lease('only', { ttl: 60 });
  assert.deepStrictEqual([lease.token, lease.held, lease.signal.aborted], [7, true, false]);
  await eventually(() => asked.renewals >= 5);
  assert.ok(lease.held);
  assert.strictEqual(await lease.release(), true);
  assert.strictEqual(await lease.release(), false);
  assert.ok(lease.signal.aborted && !lease.held);
  const { renewals } = asked;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepStrictEqual([asked.renewals, asked.released], [renewals, 1]);
});

test('a lease that another has is waited for, or not', async (t) => {
  const scene = new Scene(t);
  const { asked, state } = leases();
  await scene.library({ state });
  const space = new herder.Namespace((await scene.agent()).state, 's');
  asked.held = true;
  assert.strictEqual(await space.lease('only', { ttl: 1000 }), null);
  assert.strictEqual(await space.lease('only', { ttl: 1000, wait: 50 }), null);
  const waiting = space.lease('only', { ttl: 1000, wait: true });
  asked.held = false;
  const lease = await waiting;
  assert.strictEqual(lease.token, 7);
  await lease.release();
});

test('a lease is lost when it is told so, and when nothing is told for too long', async (t) => {
  const scene = new Scene(t);
  const { asked, state } = leases();
  await scene.library({ state });
  const space = new herder.Namespace((await scene.agent()).state, 's');
  asked.renew = async () => { throw refused('not_held'); };
  const told = await space.lease('only', { ttl: 60 });
  await eventually(() => told.signal.aborted);
  assert.strictEqual(told.signal.reason.code, 'not_held');
  asked.renew = () => new Promise(() => {});
  const since = performance.now();
  const silent = await space.lease('only', { ttl: 150 });
  await eventually(() => silent.signal.aborted);
  const after = performance.now() - since;
  assert.ok(after >= 100 && !silent.held, `${after}`);
  assert.match(silent.signal.reason.message, /could not be renewed in time/);
});

test('runs of a library that is gone are aborted, and not told of', async (t) => {
  const scene = new Scene(t);
  const orders = new herder.Events({ size: 4 });
  const done = [];
  const jobs = () => ({
    jobs: herder.expose({
      serve: () => orders.stream(), done: (run, failure) => { done.push([run, failure]); },
    }, { serve: { kind: 'events', args: ['jobs'] }, done: {} }),
  });
  const first = await scene.library(jobs());
  const served = new herder.Jobs((await scene.agent()).jobs);
  const started = gate();
  const aborted = gate();
  const server = served.on('a', async ({ tick, attempt, signal }) => {
    if (attempt === 2) throw new Error('no');
    started.open(tick);
    await new Promise((resolve) => signal.addEventListener('abort', () => resolve(aborted.open(signal.reason))));
  });
  assert.throws(() => served.on('a', () => {}), /another listener/);
  await server.opened;
  const run = (fields) => ({ run: { name: 'a', tick: 5, attempt: 1, token: null, timeout_ms: 9, ...fields } });
  orders.emit(run({ run: 1 }));
  assert.deepStrictEqual(await started.opened, new Date(5));
  first.kill();
  await scene.library(jobs(), { epoch: 2 });
  assert.strictEqual((await aborted.opened).kind, 'unavailable');
  orders.emit(run({ run: 2, attempt: 2 }));
  await eventually(() => done.length > 0);
  assert.deepStrictEqual(done, [[2, 'no']]);
  server.close();
  await server.ended;
  served.on('a', () => {}).close();
});
