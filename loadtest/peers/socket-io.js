// A socket.io 4 server that broadcasts letters: `node socket-io.js [tick=MS] [workers=N]`.
//
// Each letter leaves on its own; with `tick` a channel's letters are gathered for so long and
// leave together. With `workers` there are so many processes under the cluster adapter.

import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter';
import { Server } from 'socket.io';
import { Chat, ready } from './chat.js';

const asked = Object.fromEntries(process.argv.slice(2).map((option) => option.split('=')));
const tick = Number(asked.tick ?? 0);
const workers = Number(asked.workers ?? 1);

if (workers > 1 && cluster.isPrimary) {
  lead();
} else {
  const port = await serve();
  if (cluster.isPrimary) ready(port, [process.pid]);
}

/** Starts the workers; they have one port, and the system's connections in turn. */
function lead() {
  setupPrimary();
  cluster.setupPrimary({ serialization: 'advanced' });
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    listening += 1;
    if (listening < workers) return;
    const pids = Object.values(cluster.workers).map((worker) => worker.process.pid);
    ready(port, [process.pid, ...pids]);
  });
  for (let worker = 0; worker < workers; worker += 1) cluster.fork();
}

async function serve() {
  const http = createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part)).on('end', () => {
      const body = parts.length ? JSON.parse(Buffer.concat(parts)) : undefined;
      const { method, url, headers } = request;
      const [status, json, extra] = chat.answer(method, url, headers.authorization, body);
      response.writeHead(status, { 'content-type': 'application/json', ...extra });
      response.end(json && JSON.stringify(json));
    });
  });
  const io = new Server(http, {
    transports: ['websocket'],
    serveClient: false,
    adapter: workers > 1 ? createAdapter() : undefined,
  });
  // As its documentation advises, where memory counts.
  io.engine.on('connection', (connection) => {
    connection.request = null;
  });
  const say = (channel, frame) => io.to(channel).emit('update-typing-messages', frame);
  const chat = new Chat(tick ? gathered(say) : say, {
    seat: (cluster.worker?.id ?? 1) - 1,
    seats: workers,
    share: (channel, row) => workers > 1 && io.serverSideEmit('sent', channel, row),
  });
  io.on('sent', (channel, row) => chat.keep(channel, row));
  io.on('connection', (socket) => {
    socket.on('login', ({ channels = [] }) => {
      socket.join(channels);
      socket.emit('login-response', { success: true });
    });
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  return http.address().port;
}

/** Gathers what is to be said in a channel, and says it once a tick. */
function gathered(say) {
  const waiting = new Map();
  return (channel, frame) => {
    if (waiting.has(channel)) {
      Object.assign(waiting.get(channel), frame);
      return;
    }
    waiting.set(channel, frame);
    setTimeout(() => {
      say(channel, waiting.get(channel));
      waiting.delete(channel);
    }, tick);
  };
}
