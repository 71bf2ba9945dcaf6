'use strict';
// The loop of every caller in Node, and what it prints: as press.rs, for callers in Rust.
const { performance } = require('perf_hooks');

/** Calls `call(text)` for the time of `load`, after a fifth of it to warm up; the account is printed. */
async function press([size, inFlight, milliseconds], call) {
  await run({ size, inFlight, milliseconds: milliseconds / 5 }, call);
  const account = await run({ size, inFlight, milliseconds }, call);
  console.log(JSON.stringify(account));
}

async function run({ size, inFlight, milliseconds }, call) {
  const text = 'x'.repeat(size);
  const latencies = [];
  const begin = performance.now();
  let failures = 0;
  async function repeat() {
    for (let now = begin; now - begin < milliseconds;) {
      const since = now;
      const answer = await call(text).catch(() => undefined);
      now = performance.now();
      if (typeof answer === 'string' && answer.length === size) latencies.push(now - since);
      else failures += 1;
    }
  }
  await Promise.all(Array.from({ length: inFlight }, repeat));
  const seconds = (performance.now() - begin) / 1000;
  latencies.sort((a, b) => a - b);
  const micros = (share) => 1000 * (latencies[Math.max(0, Math.ceil(latencies.length * share) - 1)] ?? 0);
  return { calls: latencies.length, seconds, p50: micros(0.5), p99: micros(0.99), failures };
}

module.exports = { press };
