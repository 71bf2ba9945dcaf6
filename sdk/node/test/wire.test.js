'use strict';

const assert = require('assert');
const test = require('node:test');
const fs = require('fs');
const path = require('path');
const { Decoder, FrameError, Kind, MAX_FRAME, ONE_WAY, POSTCARD, Type, encode } = require('../lib/wire');
const values = require('../lib/values');

const BODY = Buffer.from('{}');
const FRAMES = [
  { type: Type.HELLO, id: 0, flags: 0, body: BODY },
  { type: Type.SIGNATURE_ASK, id: 5, flags: 0, body: Buffer.alloc(0) },
  { type: Type.CALL, id: 7, flags: ONE_WAY, object: 1, method: 515, deadline: 200, key: 'k', body: Buffer.from('[1]') },
  { type: Type.OK, id: 2 ** 53 - 1, flags: 0, body: BODY },
  { type: Type.OK, id: 2n ** 64n - 1n, flags: POSTCARD, body: BODY },
  { type: Type.SUBSCRIBE, id: 9, flags: 0, object: 0, method: 1, deadline: 1, credits: 64, epoch: 3, seq: 2 ** 40, body: BODY },
  { type: Type.OPENED, id: 9, flags: 0, epoch: 3, seq: 8, body: Buffer.alloc(0) },
  { type: Type.ITEM, id: 9, flags: 0, seq: 9, kind: Kind.SNAPSHOT, body: BODY },
  { type: Type.ITEM, id: 9, flags: 0, seq: 9, kind: Kind.SNAPSHOT_END, body: Buffer.alloc(0) },
  { type: Type.CREDIT, id: 9, flags: 0, items: 32, body: Buffer.alloc(0) },
  { type: Type.PONG, id: 1, flags: 0, lag: 77, body: Buffer.alloc(0) },
];
const BYTES = Buffer.concat(FRAMES.map(encode));

test('a call has the bytes that are documented', () => {
  const call = { type: Type.CALL, id: 7, flags: 3, object: 1, method: 0x0203, deadline: 200, key: 'key', body: '[1]' };
  assert.strictEqual(encode(call).toString('hex'), [
    '1c000000', '06', '03', '0d00', '0700000000000000', '0100', '0302', 'c8000000', '0300', '6b6579', '5b315d',
  ].join(''));
});

test('frames are read as they were written, in any pieces', () => {
  assert.deepStrictEqual(new Decoder().push(BYTES), FRAMES);
  const random = numbers(1);
  for (let round = 0; round < 200; round++) {
    const decoder = new Decoder();
    const read = [];
    for (let at = 0; at < BYTES.length;) {
      const length = 1 + (random() % 40);
      read.push(...decoder.push(BYTES.subarray(at, at + length)));
      at += length;
    }
    assert.deepStrictEqual(read, FRAMES);
  }
});

test('damaged frames are refused or read, and nothing else', () => {
  const random = numbers(2);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(BYTES.subarray(0, 1 + (random() % BYTES.length)));
    for (let turns = random() % 4; turns >= 0; turns--) bytes[random() % bytes.length] ^= 1 << (random() % 8);
    try {
      new Decoder().push(bytes);
    } catch (error) {
      assert.ok(error instanceof FrameError, error.stack);
    }
  }
});

test('the inputs of the fuzz target are read as the other implementation reads them', (t) => {
  const corpus = path.join(__dirname, '../../../fuzz/corpus/rpc_frames');
  if (!fs.existsSync(corpus)) return t.skip('the corpus is not part of the package');
  const bad = /beyond|largest|short$|no-time|flags|item-kind|end-value|cancel-body|hello-id|unknown-mandatory/;
  for (const name of fs.readdirSync(corpus)) {
    const read = () => new Decoder().push(fs.readFileSync(path.join(corpus, name)));
    if (bad.test(name)) assert.throws(read, FrameError, name);
    else assert.doesNotThrow(read, name);
  }
  return undefined;
});

test('a frame that is too long is refused by its length alone', () => {
  const claim = Buffer.alloc(4);
  claim.writeUInt32LE(MAX_FRAME - 3);
  assert.throws(() => new Decoder().push(claim), /exceeds the limit/);
  claim.writeUInt32LE(MAX_FRAME - 4);
  assert.deepStrictEqual(new Decoder().push(claim), []);
});

test('values that JSON has no form for', () => {
  const error = Object.assign(new RangeError('far'), { code: 'E_FAR' });
  const value = { bytes: Buffer.from([0, 255]), view: new Uint16Array([1]), wide: [2n ** 60n, -1n], error, plain: { a: [null, 1.5] } };
  const text = values.encode(value);
  const read = values.decode(Buffer.from(text));
  assert.deepStrictEqual(read.bytes, value.bytes);
  assert.deepStrictEqual(read.view, Buffer.from([1, 0]));
  assert.deepStrictEqual(read.wide, value.wide);
  assert.deepStrictEqual([read.error.name, read.error.message, read.error.code], ['RangeError', 'far', 'E_FAR']);
  assert.deepStrictEqual(read.plain, value.plain);
  assert.strictEqual(values.encode(undefined), 'null');
  assert.strictEqual(values.encode(Buffer.from([0, 1, 254, 255])), '{"$bytes":"AAH+/w=="}');
  const circle = {};
  circle.circle = circle;
  assert.throws(() => values.encode(circle), TypeError);
  // What only looks like a tag is what it is.
  const lookalike = { $bytes: 1, more: [{ $int: 'x' }, { $bytes: 'AA==', b: 1 }] };
  assert.deepStrictEqual(values.decode(Buffer.from(JSON.stringify(lookalike))), lookalike);
});

/** Numbers that look random and are the same in every run. */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}
