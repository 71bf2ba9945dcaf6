'use strict';
// Frames between agent and library. All numbers are little endian.
//
// u32 length (of what follows) | u8 type | u8 flags | u16 header length | u64 id | header | body
//
// Numbers of 64 bits are plain numbers as long as they are exact, then BigInts.

const Type = Object.freeze({
  HELLO: 1, WELCOME: 2, REFUSED: 3, SIGNATURE_ASK: 4, SIGNATURE: 5, CALL: 6, OK: 7, ERROR: 8,
  CANCEL: 9, SUBSCRIBE: 10, OPENED: 11, ITEM: 12, END: 13, CREDIT: 14, GOAWAY: 15, PING: 16, PONG: 17,
});
const Kind = Object.freeze({ ITEM: 0, SNAPSHOT: 1, SNAPSHOT_END: 2, GAP: 3 });
const ONE_WAY = 2;
const POSTCARD = 1;
const MANDATORY = 0x80;
const LENGTH = 4;
const PREFIX = 16;
const MAX_FRAME = 16 * 1024 * 1024 + 64 * 1024;
const MAX_KEY = 1024;
const EMPTY = Buffer.alloc(0);

// What the body's flags may be, and how long the header is, by type. A call's header ends with its key.
const FLAGS = { [Type.CALL]: POSTCARD | ONE_WAY, [Type.OK]: POSTCARD, [Type.SUBSCRIBE]: POSTCARD, [Type.ITEM]: POSTCARD };
const HEADER = { [Type.SUBSCRIBE]: 28, [Type.OPENED]: 16, [Type.ITEM]: 9, [Type.CREDIT]: 4, [Type.PONG]: 4 };
const ANONYMOUS = new Set([Type.HELLO, Type.WELCOME, Type.REFUSED, Type.GOAWAY]);
const BODILESS = new Set([Type.SIGNATURE_ASK, Type.CANCEL, Type.OPENED, Type.END, Type.CREDIT, Type.PING, Type.PONG]);

/** Why bytes are no frame. */
class FrameError extends Error {}

/**
 * The bytes of a frame: `{type, id, flags?, body?, ...fields}`, where the body is a text or bytes.
 * The fields are those that `decode` gives.
 */
function encode(frame) {
  const body = frame.body === undefined ? EMPTY : frame.body;
  const text = typeof body === 'string';
  const key = frame.type === Type.CALL ? Buffer.from(frame.key || '') : EMPTY;
  if (key.length > MAX_KEY) throw new FrameError(`a key of ${key.length} bytes is too long`);
  const header = frame.type === Type.CALL ? 10 + key.length : HEADER[frame.type] || 0;
  const length = PREFIX + header + (text ? Buffer.byteLength(body) : body.length);
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUInt32LE(length - LENGTH, 0);
  bytes[4] = frame.type;
  bytes[5] = frame.flags || 0;
  bytes.writeUInt16LE(header, 6);
  writeU64(bytes, 8, frame.id || 0);
  writeHeader(bytes, frame, key);
  if (text) bytes.write(body, PREFIX + header);
  else bytes.set(body, PREFIX + header);
  return bytes;
}

function writeHeader(bytes, frame, key) {
  switch (frame.type) {
    case Type.CALL:
      bytes.writeUInt16LE(frame.object, 16);
      bytes.writeUInt16LE(frame.method, 18);
      bytes.writeUInt32LE(frame.deadline, 20);
      bytes.writeUInt16LE(key.length, 24);
      bytes.set(key, 26);
      break;
    case Type.SUBSCRIBE:
      bytes.writeUInt16LE(frame.object, 16);
      bytes.writeUInt16LE(frame.method, 18);
      bytes.writeUInt32LE(frame.deadline, 20);
      bytes.writeUInt32LE(frame.credits, 24);
      writeU64(bytes, 28, frame.epoch);
      writeU64(bytes, 36, frame.seq);
      break;
    case Type.OPENED:
      writeU64(bytes, 16, frame.epoch);
      writeU64(bytes, 24, frame.seq);
      break;
    case Type.ITEM:
      writeU64(bytes, 16, frame.seq);
      bytes[24] = frame.kind;
      break;
    case Type.CREDIT:
      bytes.writeUInt32LE(frame.items, 16);
      break;
    case Type.PONG:
      bytes.writeUInt32LE(frame.lag, 16);
      break;
  }
}

/** Turns bytes that arrive in any pieces into frames. Holds what has arrived, not what is claimed. */
class Decoder {
  constructor(limit = MAX_FRAME) {
    this.limit = limit;
    this.chunks = [];
    this.held = 0;
    this.wanted = LENGTH;
  }

  /** The frames that are whole with this chunk; throws `FrameError`, after which nothing more can be read. */
  push(chunk) {
    this.chunks.push(chunk);
    this.held += chunk.length;
    const frames = [];
    // Chunks are joined only when they make a whole frame, so that each byte is moved once.
    while (this.held >= this.wanted) {
      const bytes = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks, this.held);
      const used = this.take(bytes, frames);
      const rest = bytes.subarray(used);
      this.chunks = rest.length ? [rest] : [];
      this.held = rest.length;
      if (used === 0) break;
    }
    return frames;
  }

  take(bytes, frames) {
    let start = 0;
    for (;;) {
      this.wanted = LENGTH;
      if (bytes.length - start < LENGTH) return start;
      const length = bytes.readUInt32LE(start) + LENGTH;
      if (length < PREFIX) throw new FrameError(`a frame of ${length} bytes has no room for its prefix`);
      if (length > this.limit) throw new FrameError(`a frame of ${length} bytes exceeds the limit of ${this.limit}`);
      this.wanted = length;
      if (bytes.length - start < length) return start;
      const frame = decode(bytes.subarray(start, start + length));
      if (frame) frames.push(frame);
      start += length;
    }
  }
}

/** One whole frame; `null` when its type is unknown and need not be known. */
function decode(bytes) {
  const type = bytes[4];
  const header = bytes.readUInt16LE(6);
  if (type < Type.HELLO || type > Type.PONG) {
    if (bytes[5] & MANDATORY) throw new FrameError(`frame type ${type} is unknown and must be understood`);
    return null;
  }
  const flags = bytes[5] & ~MANDATORY;
  if (flags & ~(FLAGS[type] || 0)) throw new FrameError(`frame type ${type} has the flags ${flags}`);
  const start = PREFIX + header;
  const id = readU64(bytes, 8);
  const wrong = start > bytes.length || (ANONYMOUS.has(type) && id !== 0) ||
    (BODILESS.has(type) && start !== bytes.length) ||
    (type === Type.CALL ? header < 10 || header !== 10 + bytes.readUInt16LE(24) : header !== (HEADER[type] || 0));
  const frame = wrong ? null : fields({ type, flags, id, body: bytes.subarray(start) }, bytes);
  if (!frame) throw new FrameError(`a frame of type ${type} is malformed`);
  return frame;
}

function fields(frame, bytes) {
  switch (frame.type) {
    case Type.CALL:
    case Type.SUBSCRIBE:
      frame.object = bytes.readUInt16LE(16);
      frame.method = bytes.readUInt16LE(18);
      frame.deadline = bytes.readUInt32LE(20);
      if (frame.deadline === 0) return null;
      if (frame.type === Type.CALL) {
        frame.key = bytes.toString('utf8', 26, 26 + bytes.readUInt16LE(24));
        return bytes.readUInt16LE(24) > MAX_KEY ? null : frame;
      }
      frame.credits = bytes.readUInt32LE(24);
      frame.epoch = readU64(bytes, 28);
      frame.seq = readU64(bytes, 36);
      return frame;
    case Type.OPENED:
      frame.epoch = readU64(bytes, 16);
      frame.seq = readU64(bytes, 24);
      return frame;
    case Type.ITEM:
      frame.seq = readU64(bytes, 16);
      frame.kind = bytes[24];
      if (frame.kind > Kind.GAP || (frame.kind === Kind.SNAPSHOT_END && frame.body.length)) return null;
      return frame;
    case Type.CREDIT:
      frame.items = bytes.readUInt32LE(16);
      return frame;
    case Type.PONG:
      frame.lag = bytes.readUInt32LE(16);
      return frame;
    default:
      return frame;
  }
}

function readU64(bytes, at) {
  const high = bytes.readUInt32LE(at + 4);
  return high < 0x200000 ? high * 0x100000000 + bytes.readUInt32LE(at) : bytes.readBigUInt64LE(at);
}

function writeU64(bytes, at, number) {
  if (typeof number === 'bigint') {
    bytes.writeBigUInt64LE(number, at);
    return;
  }
  bytes.writeUInt32LE(number % 0x100000000, at);
  bytes.writeUInt32LE(Math.floor(number / 0x100000000), at + 4);
}

module.exports = { Decoder, FrameError, Kind, MAX_FRAME, ONE_WAY, POSTCARD, PREFIX, Type, encode };
