// Bun's publish, the fastest broadcast that JavaScript has: `bun bun.js`.
//
// It knows topics and no events, so the framing of socket.io 5 is written here by hand.

import { Chat, ready } from './chat.js';

const PING_MS = 25_000;

const chat = new Chat((channel, frame) => {
  server.publish(channel, `42${JSON.stringify(['update-typing-messages', frame])}`);
});

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  async fetch(request, server) {
    const { method, url, headers } = request;
    if (new URL(url).pathname === '/socket.io/') {
      return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
    }
    const text = await request.text();
    const body = text ? JSON.parse(text) : undefined;
    const [status, json, extra] = chat.answer(method, url, headers.get('authorization'), body);
    const type = { 'content-type': 'application/json' };
    return new Response(json && JSON.stringify(json), { status, headers: { ...type, ...extra } });
  },
  websocket: {
    idleTimeout: 60,
    open(socket) {
      const opening = { sid: 'bun', upgrades: [], pingInterval: PING_MS, pingTimeout: 20_000 };
      socket.send(`0${JSON.stringify(opening)}`);
      socket.subscribe('pings');
    },
    message(socket, text) {
      if (text.startsWith('40')) socket.send('40{"sid":"bun"}');
      if (!text.startsWith('42')) return;
      const [name, { channels = [] }] = JSON.parse(text.slice(2));
      if (name !== 'login') return;
      for (const channel of channels) socket.subscribe(channel);
      socket.send('42["login-response",{"success":true}]');
    },
  },
});

setInterval(() => server.publish('pings', '2'), PING_MS);
ready(server.port, [process.pid]);
