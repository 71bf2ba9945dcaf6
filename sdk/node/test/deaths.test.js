'use strict';

const assert = require('assert');
const fs = require('fs');
const test = require('node:test');
const { once } = require('events');
const herder = require('..');
const { Scene, eventually } = require('../fixtures/scene');

test('what is in flight when the library dies fails at once and says whether it ran', async (t) => {
  const { agent: { kv }, library } = await start(t);
  const calls = Array.from({ length: 200 }, () => kv.hold(herder.options({ deadline: 30_000 })));
  const outcomes = Promise.allSettled(calls);
  await eventually(async () => (await kv.held()) === 200);
  const exit = once(library, 'exit');
  library.kill('SIGKILL');
  await exit;
  const dead = Date.now();
  const kinds = new Set((await outcomes).map(({ reason }) => `${reason.kind} ${reason.executed} ${reason.epoch}`));
  assert.ok(Date.now() - dead < 50, `${Date.now() - dead} ms`);
  assert.deepStrictEqual([...kinds], ['unavailable maybe 1']);
});

test('calls wait for the next library, and safe ones are made again', async (t) => {
  const { scene, agent, library } = await start(t);
  const { kv } = agent;
  const [core] = herder.agentsOf(agent);
  const again = kv.holdSafely();
  await eventually(async () => (await kv.held()) === 1);
  const down = once(core, 'down');
  library.kill('SIGKILL');
  await down;
  const waiting = kv.get('a', herder.options({ wait: 5000 }));
  await next(scene, 2);
  assert.strictEqual(await waiting, 'a of 2');
  assert.strictEqual(await again, 'made again');
  assert.strictEqual(core.epoch, 2);
});

test('a library that stays away is unavailable, and nothing ran', async (t) => {
  const { scene, agent, library } = await start(t);
  const { kv } = agent;
  const down = once(herder.agentsOf(agent)[0], 'down');
  library.kill('SIGKILL');
  await down;
  fs.rmSync(scene.path, { force: true });
  const started = Date.now();
  await assert.rejects(kv.get('a', herder.options({ wait: 100 })), ({ kind, executed }) => {
    assert.deepStrictEqual([kind, executed], ['unavailable', 'no']);
    return true;
  });
  assert.ok(Date.now() - started < 1000);
});

test('a stopped library lets deadlines fire', async (t) => {
  const { agent: { kv }, library } = await start(t);
  library.kill('SIGSTOP');
  const started = Date.now();
  await assert.rejects(kv.pid(herder.options({ deadline: 100 })), { kind: 'deadline', executed: 'maybe' });
  assert.ok(Date.now() - started < 1000);
});

test('a library that ends in order finishes what is in flight, and the next one serves', async (t) => {
  const scene = new Scene(t);
  const open = [];
  const slow = { work: () => new Promise((resolve) => open.push(resolve)), now: () => 'now' };
  const old = await scene.library({ slow });
  const agent = await scene.agent();
  const working = agent.slow.work();
  await eventually(() => open.length === 1);
  const closed = old.close();
  const next = await scene.library({ slow: { work: () => 'next', now: () => 'next' } }, { epoch: 2 });
  await eventually(() => next.sessions.size === 1);
  assert.strictEqual(await agent.slow.now(), 'next');
  open[0]('finished');
  assert.strictEqual(await working, 'finished');
  await closed;
});

test('a state stream goes on with a gap and a new snapshot', async (t) => {
  const { scene, agent, library } = await start(t);
  const { kv } = agent;
  const items = kv.watch('').items();
  assert.deepStrictEqual(await take(items, 3), ['snapshot a=1', 'snapshot b=2', 'snapshot_end']);
  await kv.set('c', 3);
  await kv.drop('a');
  assert.deepStrictEqual(await take(items, 2), ['item c=3', 'item a=null']);
  library.kill('SIGKILL');
  await next(scene, 2);
  assert.deepStrictEqual(await take(items, 4), [
    'gap the library started again', 'snapshot a=1', 'snapshot b=2', 'snapshot_end',
  ]);
  await items.return();
});

test('an event stream that lost its connection goes on without a gap, or says that there is one', async (t) => {
  const { scene, agent } = await start(t);
  const { kv } = agent;
  const [core] = herder.agentsOf(agent);
  const stream = kv.events();
  await stream.opened;
  const items = stream.items();
  await kv.emit({ key: 1 }, { key: 2 });
  assert.deepStrictEqual(await take(items, 2), ['item 1=undefined', 'item 2=undefined']);
  const other = await scene.agent();
  const missEvents = async (...values) => {
    const down = once(core, 'down');
    core.connect = () => {};
    core.connection.fail('the test cut it');
    await down;
    await other.kv.emit(...values.map((key) => ({ key })));
    delete core.connect;
    core.connect();
  };
  await missEvents(3, 4);
  assert.deepStrictEqual(await take(items, 2), ['item 3=undefined', 'item 4=undefined']);
  await missEvents(5, 6, 7, 8, 9);
  assert.deepStrictEqual(await take(items, 1), ['gap the library no longer holds what came in between']);
  await other.kv.emit({ key: 10 });
  assert.deepStrictEqual(await take(items, 1), ['item 10=undefined']);
  await items.return();
});

async function start(t) {
  const scene = new Scene(t);
  const library = await next(scene, 1);
  return { scene, library, agent: await scene.agent() };
}

/** Starts the library's next process. */
async function next(scene, epoch) {
  fs.rmSync(scene.path, { force: true });
  const library = scene.spawn('library.js', [scene.path, epoch]);
  await once(library.stdout, 'data');
  return library;
}

async function take(items, count) {
  const taken = [];
  while (taken.length < count) {
    const { value: item, done } = await items.next();
    if (done) throw new Error(`the stream ended after ${taken}`);
    const { kind, value, reason } = item;
    taken.push(value ? `${kind} ${value.key}=${value.value}` : [kind, reason].filter(Boolean).join(' '));
  }
  return taken;
}
