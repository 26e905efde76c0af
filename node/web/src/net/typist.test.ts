import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Typist, type Saved } from './typist';
import { answer, type Answer } from './wire';

const TING = { type: 'channel', target: 'ting' } as const;

interface Sent {
  readonly operation: 'post' | 'patch';
  readonly body: Record<string, unknown>;
  answer(body: object): Promise<void>;
  lose(): Promise<void>;
}

/** A server that answers when the test says so. */
class FakeServer {
  readonly all: Sent[] = [];

  post = (body: object) => this.take('post', body);
  patch = (body: object) => this.take('patch', body);

  get last(): Sent {
    return this.all.at(-1)!;
  }

  get texts() {
    return this.all.map(({ body }) => body['text']);
  }

  private take(operation: 'post' | 'patch', body: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.all.push({
        operation,
        body: body as Record<string, unknown>,
        answer: async (given) => (resolve(answer(given)), settle()),
        lose: async () => (reject(new Error('lost')), settle()),
      });
    });
  }
}

const settle = async () => {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
};

let server: FakeServer;
let keys: number;

function typist(saved?: Saved): Typist {
  const made = new Typist(TING, server, () => {}, () => `key-${(keys += 1)}`, 0, saved);
  made.resume();
  return made;
}

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  keys = 0;
});
afterEach(() => vi.useRealTimers());

describe('typing', () => {
  it('asks for a place with the first letter, and shows the newest text once it has one', async () => {
    const ada = typist();
    ada.type('h');
    ada.type('he');
    expect(server.texts).toEqual(['h']);
    await server.last.answer({ status: 200, messageid: 7, claim: 'c' });
    vi.advanceTimersByTime(50);
    expect(server.last.operation).toBe('patch');
    expect(server.last.body).toMatchObject({ messageid: 7, claim: 'c', key: 'key-1', text: 'he', typing: true });
  });

  it('does not wait for an answer before it shows the next letters', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7 });
    for (const text of ['he', 'hel', 'hell']) {
      vi.advanceTimersByTime(50);
      ada.type(text);
    }
    vi.advanceTimersByTime(50);
    expect(server.texts).toEqual(['h', 'he', 'hel', 'hell']);
  });

  it('counts each change, so that connections may overtake each other', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7 });
    vi.advanceTimersByTime(50);
    ada.type('he');
    const [first, second] = server.all.map(({ body }) => Number(body['rev']));
    expect(second).toBeGreaterThan(first!);
  });

  it('goes on under a new id when the old one was typed for too long', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7, claim: 'old' });
    vi.advanceTimersByTime(50);
    ada.type('he');
    await server.last.answer({ status: 200, messageid: 9, claim: 'new' });
    ada.send('hey');
    expect(server.last.body).toMatchObject({ messageid: 9, claim: 'new', typing: false });
  });

  it('shows the same text again after the server had no time', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7 });
    vi.advanceTimersByTime(50);
    ada.type('he');
    await server.last.answer({ status: 503, error: 'unavailable' });
    vi.advanceTimersByTime(500);
    expect(server.texts).toEqual(['h', 'he', 'he']);
  });

  it('starts a new message with the next letter when this one was erased elsewhere', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7 });
    vi.advanceTimersByTime(50);
    ada.type('he');
    await server.last.answer({ status: 404, error: 'not_found' });
    vi.advanceTimersByTime(5_000);
    expect(server.all).toHaveLength(2);
    ada.type('hel');
    expect(server.last.operation).toBe('post');
    expect(server.last.body).toMatchObject({ key: 'key-2', text: 'hel' });
  });

  it('comes back in its old place after the connection was lost', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7, claim: 'c' });
    ada.suspend();
    ada.type('hello');
    expect(server.all).toHaveLength(1);
    ada.resume();
    expect(server.last.operation).toBe('patch');
    expect(server.last.body).toMatchObject({ messageid: 7, claim: 'c', text: 'hello', typing: true });
  });

  it('shows restored text to nobody before its author goes on', async () => {
    const ada = typist({
      key: 'k', id: 7, claim: 'c', rev: 3, begun: true, conversation: TING, text: 'secret', sending: false,
    });
    ada.suspend();
    ada.resume();
    expect(server.all).toHaveLength(0);
    ada.type('secret!');
    expect(server.last.body).toMatchObject({ messageid: 7, claim: 'c', key: 'k', text: 'secret!' });
    expect(Number(server.last.body['rev'])).toBeGreaterThan(3);
  });
});

describe('sending', () => {
  it('types and sends in one request when nothing was shown before', async () => {
    const ada = typist();
    ada.send('hi');
    expect(server.last.operation).toBe('post');
    expect(server.last.body).toMatchObject({ text: 'hi', typing: false, key: 'key-1' });
    await server.last.answer({ status: 200, messageid: 7 });
    expect(ada.phase).toBe('sent');
    expect(ada.id).toBe(7);
  });

  it('repeats an unanswered send with the same key and claim', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7, claim: 'c' });
    ada.send('hi');
    const first = server.last;
    ada.suspend();
    await first.lose();
    expect(ada.phase).toBe('sending');
    ada.resume();
    expect(server.last.body).toMatchObject({ messageid: 7, claim: 'c', key: 'key-1', text: 'hi', typing: false });
    await server.last.answer({ status: 204 });
    expect(ada.phase).toBe('sent');
    expect(server.all).toHaveLength(3);
  });

  it('repeats an unanswered send in one request as exactly that', async () => {
    const ada = typist();
    ada.send('hi');
    ada.suspend();
    await server.last.lose();
    ada.resume();
    expect(server.last.operation).toBe('post');
    expect(server.last.body).toMatchObject({ key: 'key-1', text: 'hi', typing: false });
  });

  it('learns its id first when the start of typing went unanswered', async () => {
    const ada = typist();
    ada.type('h');
    ada.suspend();
    await server.last.lose();
    ada.send('hi');
    ada.resume();
    expect(server.last.body).toMatchObject({ key: 'key-1', typing: true });
    await server.last.answer({ status: 200, messageid: 7, claim: 'c' });
    expect(server.last.operation).toBe('patch');
    expect(server.last.body).toMatchObject({ messageid: 7, typing: false, text: 'hi' });
  });

  it('is kept through a store that is away', async () => {
    const ada = typist();
    ada.send('hi');
    for (let turn = 0; turn < 4; turn += 1) {
      await server.last.answer({ status: 503, error: 'unavailable' });
      vi.advanceTimersByTime(5_000);
    }
    expect(server.all).toHaveLength(5);
    expect(new Set(server.all.map(({ body }) => body['key']))).toEqual(new Set(['key-1']));
    await server.last.answer({ status: 200, messageid: 7 });
    expect(ada.phase).toBe('sent');
  });

  it('is not doubled when the message is gone after an unanswered send', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7, claim: 'c' });
    ada.send('hi');
    ada.suspend();
    await server.last.lose();
    ada.resume();
    await server.last.answer({ status: 404, error: 'not_found' });
    expect(ada.phase).toBe('refused');
    expect(server.all).toHaveLength(3);
  });

  it('starts anew when the message was over before it was sent', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7 });
    ada.send('hi');
    await server.last.answer({ status: 404, error: 'not_found' });
    expect(server.last.operation).toBe('post');
    expect(server.last.body).toMatchObject({ key: 'key-2', text: 'hi', typing: false });
  });

  it('tells why when the server will never take it', async () => {
    const ada = typist();
    ada.send('hi');
    await server.last.answer({ error: 'length' });
    expect(ada.phase).toBe('refused');
    expect(ada.error).toBe('length');
  });
});

describe('erasing', () => {
  it('takes back what is shown', async () => {
    const ada = typist();
    ada.type('h');
    await server.last.answer({ status: 200, messageid: 7, claim: 'c' });
    ada.erase();
    expect(server.last.body).toMatchObject({ messageid: 7, text: '', typing: true });
    await server.last.answer({ status: 204 });
    expect(ada.phase).toBe('erased');
  });

  it('waits for the id when typing has only just begun', async () => {
    const ada = typist();
    ada.type('h');
    ada.erase();
    expect(server.all).toHaveLength(1);
    await server.last.answer({ status: 200, messageid: 7 });
    expect(server.last.body).toMatchObject({ messageid: 7, text: '' });
  });

  it('needs no server when nothing was ever shown', () => {
    const ada = typist();
    ada.erase();
    expect(ada.phase).toBe('erased');
    expect(server.all).toHaveLength(0);
  });
});
