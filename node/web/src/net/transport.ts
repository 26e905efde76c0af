// What the networking needs of a socket. Tests bring their own; the page brings socket.io.

import { io } from 'socket.io-client';

export interface Transport {
  connect(): void;
  disconnect(): void;
  /** `ack` is called with the server's answer, at most once. */
  emit(event: string, body: unknown, ack?: (answer: unknown) => void): void;
  on(event: string, listener: (body: unknown) => void): void;
}

/** How long a connection may take to open before another is tried; a person notices more. */
const CONNECT_MS = 3_000;

export function socketIo(): Transport {
  const socket = io({
    autoConnect: false,
    // `Link` reconnects: it knows when the laptop woke and when a node is going.
    reconnection: false,
    timeout: CONNECT_MS,
    transports: ['websocket', 'polling'],
    tryAllTransports: true,
  });
  return {
    connect: () => void socket.connect(),
    disconnect: () => void socket.disconnect(),
    emit: (event, body, ack) => void (ack ? socket.emit(event, body, ack) : socket.emit(event, body)),
    on: (event, listener) => void socket.on(event, listener),
  };
}
