// A program that uses the package's types, and those of the built-in library, rightly and wrongly.
import * as herder from 'herder';
import { messenger } from 'herder/messenger';
import type { Herder } from './services';

async function main() {
  const { state, bus, jobs } = await herder.agent<Herder>();
  const entry = await state.get('s', 'k', herder.options({ deadline: 50 }));
  const bytes: Buffer | undefined = entry?.value;
  await state.set('s', 'k', new Uint8Array([1]), { ttl_ms: 5 });
  await state.increment('s', 'n', 1);
  await state.increment('s', 'n', 1, herder.options({ deadline: 1 }));
  // @ts-expect-error: a key is a text
  await state.get('s', 5);
  // @ts-expect-error: there is no such method
  await state.nothing();
  for await (const change of state.watch('s', '')) {
    if (change instanceof herder.Gap) continue;
    const revision: number | undefined = change.value?.revision;
  }
  const { receivers } = await bus.send({ slot: 1 }, 'topic', { a: 1 });
  // @ts-expect-error: no such receiver
  await bus.send('nobody', 'topic');
  await jobs.define('a', { timing: 'every 1s', target: 'all' });
  for await (const order of jobs.serve(['a'])) {
    if (order instanceof herder.Gap) continue;
    if ('run' in order) await jobs.done(order.run.run);
  }
  const sessions = await herder.state<{ user: number }>('sessions');
  const user: number | undefined = (await sessions.get('k'))?.user;
  await sessions.set('k', { user: 1 }, { ttl: 5 });
  // @ts-expect-error: not a session
  await sessions.set('k', 5);
  for await (const { key, value } of sessions.scan('a')) console.log(key, value.user);
  for await (const change of sessions.watch()) {
    if (change instanceof herder.Gap) continue;
    console.log(change.key, change.value?.user);
  }
  const lease = await sessions.lease('x', { wait: true });
  lease?.signal.throwIfAborted();
  (await herder.jobs()).on('a', async ({ tick, signal }) => { console.log(tick.getTime(), signal.aborted); });
  (await herder.bus()).on('t', (payload) => payload);
  await messenger.sendToApp('x');
}
main();
