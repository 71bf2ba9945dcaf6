// Answers, and says in the file MARK when it began to listen: a line with its pid and the time.
const fs = require('node:fs');
const http = require('node:http');

const server = http.createServer((_request, response) => response.end('ok'));
server.listen(Number(process.env.PORT), '127.0.0.1', () => {
  fs.appendFileSync(process.env.MARK, `${process.pid} ${Date.now()}\n`);
});
