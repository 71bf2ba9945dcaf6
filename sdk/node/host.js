#!/usr/bin/env node
'use strict';
// node host.js SCRIPT [ARGS]: serves what a module exports as a library of the herd.

const path = require('path');
const { pathToFileURL } = require('url');
const { host } = require('./lib/server/host');

async function main() {
  const [script] = process.argv.splice(2, 1);
  if (!script) throw new Error('usage: node host.js SCRIPT [ARGS]');
  const file = path.resolve(script);
  process.argv[1] = file;
  const module = await import(pathToFileURL(file));
  // A module of the older kind has what it exports as its default.
  await host(module.default === undefined ? { ...module } : module.default);
}

main().catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
});
