// What stands between people and nodes.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * One address before several nodes, as a load balancer has: each connection goes to the first
 * node in its order that says it is ready.
 */
export class Front {
  #server;
  #open = new Set();
  #swallowed = null;

  static async open(order) {
    const front = new Front();
    front.#server = createServer({ pauseOnConnect: true }, (socket) => void front.#carry(socket, order()));
    // Tests that never began have nobody who closes it.
    front.#server.unref().listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  close() {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  /**
   * Cuts all connections; the next one is accepted, and never answered. Resolves with how long
   * its client has waited, in milliseconds, when it gives up; what comes then is carried again.
   */
  swallows() {
    return new Promise((resolve) => {
      this.#swallowed = resolve;
      for (const socket of this.#open) socket.destroy();
    });
  }

  async #carry(socket, nodes) {
    const given = this.#swallowed;
    if (given) {
      const since = Date.now();
      socket.on('error', () => undefined).on('close', () => {
        this.#swallowed = null;
        given(Date.now() - since);
      });
      socket.resume();
      return;
    }
    const ends = [socket];
    const end = () => {
      for (const one of ends) {
        this.#open.delete(one);
        one.destroy();
      }
    };
    const joins = (one) => {
      this.#open.add(one);
      one.on('close', end).on('error', end);
    };
    joins(socket);
    for (const node of nodes) {
      if ((await ask(node, '/readyz')) === null) continue;
      if (socket.destroyed) return;
      const { hostname, port } = new URL(node.url);
      const there = connect(Number(port), hostname);
      ends.push(there);
      joins(there);
      socket.pipe(there).pipe(socket);
      return;
    }
    end();
  }
}

/** What a node tells its operators; null when it does not. */
export async function ask(node, path) {
  try {
    const answer = await fetch(node.admin + path);
    const text = await answer.text();
    return answer.ok ? (text.startsWith('{') ? JSON.parse(text) : text) : null;
  } catch {
    return null;
  }
}
