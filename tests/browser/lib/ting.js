// A real `ting` on ports of the system's choice, with a store that is gone afterwards.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** How long a debug build on a busy machine may take until it serves. */
const READY_MS = 60_000;

/** Memory where there is some: these tests are about people, not about a busy disk. */
const STORES = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** What the privileged operations of these tests are asked with. */
const SECRET = 'browser-tests';

export class Ting {
  #child = null;
  #directory;
  #settings;
  #output = [];
  /** The address of the public port, which a restarted one takes again. */
  url = null;
  admin = null;

  /** `settings` are variables of its environment that name its store; without them it has one of its own. */
  static async start(settings = null) {
    const binary = process.env.TING_BIN;
    if (!binary) throw new Error('TING_BIN must name a built ting');
    const directory = await mkdtemp(join(STORES, 'ting-browser-'));
    const ting = new Ting(directory, settings ?? { TING_STORE__PATH: join(directory, 'ting.db') });
    await ting.#start('127.0.0.1:0');
    return ting;
  }

  constructor(directory, settings) {
    this.#directory = directory;
    this.#settings = settings;
  }

  /** Starts again after `kill`, where it was and with what it had stored. */
  async restart() {
    await this.#start(new URL(this.url).host);
  }

  /** Ends it as a power cut would. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** Ends it as a rolling restart would: it tells its connections to go, and goes. */
  async goes() {
    await this.#end('SIGTERM');
  }

  /** It hangs, as a machine does that is out of breath. */
  pauses() {
    this.#child.kill('SIGSTOP');
  }

  continues() {
    this.#child.kill('SIGCONT');
  }

  async stop() {
    await this.#end('SIGKILL');
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Writes a message as a privileged service would. */
  async say(username, text, type = 'channel', target = 'ting') {
    const response = await fetch(`${this.url}/restapi/v1/messages/${type}/${encodeURIComponent(target)}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: SECRET },
      body: JSON.stringify({ username, text, typing: false, datetime_start: Date.now() }),
    });
    if (!response.ok) throw new Error(`saying was refused: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Signs somebody in without a browser: their cookie. */
  async signIn(username) {
    const response = await fetch(`${this.url}/restapi/v1/sessions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username }),
    });
    if (!response.ok) throw new Error(`sign-in was refused: ${response.status} ${await response.text()}`);
    return response.headers.getSetCookie().map((cookie) => cookie.split(';')[0]).join('; ');
  }

  #start(listen) {
    const child = spawn(process.env.TING_BIN, [], {
      cwd: this.#directory,
      env: {
        ...process.env,
        TING_HTTP__LISTEN: listen,
        TING_ADMIN__LISTEN: '127.0.0.1:0',
        TING_API__SECRET: SECRET,
        TING_LOG__FORMAT: 'json',
        ...this.#settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    running.add(child);
    child.on('exit', () => running.delete(child));
    const note = (line) => {
      this.#output.push(line);
      if (this.#output.length > 50) this.#output.shift();
    };
    createInterface({ input: child.stderr }).on('line', note);
    return new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`ting ${why}:\n${this.#output.join('\n')}`));
      const late = setTimeout(() => fail('was not ready in time'), READY_MS);
      child.on('exit', (code) => fail(`ended with ${code}`));
      child.on('error', (error) => fail(String(error)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        note(line);
        const event = parse(line);
        if (event.message === 'listening') {
          this.url = `http://${event['http.listen']}`;
          this.admin = `http://${event['admin.listen']}`;
        }
        if (event.message === 'ready') {
          clearTimeout(late);
          resolve();
        }
      });
    });
  }

  #end(signal) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.on('exit', resolve);
      child.kill(signal);
    });
  }
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

// A test run that is itself ended leaves nothing running.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
