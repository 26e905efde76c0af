// The messages of one conversation, in the order of their places.
//
// Two sources fill it and may overtake each other: live updates, which arrive in the order
// things happened, and history, which is a picture of some moment since. The rules: what is
// live wins over a picture, sent wins over typing, and what has ended does not come back
// because an older picture still shows it.

import type { Message } from '../model';

export interface Timeline {
  /** Ascending by id. */
  readonly messages: readonly Message[];
  /** Ids that ended while connected, and whether they had been sent. */
  readonly ended: ReadonlyMap<number, 'erased' | 'deleted'>;
  /** Whether the server has messages older than the first one here. */
  readonly more: boolean;
  /** Whether a page of history has been read, so that there are no gaps after the first message. */
  readonly loaded: boolean;
}

/** An entry of a live update; empty text means erased. */
export type Update = Omit<Message, 'datetime_sent' | 'stale'>;

/** How many endings are remembered; a history answer is under way for seconds only. */
const ENDED_MAX = 500;

export const EMPTY: Timeline = { messages: [], ended: new Map(), more: true, loaded: false };

/** The index of `id`, or where it would go. */
export function placeOf(messages: readonly { readonly id: number }[], id: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle]!.id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function find(timeline: Timeline, id: number): Message | undefined {
  const message = timeline.messages[placeOf(timeline.messages, id)];
  return message?.id === id ? message : undefined;
}

/** Applies what the server told, in the order it told it; `at` is when it arrived. */
export function applyUpdates(timeline: Timeline, updates: readonly Update[], at: number): Timeline {
  const messages = [...timeline.messages];
  const ended = new Map(timeline.ended);
  for (const update of updates) {
    const index = placeOf(messages, update.id);
    const known = messages[index]?.id === update.id ? messages[index] : undefined;
    if (update.text === '') {
      ended.set(update.id, known && !known.typing ? 'deleted' : 'erased');
      if (known) messages.splice(index, 1);
      continue;
    }
    if (known && !known.typing && update.typing) continue;
    // Above the oldest page that was read there may be others that are not here: reading that page brings it.
    if (!known && index === 0 && timeline.loaded && timeline.more && messages.length > 0) continue;
    ended.delete(update.id);
    const message: Message = {
      id: update.id,
      username: update.username,
      text: update.text,
      typing: update.typing,
      datetime_start: update.datetime_start,
      datetime_sent: update.typing ? null : (known?.datetime_sent ?? at),
    };
    messages.splice(index, known ? 1 : 0, message);
  }
  while (ended.size > ENDED_MAX) ended.delete(ended.keys().next().value!);
  return { ...timeline, messages, ended };
}

/** A page of history: the newest messages, the ones before the first here, or all since an id. */
export interface Page {
  readonly span: 'newest' | 'older' | 'since';
  readonly messages: readonly Message[];
  readonly more: boolean;
}

export function applyPage(timeline: Timeline, page: Page): Timeline {
  const wanted = page.messages.filter((message) => {
    const end = timeline.ended.get(message.id);
    return end === undefined || (end === 'erased' && !message.typing);
  });
  let known = timeline.messages;
  if (page.span !== 'older') {
    // Ghosts of before the connection went are gone unless this page still shows them.
    known = known.filter((message) => !message.stale);
  }
  const first = wanted.reduce((least, message) => Math.min(least, message.id), Infinity);
  if (page.span === 'newest' && page.more) {
    // Between what is known and this page may be others; scrolling up reads them again.
    known = known.filter((message) => message.id >= first);
  }
  const byId = new Map<number, Message>();
  for (const message of wanted) byId.set(message.id, message);
  for (const message of known) {
    const pictured = byId.get(message.id);
    if (!pictured || pictured.typing || !message.typing) byId.set(message.id, message);
  }
  return {
    messages: [...byId.values()].sort((a, b) => a.id - b.id),
    ended: timeline.ended,
    more: page.span === 'since' ? timeline.more : page.more,
    loaded: true,
  };
}

/** The connection is gone: what was being typed may not be any more. */
export function disconnected(timeline: Timeline): Timeline {
  return {
    ...timeline,
    messages: timeline.messages.map((message) => (message.typing ? { ...message, stale: true } : message)),
    ended: new Map(),
  };
}

/** Keeps the newest `count`, for a conversation nobody is looking at. */
export function trimmed(timeline: Timeline, count: number): Timeline {
  if (timeline.messages.length <= count) return timeline;
  return { ...timeline, messages: timeline.messages.slice(-count), more: true };
}
