// What Node runs by leaving the types out.
import cluster from 'node:cluster';
import http from 'node:http';

const text = (id: number): string => `pid:${process.pid} worker:${id} typed`;

http.createServer((request: http.IncomingMessage, response: http.ServerResponse): void => {
  response.setHeader('Connection', 'close');
  response.end(text(cluster.worker!.id));
}).listen(0, '127.0.0.1');
