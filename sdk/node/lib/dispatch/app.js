'use strict';
// What an app worker of `Master` runs: it makes the agent, then loads the app.

const { pathToFileURL } = require('url');
const { Agent } = require('./agent');

async function main() {
  const app = process.env.HERDER_DISPATCH_APP;
  process.argv[1] = app;
  if (process.env.HERDER_DISPATCH_AGENT === '1') await Agent.init();
  await import(pathToFileURL(app));
}

main().catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
});
