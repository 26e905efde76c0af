import { beforeEach, describe, expect, it } from 'vitest';
import { Outbox, type Shelf } from './outbox';
import type { Phase } from './typist';
import { answer, type Answer } from './wire';

const TING = { type: 'channel', target: 'ting' } as const;
const BOB = { type: 'user', target: 'bob' } as const;

class MapShelf implements Shelf {
  readonly all = new Map<string, string>();
  get = (name: string) => this.all.get(name) ?? null;
  set = (name: string, value: string | null) => void (value === null ? this.all.delete(name) : this.all.set(name, value));
  names = (prefix: string) => [...this.all.keys()].filter((name) => name.startsWith(prefix));
}

let shared: MapShelf;
let own: MapShelf;
let bodies: Record<string, unknown>[];
let phases: Phase[];
let answers: (() => Promise<Answer>)[];
let keys = 0;

const lost = () => Promise.reject(new Error('lost'));

function outbox(live = true, ownShelf = own): Outbox {
  const ask = (body: object) => {
    bodies.push(body as Record<string, unknown>);
    return (answers.shift() ?? (() => Promise.resolve(answer({ status: 200, messageid: 7, claim: 'c' }))))();
  };
  return new Outbox(
    'ada', { post: ask, patch: ask }, { changed: ({ phase }) => phases.push(phase) }, shared, ownShelf, live,
    () => `key-${(keys += 1)}`, () => 0,
  );
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  shared = new MapShelf();
  own = new MapShelf();
  bodies = [];
  phases = [];
  answers = [];
});

describe('drafts', () => {
  it('are kept for each conversation, through a reload', () => {
    const first = outbox();
    first.type(TING, 'hello');
    first.type(BOB, 'psst');
    const second = outbox();
    expect(second.draft(TING)).toBe('hello');
    expect(second.draft(BOB)).toBe('psst');
  });

  it('are gone once sent', () => {
    const box = outbox();
    box.type(TING, 'hello');
    box.send(TING, 'hello');
    expect(box.draft(TING)).toBe('');
  });

  it('go on in their place after a reload, with the next letter', async () => {
    const first = outbox();
    first.resume();
    first.type(TING, 'hel');
    await settle();
    const second = outbox();
    second.resume();
    expect(bodies).toHaveLength(1);
    second.type(TING, 'hell');
    expect(bodies.at(-1)).toMatchObject({ messageid: 7, claim: 'c', text: 'hell' });
  });

  it('of another tab become a message of their own', async () => {
    const first = outbox();
    first.resume();
    first.type(TING, 'hel');
    await settle();
    const second = outbox(true, new MapShelf());
    second.resume();
    second.type(TING, 'hell');
    expect(bodies.at(-1)).not.toHaveProperty('messageid');
  });

  it('of another person of a similar name are left alone', () => {
    outbox().type(TING, 'hello');
    shared.set('draft/ada%2Fb/channel/ting', 'other');
    outbox().forget();
    expect([...shared.all.keys()]).toEqual(['draft/ada%2Fb/channel/ting']);
  });
});

describe('the switch', () => {
  it('shows nothing before it is sent when it is off', () => {
    const box = outbox(false);
    box.resume();
    box.type(TING, 'hello');
    expect(bodies).toEqual([]);
    box.send(TING, 'hello');
    expect(bodies).toHaveLength(1);
    expect(bodies[0]).toMatchObject({ text: 'hello', typing: false });
    expect(bodies[0]).toHaveProperty('key');
  });

  it('takes back what is shown when it is turned off', async () => {
    const box = outbox();
    box.resume();
    box.type(TING, 'hello');
    await settle();
    box.setLive(false);
    expect(bodies.at(-1)).toMatchObject({ messageid: 7, text: '' });
    await settle();
    box.send(TING, 'hello there');
    expect(bodies.at(-1)).toMatchObject({ text: 'hello there', typing: false });
    expect(bodies.at(-1)).not.toHaveProperty('messageid');
  });
});

describe('sends', () => {
  it('wait for the connection, in the order they were made', async () => {
    const box = outbox();
    box.send(TING, 'one');
    box.send(TING, 'two');
    expect(bodies).toEqual([]);
    box.resume();
    await settle();
    expect(bodies.map(({ text }) => text)).toEqual(['one', 'two']);
    expect(phases.filter((phase) => phase === 'sent')).toHaveLength(2);
  });

  it('survive a reload and are not doubled by it', async () => {
    answers = [lost];
    const first = outbox();
    first.resume();
    first.send(TING, 'one');
    await settle();
    const second = outbox();
    second.resume();
    await settle();
    expect(bodies.map(({ key }) => key)).toEqual([bodies[0]!['key'], bodies[0]!['key']]);
    expect(shared.names('sending/')).toEqual([]);
  });
});

it('erases what is blank', async () => {
  const box = outbox();
  box.resume();
  box.type(TING, 'x');
  await settle();
  box.type(TING, ' ');
  expect(bodies.at(-1)).toMatchObject({ messageid: 7, text: '' });
});

it('shows no more than a message may hold', async () => {
  const box = outbox();
  box.resume();
  box.type(TING, 'x'.repeat(2_001));
  expect(bodies).toEqual([]);
});
