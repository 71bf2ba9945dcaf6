'use strict';
const express = require('express');

const app = express();

app.get('/', (request, response) => {
  response.send(`Hello from worker-${process.pid}\n`);
});

app.get('/slow', (request, response) => {
  setTimeout(() => response.send(`Hello from worker-${process.pid}\n`), 1000);
});

app.listen(process.env.PORT || 8080);
