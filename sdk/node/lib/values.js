'use strict';
// Values as JSON, with tags for what JSON has no form for:
//   bytes {"$bytes":"<base64>"}, wide numbers {"$int":"<digits>"}, errors {"$error":{name, message, code?}}

const DEPTH = 64;
const TAGS = ['"$bytes"', '"$int"', '"$error"'];

/** The text of a value; throws a `TypeError` for what has none, such as a circle. */
function encode(value) {
  const text = isPlain(value, 0) ? JSON.stringify(value) : JSON.stringify(value, tag);
  return text === undefined ? 'null' : text;
}

/** The value of a text in bytes; throws a `SyntaxError`. */
function decode(bytes) {
  if (bytes.length === 0) return undefined;
  const text = bytes.toString();
  return TAGS.some((name) => text.includes(name)) ? JSON.parse(text, untag) : JSON.parse(text);
}

/** Whether JSON alone does; a replacer costs more than this look. */
function isPlain(value, depth) {
  if (typeof value === 'bigint') return false;
  if (typeof value !== 'object' || value === null) return true;
  if (depth > DEPTH || ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Error) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isPlain(item, depth + 1)) return false;
    return true;
  }
  for (const key in value) if (!isPlain(value[key], depth + 1)) return false;
  return true;
}

function tag(key, value) {
  // A buffer has been made JSON of by itself before it comes here; the holder still has it.
  const original = this[key];
  if (typeof original === 'bigint') return { $int: original.toString() };
  if (original instanceof Error) return { $error: errorFields(original) };
  if (original instanceof ArrayBuffer) return { $bytes: Buffer.from(original).toString('base64') };
  if (ArrayBuffer.isView(original)) {
    const bytes = Buffer.from(original.buffer, original.byteOffset, original.byteLength);
    return { $bytes: bytes.toString('base64') };
  }
  return value;
}

function errorFields(error) {
  const fields = { name: String(error.name), message: String(error.message) };
  if (error.code !== undefined) fields.code = error.code;
  return fields;
}

function untag(key, value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const names = Object.keys(value);
  if (names.length !== 1) return value;
  const [name] = names;
  const tagged = value[name];
  if (name === '$bytes' && typeof tagged === 'string') return Buffer.from(tagged, 'base64');
  if (name === '$int' && /^-?\d{1,40}$/.test(tagged)) return BigInt(tagged);
  if (name === '$error' && tagged && typeof tagged === 'object') {
    const error = new Error(String(tagged.message));
    error.name = String(tagged.name);
    if (tagged.code !== undefined) error.code = tagged.code;
    return error;
  }
  return value;
}

module.exports = { decode, encode, errorFields };
