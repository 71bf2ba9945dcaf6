import { setTimeout } from 'node:timers/promises';
import Fastify from 'fastify';

const fastify = Fastify();

fastify.get('/', async () => `Hello from worker-${process.pid}\n`);

fastify.get('/slow', async () => {
  await setTimeout(1000);
  return `Hello from worker-${process.pid}\n`;
});

await fastify.listen({ port: process.env.PORT || 8080, host: '0.0.0.0' });
