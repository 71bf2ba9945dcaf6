// A server that knows nothing but PORT (or a path, as HERDER_UNIX).
'use strict'

const { createServer } = require('node:http')

const server = createServer((request, response) => {
  const answer = () => response.end(`pid:${process.pid} worker:${process.env.HERDER_SLOT}\n`)
  const slow = /^\/slow\/(\d+)$/.exec(request.url)
  request.resume().on('end', () => setTimeout(answer, slow ? Number(slow[1]) : 0))
})
server.listen(process.env.HERDER_UNIX || process.env.PORT)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
