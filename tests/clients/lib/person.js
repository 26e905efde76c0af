// A person whose client is one of socket.io's own, and knows the seed's protocol alone: types
// by HTTP with a cookie, and hears by events.

import v2 from 'socket.io-client-2';
import v3 from 'socket.io-client-3';
import v4 from 'socket.io-client-4';

/** The one limit on every wait. */
const LIMIT_MS = 20_000;

const CLIENTS = { 2: v2, 3: v3, 4: v4 };

/** Every client that is tested, over every transport. */
export const KINDS = Object.keys(CLIENTS).flatMap((version) =>
  ['websocket', 'polling'].map((transport) => ({ version, transport })),
);

const online = new Set();

/** Ends everybody's client, so that a test that failed does not wait for them. */
export function everybodyLeaves() {
  for (const person of online) person.leaves();
}

export class Person {
  /** Everything heard so far, `[name, argument]`. */
  heard = [];
  /** How often the client has logged in. */
  logins = 0;
  #waiting = new Set();

  /** Signs in, connects and logs in. */
  static async arrives(url, start, kind) {
    const username = `${start}-${crypto.randomUUID().slice(0, 10)}`;
    const response = await fetch(`${url}/restapi/v1/sessions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username }),
    });
    if (!response.ok) throw new Error(`sign-in: ${response.status} ${await response.text()}`);
    const person = new Person(url, username, (await response.json()).ting_auth, kind);
    await person.until('the login', () => person.logins > 0);
    return person;
  }

  constructor(url, username, auth, { version, transport }) {
    Object.assign(this, { url, username, auth });
    this.socket = CLIENTS[version](url, {
      transports: [transport],
      forceNew: true,
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
    });
    online.add(this);
    // Said in the instant the client is connected, each time it is.
    this.socket.on('connect', () => {
      this.socket.emit('login', { username, ting_auth: auth });
    });
    for (const name of ['login-response', 'join', 'part', 'message', 'update-typing-messages']) {
      this.socket.on(name, (...args) => {
        if (args.length !== 1) throw new Error(`${name} came with ${args.length} arguments`);
        this.heard.push([name, args[0]]);
        if (name === 'login-response' && args[0].success) this.logins += 1;
        for (const look of this.#waiting) look();
      });
    }
  }

  leaves() {
    online.delete(this);
    this.socket.close();
  }

  /** Loses the connection under the client's feet; it comes back by itself. */
  stumbles() {
    this.socket.io.engine.close();
  }

  /** Waits until what was heard shows something. */
  until(what, shows) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const shown = shows(this.heard);
        if (!shown) return;
        clearTimeout(late);
        this.#waiting.delete(look);
        resolve(shown);
      };
      const late = setTimeout(() => {
        this.#waiting.delete(look);
        const last = JSON.stringify(this.heard.slice(-8), null, 1);
        reject(new Error(`${what}: not within ${LIMIT_MS} ms; last heard: ${last}`));
      }, LIMIT_MS);
      this.#waiting.add(look);
      look();
    });
  }

  hears(name, username) {
    return this.until(`${name} of ${username}`, (heard) =>
      heard.some(([event, argument]) => event === name && argument === username),
    );
  }

  /** Waits until a message is shown with this text. */
  sees(messageid, text, typing = true) {
    return this.until(`${messageid} as ${JSON.stringify(text)}`, (heard) => {
      const shown = heard.filter(([name, entries]) => {
        return name === 'update-typing-messages' && messageid in entries;
      });
      const entry = shown.at(-1)?.[1][messageid];
      return entry?.text === text && (text === '' || entry.typing === typing) && entry;
    });
  }

  isTold(text) {
    return this.until(`the message ${JSON.stringify(text)}`, (heard) => {
      const told = heard.find(([name, message]) => name === 'message' && message.text === text);
      return told?.[1];
    });
  }

  /** Begins a message; its id. */
  async types(text, type = 'channel', target = 'ting') {
    const response = await this.#asks('POST', '/api/v1/message', { type, target, text });
    return { ...(await response.json()), type, target };
  }

  /** Types on, sends, or erases with blank text. */
  async patches({ messageid, type, target }, text, typing = true) {
    await this.#asks('PATCH', '/api/v1/message', { messageid, type, target, text, typing });
  }

  async reads(type, target) {
    const path = `/restapi/v1/messages/${type}/${encodeURIComponent(target)}`;
    return (await this.#asks('GET', path)).json();
  }

  async #asks(method, path, body) {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        Cookie: `ting_auth=${this.auth}`,
        ...(body && { 'Content-Type': 'application/json' }),
      },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}
