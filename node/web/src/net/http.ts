// The RESTful side: every URL the client asks for, and what can come back.

import { type Conversation, type Message, type Private, type Profile } from '../model';
import * as wire from './wire';

/** The server refused, and said why. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly fields: Readonly<Record<string, string>> = {},
  ) {
    super(`refused: ${status} ${code}`);
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

/** How long an answer may take; the server answers within 2 s, a slow phone's way is as long again. */
const ANSWER_MS = 8_000;

/** How many messages a page of history has. */
export const PAGE = 100;

export interface HistoryPage {
  readonly messages: Message[];
  readonly more: boolean;
}

export interface ProfileChange {
  email?: string;
  password?: string;
  birthday?: string;
  gender?: string;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export class Http {
  constructor(private readonly fetch: Fetch = (url, init) => globalThis.fetch(url, init)) {}

  /** Who this browser is signed in as. */
  async whoAmI(): Promise<string | null> {
    try {
      const { username } = wire.object(await this.json('GET', '/restapi/v1/sessions'));
      return typeof username === 'string' ? username : null;
    } catch (error) {
      if (error instanceof Refusal && error.status === 403) return null;
      throw error;
    }
  }

  async signIn(username: string, password: string): Promise<string> {
    const body = password === '' ? { username } : { username, password };
    const answer = wire.object(await this.json('POST', '/restapi/v1/sessions', body));
    return typeof answer['username'] === 'string' ? answer['username'] : username;
  }

  async signOut(): Promise<void> {
    await this.ask('DELETE', '/restapi/v1/sessions');
  }

  async history(
    { type, target }: Conversation,
    range: { lim?: number; before?: number; after?: number } = {},
  ): Promise<HistoryPage> {
    const query = new URLSearchParams({ lim: String(range.lim ?? PAGE) });
    if (range.before !== undefined) query.set('before', String(range.before));
    if (range.after !== undefined) query.set('after', String(range.after));
    const response = await this.ask('GET', `/api/v1/messages/${type}/${encodeURIComponent(target)}?${query}`);
    return {
      messages: wire.messages(await response.json()),
      more: response.headers.get('Ting-More') === 'true',
    };
  }

  async createChannel(name: string): Promise<void> {
    await this.ask('POST', '/api/v1/channels', { name });
  }

  async privates(): Promise<Private[]> {
    return wire.privates(await this.json('GET', '/api/v1/conversations'));
  }

  async markRead({ type, target }: Conversation): Promise<void> {
    await this.ask('POST', '/api/v1/conversations/read', { type, target });
  }

  async profile(username: string): Promise<Profile | null> {
    return wire.profile(await this.json('GET', `/restapi/v1/users/${encodeURIComponent(username)}`));
  }

  async changeProfile(username: string, change: ProfileChange): Promise<void> {
    await this.ask('PATCH', `/restapi/v1/users/${encodeURIComponent(username)}`, change);
  }

  private async json(method: string, url: string, body?: unknown): Promise<unknown> {
    return (await this.ask(method, url, body)).json();
  }

  private async ask(method: string, url: string, body?: unknown): Promise<Response> {
    let response: Response;
    try {
      response = await this.fetch(url, {
        method,
        credentials: 'same-origin',
        cache: 'no-store',
        signal: AbortSignal.timeout(ANSWER_MS),
        ...(body === undefined
          ? {}
          : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new Unreachable(String(error));
    }
    if (response.ok) return response;
    const refusal = wire.object(await response.json().catch(() => ({})));
    const fields = Object.entries(wire.object(refusal['fields'])).map(([name, code]) => [name, String(code)]);
    throw new Refusal(response.status, String(refusal['error'] ?? 'unavailable'), Object.fromEntries(fields));
  }
}
