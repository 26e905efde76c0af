import { describe, expect, it } from 'vitest';
import { keyOf, type Conversation, type Message } from '../model';
import { INITIAL, reduce } from './reducer';
import { callsOf, conversationsOf, rowsOf } from './select';
import type { Event, Own, State } from './state';

const TING: Conversation = { type: 'channel', target: 'ting' };
const RUST: Conversation = { type: 'channel', target: 'rust' };
const BOB: Conversation = { type: 'user', target: 'bob' };

function after(...events: Event[]): State {
  const start: Event[] = [
    { kind: 'signed-in', username: 'ada', channels: ['ting', 'rust'] },
    { kind: 'opened', conversation: TING },
    { kind: 'link', phase: 'online' },
  ];
  return [...start, ...events].reduce(reduce, INITIAL);
}

function update(id: number, text: string, typing = true, username = 'bob', conversation = TING): Event {
  return { kind: 'updates', conversation, updates: [{ id, text, typing, username, datetime_start: id }], at: 1_000 + id };
}

function sent(id: number, text: string, username = 'bob'): Message {
  return { id, text, username, typing: false, datetime_start: id, datetime_sent: id };
}

function ghost(id: number, text: string, username = 'bob'): Message {
  return { ...sent(id, text, username), typing: true, datetime_sent: null };
}

function page(span: 'newest' | 'older' | 'since', messages: Message[], more = false): Event {
  return { kind: 'page', conversation: TING, page: { span, messages, more } };
}

const shown = (state: State, conversation = TING) =>
  state.rooms.get(keyOf(conversation))!.timeline.messages.map(({ id, text, typing }) => (typing ? `${id} ${text}…` : `${id} ${text}`));

const room = (state: State, conversation = TING) => state.rooms.get(keyOf(conversation))!;

describe('places', () => {
  it('are kept in the order people began, also when the later one sends first', () => {
    const state = after(update(1, 'he'), update(2, 'hi', true, 'eve'), update(2, 'hi', false, 'eve'), update(1, 'hello', false));
    expect(shown(state)).toEqual(['1 hello', '2 hi']);
  });

  it('are given up without a trace when a message is erased', () => {
    expect(shown(after(update(1, 'he'), update(1, '')))).toEqual([]);
  });

  it('are taken again by a message that its author brought back', () => {
    expect(shown(after(update(2, 'b'), update(1, 'a'), update(1, ''), update(1, 'again')))).toEqual(['1 again…', '2 b…']);
  });
});

describe('history and live updates', () => {
  it('agree on a message that both have', () => {
    expect(shown(after(update(2, 'he'), page('newest', [ghost(2, 'h'), sent(1, 'a')])))).toEqual(['1 a', '2 he…']);
  });

  it('do not bring an erased message back', () => {
    expect(shown(after(update(2, 'he'), update(2, ''), page('newest', [ghost(2, 'h'), sent(1, 'a')])))).toEqual(['1 a']);
  });

  it('do not turn a sent message into one being typed', () => {
    expect(shown(after(update(2, 'hey', false), page('newest', [ghost(2, 'he')])))).toEqual(['2 hey']);
  });

  it('show a message as sent that history knows as sent', () => {
    expect(shown(after(update(2, 'he'), page('newest', [sent(2, 'hey')])))).toEqual(['2 hey']);
  });

  it('put older pages before the rest, and know whether there are more', () => {
    const state = after(page('newest', [sent(5, 'e'), sent(4, 'd')], true), page('older', [sent(3, 'c')], false));
    expect(shown(state)).toEqual(['3 c', '4 d', '5 e']);
    expect(room(state).timeline.more).toBe(false);
  });

  it('leave what is older than the first page to the next one', () => {
    const state = after(page('newest', [sent(5, 'e')], true), update(2, 'late', false));
    expect(shown(state)).toEqual(['5 e']);
  });
});

describe('a lost connection', () => {
  it('dims what was being typed, and keeps what was sent', () => {
    const state = after(update(1, 'a', false), update(2, 'b'), { kind: 'link', phase: 'lost' });
    expect(room(state).timeline.messages.map(({ stale }) => stale ?? false)).toEqual([false, true]);
  });

  it('is caught up with: missed messages come, and ghosts that ended go', () => {
    const state = after(
      page('newest', [sent(1, 'a')]),
      update(2, 'gone'),
      update(3, 'still'),
      { kind: 'cursor', conversation: TING, low: 2 },
      { kind: 'link', phase: 'lost' },
      { kind: 'link', phase: 'online' },
      update(3, 'still here'),
      page('since', [sent(5, 'new'), ghost(3, 'still he'), sent(2.5, 'placed before')]),
    );
    expect(shown(state)).toEqual(['1 a', '2.5 placed before', '3 still here…', '5 new']);
    expect(room(state).low).toBe(2);
  });

  it('is caught up with from where it was lost, though the first attempt fails', () => {
    const lost = after(
      page('newest', [sent(1, 'a')]),
      { kind: 'cursor', conversation: TING, low: 2 },
      { kind: 'link', phase: 'lost' },
      { kind: 'link', phase: 'online' },
      { kind: 'cursor', conversation: TING, low: 90 },
    );
    expect(room(lost).low).toBe(2);
    const back = [page('older', []), page('since', [sent(5, 'new')])].reduce(reduce, lost);
    expect(room(reduce(back, { kind: 'cursor', conversation: TING, low: 90 })).low).toBe(90);
  });

  it('shows a long gap from its newest end, to be read upwards', () => {
    const state = after(
      page('newest', [sent(1, 'a')]),
      { kind: 'link', phase: 'lost' },
      { kind: 'link', phase: 'online' },
      page('newest', [sent(900, 'y'), sent(901, 'z')], true),
    );
    expect(shown(state)).toEqual(['900 y', '901 z']);
    expect(room(state).timeline.more).toBe(true);
  });

  it('lets conversations nobody looks at be read again', () => {
    const state = after(update(1, 'a', true, 'bob', RUST), { kind: 'link', phase: 'lost' });
    expect(shown(state, RUST)).toEqual([]);
    expect(room(state, RUST).reading).toBe('unread');
  });
});

describe('what is said aloud', () => {
  it('misses nothing that others send in one frame, and begins anew with each look', () => {
    const heard = after(update(1, 'ok', false), update(2, 'elsewhere', false, 'bob', RUST), update(3, 'ok', false));
    expect(room(heard).heard.map(({ id }) => id)).toEqual([1, 3]);
    expect(room(heard, RUST).heard).toEqual([]);
    const back = [{ kind: 'opened', conversation: RUST } as const, { kind: 'opened', conversation: TING } as const];
    expect(room(back.reduce(reduce, heard)).heard).toEqual([]);
  });
});

describe('unread', () => {
  it('counts what others send where nobody looks, once each', () => {
    const state = after(
      update(1, 'a', true, 'bob', RUST),
      update(1, 'ab', false, 'bob', RUST),
      update(1, 'ab', false, 'bob', RUST),
      update(2, 'mine', false, 'ada', RUST),
    );
    expect(room(state, RUST).unread).toBe(1);
    expect(room(state).unread).toBe(0);
  });

  it('counts in the open conversation too while the window is not looked at', () => {
    const away = after({ kind: 'attention', attentive: false }, update(1, 'a', false));
    expect(room(away).unread).toBe(1);
    expect(room(away).firstUnread).toBe(1);
    expect(room(reduce(away, { kind: 'attention', attentive: true })).unread).toBe(0);
  });

  it('calls for privates and mentions, not for the rest', () => {
    const state = after(
      update(1, 'hi', false, 'bob', BOB),
      update(2, 'nothing special', false, 'bob', RUST),
    );
    expect(callsOf(state)).toBe(1);
    expect(callsOf(reduce(state, update(3, 'hey @ada!', false, 'bob', RUST)))).toBe(2);
    expect(callsOf(reduce(state, update(3, 'canada', false, 'bob', RUST)))).toBe(1);
  });

  it('is taken from the server for privates that came while one was away', () => {
    const state = after({ kind: 'privates', privates: [{ target: 'bob', datetime_sent: 5, unread: 3 }] });
    expect(conversationsOf(state).at(-1)).toMatchObject({ conversation: BOB, unread: 3 });
  });
});

describe('conversations', () => {
  it('are channels by name, then privates by their latest message', () => {
    const state = after(
      update(1, 'a', false, 'zoe', { type: 'user', target: 'zoe' }),
      update(2, 'b', false, 'bob', BOB),
    );
    expect(conversationsOf(state).map(({ conversation }) => conversation.target)).toEqual(['ting', 'rust', 'bob', 'zoe']);
  });

  it('leave no trace of a private that was typed and erased', () => {
    const typing = after(update(1, 'psst', true, 'bob', BOB));
    expect(conversationsOf(typing).at(-1)).toMatchObject({ conversation: BOB, lively: true });
    expect(conversationsOf(reduce(typing, update(1, '', true, 'bob', BOB)))).toHaveLength(2);
  });
});

describe("one's own message", () => {
  const own = (change: Partial<Own>): Own => ({
    key: 'k', conversation: TING, id: null, text: 'hi', phase: 'typing', error: null, since: 50, ...change,
  });
  const rows = (state: State) => rowsOf(room(state), 'ada', true).map(({ kind, message }) => `${kind} ${message.text}`);

  it('is not shown twice while it is typed', () => {
    const state = after({ kind: 'own', own: own({}) }, update(3, 'hi', true, 'ada'), { kind: 'own', own: own({ id: 3 }) });
    expect(rows(state)).toEqual([]);
  });

  it('keeps its place in view once others follow', () => {
    const state = after({ kind: 'own', own: own({ id: 3 }) }, update(2, 'x'), update(4, 'y'));
    expect(rows(state)).toEqual(['message x', 'own hi', 'message y']);
  });

  it('is in its place at once when it is sent, and there once', () => {
    const sending = after({ kind: 'own', own: own({ id: 3, phase: 'sending' }) }, update(4, 'y'));
    expect(rows(sending)).toEqual(['own hi', 'message y']);
    const acknowledged = reduce(sending, { kind: 'own-sent', own: own({ id: 3 }), id: 3, at: 60 });
    expect(rows(acknowledged)).toEqual(['message hi', 'message y']);
    expect(rows(reduce(acknowledged, update(3, 'hi', false, 'ada')))).toEqual(['message hi', 'message y']);
  });

  it('waits at the end until it has a place', () => {
    const state = after({ kind: 'own', own: own({ phase: 'sending' }) }, update(4, 'y'));
    expect(rows(state)).toEqual(['message y', 'own hi']);
  });

  it('is gone at once when it is erased', () => {
    const state = after(
      { kind: 'own', own: own({ id: 3 }) },
      update(3, 'hi', true, 'ada'),
      { kind: 'own-gone', own: own({ id: 3 }) },
    );
    expect(rows(state)).toEqual([]);
  });
});

it('leaves nothing of one person for the next', () => {
  const state = after(update(1, 'secret', false, 'bob', BOB), { kind: 'signed-out', because: null });
  expect(state.rooms.has('user/bob')).toBe(false);
  expect(state.open).toBe('channel/ting');
});

it('hides ghosts from a reader who does not want them', () => {
  const state = after(update(1, 'a', false), update(2, 'b'));
  expect(rowsOf(room(state), 'ada', false)).toHaveLength(1);
});
