// People who type without a browser.

import { io } from 'socket.io-client';

/** Somebody signed in at a `Ting` and in #ting. */
export async function socketOf(ting, username) {
  const cookie = await ting.signIn(username);
  const socket = io(ting.url, { transports: ['websocket'], extraHeaders: { Cookie: cookie }, forceNew: true });
  await new Promise((resolve, reject) => {
    socket.on('connect', () => socket.emit('login', { username, channels: ['ting'], presence: 'batched', messages: false }));
    socket.on('connect_error', reject);
    socket.on('login-response', ({ success, error }) => (success ? resolve() : reject(new Error(error))));
  });
  return socket;
}

/** Begins a message, and leaves it unsent. */
export function begins(socket, text, target = 'ting', type = 'channel') {
  return socket.emitWithAck('post-message', { type, target, text, key: `${socket.id} ${text.length}` });
}
