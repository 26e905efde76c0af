// The connection: opened, signed in on, lost, opened again.
//
// One socket at a time. It is `online` once the server has accepted the login, which also enters
// the channels named in it. A request is answered, or rejected with `Unanswered` when its
// connection is gone: whoever asked asks again on the next one.

import type { Conversation } from '../model';
import type { Event } from '../state/state';
import type { Transport } from './transport';
import * as wire from './wire';

/** The connection went before the answer came: the outcome is unknown. */
export class Unanswered extends Error {}

/** How long an answer may take on a socket that looks alive; the server itself answers within 2 s. */
const ANSWER_MS = 8_000;

/** The first pause before connecting anew, and the longest; each is drawn at random up to its bound. */
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 4_000;

export interface LinkEvents {
  online(people: string[]): void;
  /** The connection went; another one is tried. */
  lost(): void;
  /** The server did not accept who we are. */
  refused(error: string): void;
  /** The node is going; the connection moves in a moment. */
  moving(): void;
  told(event: Event): void;
}

interface Request {
  reject(error: Unanswered): void;
}

export class Link {
  private wanted: { username: string; channels: () => string[] } | null = null;
  private phase: 'closed' | 'opening' | 'online' = 'closed';
  private failures = 0;
  private pause: ReturnType<typeof setTimeout> | null = null;
  private readonly requests = new Set<Request>();

  constructor(
    private readonly transport: Transport,
    private readonly events: LinkEvents,
    private readonly random: () => number = Math.random,
  ) {
    transport.on('connect', () => this.logIn());
    transport.on('connect_error', () => this.gone());
    transport.on('disconnect', () => this.gone());
    transport.on('login-response', (body) => this.loggedIn(wire.object(body)));
    transport.on('drain', (body) => this.drain(wire.object(body)));
    transport.on('presence', (body) => {
      const { joined, parted } = wire.object(body);
      this.told({ kind: 'presence', joined: wire.strings(joined), parted: wire.strings(parted) });
    });
    transport.on('update-typing-messages', (body) => {
      for (const { conversation, updates } of wire.updates(body, this.wanted?.username ?? '')) {
        this.told({ kind: 'updates', conversation, updates, at: Date.now() });
      }
    });
    transport.on('cursor', (body) => {
      const cursor = wire.cursor(body, this.wanted?.username ?? '');
      if (cursor) this.told({ kind: 'cursor', ...cursor });
    });
  }

  /** Connects as `username`, and keeps at it until `close`. */
  open(username: string, channels: () => string[]): void {
    this.close();
    this.wanted = { username, channels };
    this.connect();
  }

  close(): void {
    this.wanted = null;
    this.clearPause();
    this.phase = 'closed';
    this.failures = 0;
    this.transport.disconnect();
    this.abandon();
  }

  get online(): boolean {
    return this.phase === 'online';
  }

  /** Tries at once: the network is back, or somebody looks again. */
  hurry(): void {
    if (this.wanted && this.phase === 'closed' && this.pause !== null) this.connect();
  }

  /** Asks over the socket; rejects with `Unanswered` when the connection is or goes away. */
  request(name: string, body: unknown): Promise<unknown> {
    if (this.phase !== 'online') return Promise.reject(new Unanswered('not connected'));
    return new Promise((resolve, reject) => {
      const request: Request = { reject };
      // A socket that does not answer is as good as gone, and only a new one brings certainty.
      const late = setTimeout(() => this.renew(), ANSWER_MS);
      const done = () => {
        clearTimeout(late);
        this.requests.delete(request);
      };
      request.reject = (error) => {
        done();
        reject(error);
      };
      this.requests.add(request);
      this.transport.emit(name, body, (answer) => {
        done();
        resolve(answer);
      });
    });
  }

  enter(conversation: Conversation): Promise<unknown> {
    return this.request('enter', { type: conversation.type, target: conversation.target });
  }

  leave(conversation: Conversation): Promise<unknown> {
    return this.request('leave', { type: conversation.type, target: conversation.target });
  }

  /** Before the login is accepted nothing that arrives is for us. */
  private told(event: Event): void {
    if (this.phase === 'online') this.events.told(event);
  }

  private connect(): void {
    this.clearPause();
    this.phase = 'opening';
    this.transport.connect();
  }

  private logIn(): void {
    if (!this.wanted) return;
    this.clearPause();
    this.pause = setTimeout(() => this.renew(), ANSWER_MS);
    this.transport.emit('login', {
      username: this.wanted.username,
      channels: this.wanted.channels(),
      presence: 'batched',
      messages: false,
      resume: true,
    });
  }

  private loggedIn(body: Record<string, unknown>): void {
    if (!this.wanted || this.phase !== 'opening') return;
    this.clearPause();
    if (body['success'] === true) {
      this.phase = 'online';
      this.failures = 0;
      this.events.online(wire.strings(body['people']));
      return;
    }
    const error = String(body['error'] ?? 'taken');
    this.close();
    this.events.refused(error);
  }

  /** The node is going: there is time to finish, then another one is found. */
  private drain(body: Record<string, unknown>): void {
    if (this.phase !== 'online' || this.pause !== null) return;
    const after = typeof body['after_ms'] === 'number' ? body['after_ms'] : 0;
    this.events.moving();
    this.pause = setTimeout(() => {
      this.pause = null;
      this.renew();
    }, after);
  }

  /** Ends the connection and opens another at once. */
  private renew(): void {
    if (!this.wanted) return;
    this.clearPause();
    this.phase = 'closed';
    this.transport.disconnect();
    this.abandon();
    this.events.lost();
    this.connect();
  }

  private gone(): void {
    if (!this.wanted || this.phase === 'closed') return;
    this.phase = 'closed';
    this.abandon();
    this.events.lost();
    this.clearPause();
    // Everybody lost the same node at the same time: they come back spread out.
    const bound = Math.min(PAUSE_MS * 2 ** this.failures, PAUSE_MS_MAX);
    this.failures += 1;
    this.pause = setTimeout(() => this.connect(), bound * (0.5 + this.random() / 2));
  }

  private abandon(): void {
    for (const request of this.requests) request.reject(new Unanswered('the connection is gone'));
  }

  private clearPause(): void {
    if (this.pause !== null) clearTimeout(this.pause);
    this.pause = null;
  }
}
