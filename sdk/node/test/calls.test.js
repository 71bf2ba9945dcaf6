'use strict';

const assert = require('assert');
const { EventEmitter } = require('events');
const net = require('net');
const test = require('node:test');
const herder = require('..');
const { Decoder, Type, encode } = require('../lib/wire');
const { HERD, Scene, eventually, gate } = require('../fixtures/scene');

test('every kind of export and method is an object that can be called', async (t) => {
  const scene = new Scene(t);
  class Base extends EventEmitter {
    inherited() { return 'base'; }
  }
  class Kv extends Base {
    constructor() {
      super();
      this.size = 3;
      this._hidden = 1;
      this.arrow = (a, b) => a + b;
    }

    sync(a) { return [a]; }

    async later(a) { return { a }; }

    * steps(a) {
      const [b, c] = yield [Promise.resolve(a + 1), Promise.resolve(a + 2)];
      try {
        yield Promise.reject(new Error('caught'));
      } catch (error) {
        return [b, c, error.message];
      }
      return null;
    }

    nothing() {}

    get computed() { return this.size * 2; }

    _private() {}
  }
  await scene.library({
    kv: Kv,
    plain: { hello: (name) => `hello ${name}` },
    promised: Promise.resolve({ n: () => 1 }),
    made: () => ({ n: () => 2 }),
    * stepped() { return { n: yield Promise.resolve(() => 3) }; },
  });
  const objects = await scene.agent();
  const { kv, plain, promised, made, stepped } = objects;
  assert.deepStrictEqual(Object.keys(objects), ['kv', 'made', 'plain', 'promised', 'stepped']);
  assert.deepStrictEqual(Object.keys(kv), ['arrow', 'computed', 'inherited', 'later', 'nothing', 'size', 'steps', 'sync']);
  assert.strictEqual(objects.none, undefined);
  assert.deepStrictEqual(await kv.sync('x'), ['x']);
  assert.deepStrictEqual(await kv.later(Buffer.from('b')), { a: Buffer.from('b') });
  assert.deepStrictEqual(await kv.steps(1), [2, 3, 'caught']);
  assert.strictEqual(await kv.nothing(), null);
  assert.strictEqual(await kv.arrow(1, 2), 3);
  assert.strictEqual(await kv.inherited(), 'base');
  assert.strictEqual(await kv.size, 3);
  assert.strictEqual(await kv.size(), 3);
  assert.strictEqual(await kv.computed, 6);
  assert.strictEqual(await plain.hello('world'), 'hello world');
  assert.deepStrictEqual([await promised.n(), await made.n(), await stepped.n()], [1, 2, 3]);
});

test('errors arrive at once, with what the method threw', async (t) => {
  const scene = new Scene(t);
  const circle = {};
  circle.circle = circle;
  await scene.library({
    bad: {
      thrown() { throw Object.assign(new TypeError('not so'), { code: 'E_SO', data: { a: 1 } }); },
      async rejected() { throw 'a text'; }, // eslint-disable-line no-throw-literal
      circle: () => circle,
      huge: () => 'x'.repeat(17 * 1024 * 1024),
    },
  });
  const { bad } = await scene.agent();
  const started = Date.now();
  const thrown = await failure(bad.thrown());
  assert.ok(thrown instanceof herder.HerderError);
  assert.deepStrictEqual(
    [thrown.kind, thrown.executed, thrown.code, thrown.appName, thrown.data, thrown.target, thrown.epoch],
    ['app', 'yes', 'E_SO', 'TypeError', { a: 1 }, 'bad.thrown', 1],
  );
  assert.strictEqual(thrown.message, 'bad.thrown failed: not so');
  assert.strictEqual((await failure(bad.rejected())).data, 'a text');
  assert.deepStrictEqual(await kindOf(bad.circle()), ['codec', 'yes']);
  assert.deepStrictEqual(await kindOf(bad.huge()), ['too_large', 'yes']);
  assert.deepStrictEqual(await kindOf(bad.none()), ['no_method', 'no']);
  assert.deepStrictEqual(await kindOf(bad.thrown(circle)), ['codec', 'no']);
  assert.deepStrictEqual(await kindOf(bad.thrown('x'.repeat(17 * 1024 * 1024))), ['too_large', 'no']);
  assert.ok(Date.now() - started < 5000);
});

test('what is exposed by name is all there is, with its arguments checked', async (t) => {
  const scene = new Scene(t);
  const object = { get: (key) => key, put() {}, secret() {} };
  await scene.library({ kv: herder.expose(object, { get: { args: ['key'], idempotent: true }, put: { kind: 'notify' } }) });
  const { kv } = await scene.agent();
  assert.deepStrictEqual(Object.keys(kv), ['get', 'put']);
  assert.strictEqual(await kv.get('a'), 'a');
  assert.strictEqual(await kv.put('a'), undefined);
  assert.deepStrictEqual(await kindOf(kv.get('a', 'b')), ['bad_arguments', 'no']);
  assert.deepStrictEqual(await kindOf(kv.secret()), ['no_method', 'no']);
  assert.throws(() => herder.expose({}, ['none']), /there is no none/);
});

test('a deadline ends the wait here, and tells the library', async (t) => {
  const scene = new Scene(t);
  const cancelled = gate();
  await scene.library({
    slow: {
      wait() {
        const { signal, remaining } = herder.context();
        assert.ok(remaining > 0 && remaining <= 50);
        return new Promise(() => signal.addEventListener('abort', cancelled.open));
      },
    },
  });
  const { slow } = await scene.agent();
  const started = Date.now();
  assert.deepStrictEqual(await kindOf(slow.wait(herder.options({ deadline: 50 }))), ['deadline', 'maybe']);
  assert.ok(Date.now() - started < 1000);
  await cancelled.opened;
});

test('an abort signal cancels a call', async (t) => {
  const scene = new Scene(t);
  const [began, cancelled] = [gate(), gate()];
  await scene.library({
    slow: {
      wait() {
        herder.context().signal.addEventListener('abort', cancelled.open);
        began.open(herder.context());
        return new Promise(() => {});
      },
    },
  });
  const { slow } = await scene.agent();
  const controller = new AbortController();
  const call = failure(slow.wait(herder.options({ signal: controller.signal })));
  const { caller, epoch } = await began.opened;
  assert.deepStrictEqual({ ...caller, pid: 0 }, { part: 'worker', slot: 3, worker: 7, pid: 0 });
  assert.strictEqual(epoch, 1);
  controller.abort(new Error('enough'));
  const error = await call;
  assert.deepStrictEqual([error.kind, error.executed, error.cause.message], ['cancelled', 'maybe', 'enough']);
  await cancelled.opened;
  const early = slow.wait(herder.options({ signal: AbortSignal.abort() }));
  assert.deepStrictEqual(await kindOf(early), ['cancelled', 'no']);
});

test('calls beyond the window wait, calls beyond the queue are turned away', async (t) => {
  const scene = new Scene(t);
  const open = gate();
  let running = 0;
  let most = 0;
  await scene.library({
    slow: {
      async wait() {
        running += 1;
        most = Math.max(most, running);
        await open.opened;
        running -= 1;
      },
    },
  });
  const { slow } = await scene.agent();
  const text = 'x'.repeat(16 * 1024);
  const calls = Array.from({ length: 2000 }, () => slow.wait(text).then(() => 'ok', ({ kind, executed }) => `${kind} ${executed}`));
  const now = await slow.wait(herder.options({ wait: 0 })).catch(({ kind }) => kind);
  assert.strictEqual(now, 'overloaded');
  await eventually(() => running === 254 || running === 255 || running === 256);
  open.open();
  const outcomes = await Promise.all(calls);
  const done = outcomes.filter((outcome) => outcome === 'ok').length;
  assert.ok(most <= 256, `${most} at a time`);
  assert.ok(done >= 256 && done < 2000, `${done} done`);
  assert.ok(outcomes.every((outcome) => outcome === 'ok' || outcome === 'overloaded no'));
});

test('a method runs so many calls at a time, and those whose time is over never', async (t) => {
  const scene = new Scene(t);
  const open = gate();
  const ran = [];
  const object = { async work(n) { ran.push(n); await open.opened; return n; } };
  await scene.library({ pool: herder.expose(object, { work: { concurrency: 1, queue: 2 } }) });
  const { pool } = await scene.agent();
  const first = pool.work(1);
  await eventually(() => ran.length === 1);
  const late = kindOf(pool.work(2, herder.options({ deadline: 30 })));
  const third = pool.work(3);
  const turned = await failure(pool.work(4, herder.options({ retry: false })));
  assert.deepStrictEqual([turned.kind, turned.executed, turned.retryAfter], ['overloaded', 'no', 100]);
  assert.deepStrictEqual(await late, ['deadline', 'maybe']);
  open.open();
  assert.deepStrictEqual([await first, await third], [1, 3]);
  assert.deepStrictEqual(ran, [1, 3]);
});

test('strangers are refused and nonsense is cut', async (t) => {
  const scene = new Scene(t);
  const library = await scene.library({ a: {} });
  const stranger = herder.connect({
    libraries: [{ name: 'core', path: scene.path }], identity: { herd: 'ff', part: 'worker' }, timeout: 5000,
  });
  assert.deepStrictEqual(await kindOf(stranger), ['refused', 'no']);
  const tool = await scene.agent({ identity: { herd: '', part: 'tool' } });
  assert.deepStrictEqual(Object.keys(tool), ['a']);
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), encode({ type: Type.PING, id: 1 }), encode({ type: Type.HELLO, body: '[' })]) {
    const socket = net.connect({ path: scene.path });
    socket.write(bytes);
    await new Promise((resolve) => socket.on('close', resolve).resume());
  }
  await eventually(() => library.sessions.size === 1);
});

test('a ping is answered and an unknown number is an error', async (t) => {
  const scene = new Scene(t);
  await scene.library({ a: { b() {} } });
  const socket = net.connect({ path: scene.path });
  t.after(() => socket.destroy());
  const decoder = new Decoder();
  const frames = [];
  socket.on('data', (chunk) => frames.push(...decoder.push(chunk)));
  const hello = { versions: [1, 1], language: 'test', herd: HERD, part: 'worker' };
  socket.write(encode({ type: Type.HELLO, body: JSON.stringify(hello) }));
  socket.write(encode({ type: Type.PING, id: 4 }));
  const call = (id, object, method, body = '[]', flags = 0) => {
    socket.write(encode({ type: Type.CALL, id, flags, object, method, deadline: 100, body }));
  };
  call(5, 1, 0);
  call(6, 0, 1);
  call(7, 0, 0, '{}');
  call(8, 0, 0, '[');
  call(9, 0, 0, '[]', 1);
  call(10, 0, 0);
  await eventually(() => frames.some(({ id }) => id === 10));
  const outcomes = frames.slice(1).map(({ type, id, body }) => [id, type === Type.ERROR ? JSON.parse(body).kind : type]);
  outcomes.sort(([a], [b]) => a - b);
  assert.deepStrictEqual(outcomes, [
    [4, Type.PONG], [5, 'no_object'], [6, 'no_method'], [7, 'bad_arguments'], [8, 'bad_arguments'], [9, 'codec'], [10, Type.OK],
  ]);
});

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

async function kindOf(promise) {
  const { kind, executed } = await failure(promise);
  return [kind, executed];
}
