import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Event } from '../state/state';
import { Link, Unanswered } from './link';
import type { Transport } from './transport';

class FakeTransport implements Transport {
  connects = 0;
  disconnects = 0;
  readonly emitted: { event: string; body: unknown; ack?: (answer: unknown) => void }[] = [];
  private readonly listeners = new Map<string, (body: unknown) => void>();

  connect() {
    this.connects += 1;
  }
  disconnect() {
    this.disconnects += 1;
  }
  emit(event: string, body: unknown, ack?: (answer: unknown) => void) {
    this.emitted.push({ event, body, ...(ack ? { ack } : {}) });
  }
  on(event: string, listener: (body: unknown) => void) {
    this.listeners.set(event, listener);
  }
  hears(event: string, body?: unknown) {
    this.listeners.get(event)!(body);
  }
}

let transport: FakeTransport;
let log: string[];
let told: Event[];
let link: Link;

beforeEach(() => {
  vi.useFakeTimers();
  transport = new FakeTransport();
  log = [];
  told = [];
  link = new Link(transport, {
    online: (people) => log.push(`online ${people.join()}`),
    lost: () => log.push('lost'),
    refused: (error) => log.push(`refused ${error}`),
    moving: () => log.push('moving'),
    told: (event) => told.push(event),
  }, () => 1);
});
afterEach(() => vi.useRealTimers());

function online() {
  link.open('ada', () => ['ting', 'rust']);
  transport.hears('connect');
  transport.hears('login-response', { success: true, people: ['ada'] });
}

describe('the link', () => {
  it('logs in with its channels, and is online once that is accepted', () => {
    online();
    expect(transport.emitted[0]).toMatchObject({
      event: 'login',
      body: { username: 'ada', channels: ['ting', 'rust'], presence: 'batched', messages: false, resume: true },
    });
    expect(log).toEqual(['online ada']);
  });

  it('comes back after growing pauses', () => {
    online();
    transport.hears('disconnect', 'transport close');
    expect(log.at(-1)).toBe('lost');
    vi.advanceTimersByTime(250);
    expect(transport.connects).toBe(2);
    transport.hears('connect_error', new Error('refused'));
    vi.advanceTimersByTime(499);
    expect(transport.connects).toBe(2);
    vi.advanceTimersByTime(1);
    expect(transport.connects).toBe(3);
  });

  it('does not wait when somebody looks again', () => {
    online();
    transport.hears('disconnect');
    link.hurry();
    expect(transport.connects).toBe(2);
    vi.advanceTimersByTime(10_000);
    expect(transport.connects).toBe(2);
  });

  it('rejects what it was asked on a connection that is gone', async () => {
    online();
    const asked = link.request('post-message', {});
    transport.hears('disconnect');
    await expect(asked).rejects.toBeInstanceOf(Unanswered);
  });

  it('opens another connection when one does not answer', async () => {
    online();
    const asked = link.request('post-message', {});
    const outcome = expect(asked).rejects.toBeInstanceOf(Unanswered);
    await vi.advanceTimersByTimeAsync(8_000);
    await outcome;
    expect(transport.disconnects).toBeGreaterThan(0);
    expect(transport.connects).toBe(2);
  });

  it('opens another connection when the login is not answered', () => {
    link.open('ada', () => []);
    transport.hears('connect');
    vi.advanceTimersByTime(8_000);
    expect(transport.connects).toBe(2);
  });

  it('moves when the node says that it is going', () => {
    online();
    transport.hears('drain', { after_ms: 400 });
    expect(log.at(-1)).toBe('moving');
    expect(transport.connects).toBe(1);
    vi.advanceTimersByTime(400);
    expect(log.at(-1)).toBe('lost');
    expect(transport.connects).toBe(2);
  });

  it('stops when the login is refused', () => {
    link.open('ada', () => []);
    transport.hears('connect');
    transport.hears('login-response', { success: false, error: 'taken' });
    transport.hears('disconnect');
    vi.advanceTimersByTime(60_000);
    expect(log).toEqual(['refused taken']);
    expect(transport.connects).toBe(1);
  });

  it('names a private after the other person, whoever wrote', () => {
    online();
    const entry = { text: 'x', typing: true, datetime_start: 1, type: 'user' };
    transport.hears('update-typing-messages', { 7: { ...entry, username: 'bob', target: 'ada' } });
    transport.hears('update-typing-messages', { 8: { ...entry, username: 'ada', target: 'bob' } });
    expect(told.map((event) => event.kind === 'updates' && event.conversation.target)).toEqual(['bob', 'bob']);
  });

  it('passes over what it does not understand', () => {
    online();
    for (const body of [null, 7, [], { x: {} }, { 7: { text: 7 } }, { 7: null }]) {
      transport.hears('update-typing-messages', body);
      transport.hears('cursor', body);
    }
    expect(told).toEqual([]);
  });
});
