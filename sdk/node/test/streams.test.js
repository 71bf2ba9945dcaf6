'use strict';

const assert = require('assert');
const { EventEmitter } = require('events');
const test = require('node:test');
const herder = require('..');
const { Messenger } = require('../messenger');
const { Scene, eventually, gate } = require('../fixtures/scene');

test('a generator is read no faster than its reader, and ends when its reader leaves', async (t) => {
  const scene = new Scene(t);
  let made = 0;
  const ended = gate();
  await scene.library({
    n: {
      async* count(first) {
        try {
          for (let n = first; ; n++) {
            made += 1;
            yield n;
          }
        } finally {
          ended.open();
        }
      },
      async* three() { yield* [1, 2, 3]; },
      async* breaks() { yield 1; throw new Error('broken'); },
    },
  });
  const { n } = await scene.agent();
  const seen = [];
  for await (const value of n.count(5, herder.options({ credits: 8 }))) {
    seen.push(value);
    if (seen.length === 20) break;
  }
  assert.deepStrictEqual(seen, Array.from({ length: 20 }, (_, index) => index + 5));
  await ended.opened;
  assert.ok(made <= 28, `${made} made for 20 read`);
  const three = [];
  for await (const value of n.three()) three.push(value);
  assert.deepStrictEqual(three, [1, 2, 3]);
  const broken = n.breaks();
  assert.strictEqual((await broken.next()).value, 1);
  await assert.rejects(broken.next(), /n.breaks failed: broken/);
  assert.ok((await broken.next()).done);
  await assert.rejects(herder.agentsOf(scene.connected[0])[0].call('n', 'three', []), { kind: 'bad_arguments' });
});

test('a method with a callback is a stream, and is told when nobody listens', async (t) => {
  const scene = new Scene(t);
  const source = new EventEmitter();
  await scene.library({
    feed: {
      follow(topic, callback) {
        const tell = (...args) => callback(...args);
        source.on(topic, tell);
        return { unsubscribe: () => source.off(topic, tell) };
      },
      fails(callback) { throw new Error(`no ${typeof callback}`); },
    },
  });
  const { feed } = await scene.agent();
  for (let round = 0; round < 100; round++) {
    const told = gate();
    const handle = feed.follow('news', (...args) => told.open(args));
    await handle.opened;
    source.emit('news', null, { round });
    assert.deepStrictEqual(await told.opened, [null, { round }]);
    handle.close();
    await eventually(() => source.listenerCount('news') === 0);
  }
  const iterated = feed.follow('news');
  await iterated.opened;
  source.emit('news', 'one');
  assert.deepStrictEqual(await iterated.next(), { done: false, value: 'one' });
  iterated.close();
  const failed = await new Promise((resolve) => { feed.fails(() => {}).onend = resolve; });
  assert.match(failed.message, /feed.fails failed: no function/);
});

test('who is too slow for a callback misses the oldest and is told so', async (t) => {
  const scene = new Scene(t);
  let tell;
  await scene.library({ feed: { follow(callback) { tell = callback; } } });
  const { feed } = await scene.agent();
  const stream = feed.follow(herder.options({ credits: 4 }));
  await stream.opened;
  for (let n = 0; n < 5000; n++) tell(n);
  const seen = [];
  const items = stream.items();
  while (seen[seen.length - 1] !== 4999) {
    const { value } = await items.next();
    seen.push(value.kind === 'gap' ? `gap ${value.missed}` : value.value);
  }
  assert.deepStrictEqual(seen.slice(0, 4), [0, 1, 2, 3]);
  assert.strictEqual(seen[4], `gap ${5000 - 4 - 1024}`);
  assert.strictEqual(seen.length, 4 + 1 + 1024);
});

test('a slow reader of a state gets the newest values, of events a gap or the end', async (t) => {
  const scene = new Scene(t);
  const config = new herder.State();
  const dropped = new herder.Events({ size: 8 });
  const strict = new herder.Events({ size: 8, slow: 'disconnect' });
  await scene.library({
    feed: herder.expose({
      config: () => config.watch(), dropped: () => dropped.stream(), strict: () => strict.stream(),
    }, { config: { kind: 'state' }, dropped: { kind: 'events' }, strict: { kind: 'events' } }),
  });
  const { feed } = await scene.agent();
  const few = herder.options({ credits: 2 });
  const [states, events, ends] = [feed.config(few), feed.dropped(few), feed.strict(few)];
  await Promise.all([states, events, ends].map(({ opened }) => opened));
  for (let n = 1; n <= 100; n++) {
    config.set('a', n);
    dropped.emit(n);
    strict.emit(n);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const newest = [];
  while (newest[newest.length - 1] !== 100) newest.push((await states.next()).value.value);
  assert.ok(newest.length <= 4, `${newest}`);
  const seen = [];
  while (seen[seen.length - 1] !== 100) {
    const { value } = await events.next();
    seen.push(value instanceof herder.Gap ? `gap ${value.missed}` : value);
  }
  assert.ok(seen.some((value) => /^gap/.test(value)), `${seen}`);
  assert.deepStrictEqual(seen.slice(-8), [93, 94, 95, 96, 97, 98, 99, 100]);
  await assert.rejects(async () => { for await (const value of ends) void value; }, /too slow/);
  for (const stream of [states, events]) stream.close();
  await eventually(() => config.watchers.size === 0 && dropped.readers.size === 0);
});

test("Egg's messenger sends and hears over the bus", async (t) => {
  const scene = new Scene(t);
  const sent = [];
  const topics = new Map();
  const bus = {
    send(to, topic, payload) {
      sent.push([to, topic, payload]);
      const listeners = topics.get(topic) ?? [];
      if (listeners.length === 0) throw Object.assign(new Error('nobody listens'), { code: 'no_receiver' });
      for (const tell of listeners) tell({ topic, payload, from: {}, request: null });
      return { receivers: listeners.length };
    },
    subscribe(names, callback) {
      for (const name of names) topics.set(name, [...(topics.get(name) ?? []), callback]);
      return () => names.forEach((name) => topics.delete(name));
    },
  };
  await scene.library({ bus });
  const objects = await scene.agent();
  const messenger = new Messenger(() => new herder.Bus(objects.bus));
  await new Promise((resolve) => { messenger.once('egg-ready', resolve); });
  const heard = gate();
  messenger.on('refresh', heard.open);
  await messenger.listening();
  assert.deepStrictEqual(await messenger.broadcast('refresh', { a: 1 }), { receivers: 1 });
  assert.deepStrictEqual(await heard.opened, { a: 1 });
  messenger.on('error', () => {});
  await Promise.allSettled([
    messenger.sendTo('12', 'x'), messenger.sendRandom('x', 2), messenger.sendToApp('x', 3), messenger.sendToAgent('x', 4),
  ]);
  assert.deepStrictEqual(sent.slice(1).map(([to]) => to), [{ pid: 12 }, 'random', 'workers', { library: 'agent' }]);
  await assert.rejects(messenger.sendRandom('x'), { kind: 'app', code: 'no_receiver' });
  await messenger.close();
  await eventually(() => topics.size === 0);
});
