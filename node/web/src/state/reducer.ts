// What each event makes of the state. Pure: no clock, no network, no storage.

import { conversationOf, keyOf, type Conversation, type ConversationKey, type Message } from '../model';
import { mentions } from './mentions';
import { applyPage, applyUpdates, disconnected, EMPTY, find, trimmed, type Update } from './timeline';
import type { Event, Own, Room, State } from './state';

/** How many messages a conversation keeps when another one is opened. */
const BACKGROUND_MESSAGES = 200;

/** How many of the newest messages are there to be said aloud: more than come in one frame. */
const HEARD_MESSAGES = 20;

export const INITIAL: State = {
  session: { phase: 'unknown' },
  link: 'connecting',
  people: new Set(),
  rooms: new Map(),
  channels: [],
  open: null,
  attentive: true,
  arrivals: null,
};

export function newRoom(conversation: Conversation): Room {
  return {
    conversation,
    reading: 'unread',
    timeline: EMPTY,
    low: 0,
    behind: false,
    unread: 0,
    mentioned: false,
    active: 0,
    own: [],
    firstUnread: null,
    heard: [],
  };
}

export function reduce(state: State, event: Event): State {
  switch (event.kind) {
    case 'signed-in':
      return { ...anew(state), session: { phase: 'in', username: event.username }, channels: event.channels };
    case 'signed-out':
      return { ...anew(state), session: { phase: 'out', because: event.because } };
    case 'link':
      return link(state, event.phase);
    case 'people':
      return { ...state, people: new Set(event.people) };
    case 'presence': {
      const people = new Set(state.people);
      for (const username of event.joined) people.add(username);
      for (const username of event.parted) people.delete(username);
      return { ...state, people };
    }
    case 'updates':
      return updates(state, event.conversation, event.updates, event.at);
    case 'cursor':
      // Who is behind reads from where the last connection left off.
      return inRoom(state, event.conversation, (room) =>
        room.behind ? room : { ...room, low: Math.max(room.low, event.low) },
      );
    case 'reading':
      return inRoom(state, event.conversation, (room) =>
        room.reading === 'ready' ? room : { ...room, reading: 'reading' },
      );
    case 'page':
      return inRoom(state, event.conversation, (room) => {
        const timeline = applyPage(room.timeline, event.page);
        const newest = timeline.messages.findLast((message) => !message.typing);
        return {
          ...room,
          timeline,
          reading: 'ready',
          behind: room.behind && event.page.span === 'older',
          active: Math.max(room.active, newest?.datetime_sent ?? 0),
          own: room.own.filter((own) => !isSent(timeline.messages, own)),
        };
      });
    case 'unread':
      return inRoom(state, event.conversation, (room) => ({
        ...room,
        unread: event.count,
        mentioned: event.mentioned,
      }));
    case 'missing':
      return inRoom(state, event.conversation, (room) => ({ ...room, reading: 'missing' }));
    case 'privates':
      return event.privates.reduce(
        (next, { target, unread, datetime_sent }) =>
          inRoom(next, { type: 'user', target }, (room) => ({
            ...room,
            unread: isWatched(state, keyOf(room.conversation)) ? 0 : unread,
            active: Math.max(room.active, datetime_sent),
          })),
        state,
      );
    case 'channels':
      return { ...state, channels: event.channels };
    case 'opened':
      return opened(state, event.conversation);
    case 'attention': {
      const next = { ...state, attentive: event.attentive };
      if (!next.open) return next;
      if (event.attentive) return seen(next, next.open);
      // What comes from now on is new to whoever looks again.
      return inRoom(next, conversationOf(next.open), (room) => ({ ...room, firstUnread: null }));
    }
    case 'own':
      return inRoom(state, event.own.conversation, (room) => ({ ...room, own: replaced(room.own, event.own) }));
    case 'own-sent':
      return ownSent(state, event.own, event.id, event.at);
    case 'own-gone':
      return inRoom(state, event.own.conversation, (room) => ownGone(room, event.own));
  }
}

/** Nothing one person has read is left for the next; only the address stays. */
function anew({ open, attentive }: State): State {
  const rooms = new Map(open ? [[open, newRoom(conversationOf(open))]] : []);
  return { ...INITIAL, open, rooms, attentive };
}

function inRoom(state: State, conversation: Conversation, change: (room: Room) => Room): State {
  const key = keyOf(conversation);
  const room = state.rooms.get(key);
  const next = change(room ?? newRoom(conversation));
  if (next === room) return state;
  return { ...state, rooms: new Map(state.rooms).set(key, next) };
}

function isWatched(state: State, key: ConversationKey): boolean {
  return state.attentive && state.open === key;
}

function replaced(all: readonly Own[], own: Own): readonly Own[] {
  const index = all.findIndex(({ key }) => key === own.key);
  return index < 0 ? [...all, own] : all.with(index, own);
}

function isSent(messages: readonly Message[], own: Own): boolean {
  return own.id !== null && messages.some((message) => message.id === own.id && !message.typing);
}

function link(state: State, phase: State['link']): State {
  if (phase !== 'lost' || state.link === 'lost') return { ...state, link: phase };
  const rooms = new Map(state.rooms);
  for (const [key, room] of rooms) {
    // Nobody looks at the others: they are read again when opened, and counted when back.
    const kept = key === state.open ? disconnected(room.timeline) : EMPTY;
    const reading = key === state.open || room.reading === 'missing' ? room.reading : 'unread';
    rooms.set(key, { ...room, timeline: kept, reading, behind: kept.loaded });
  }
  return { ...state, link: phase, rooms };
}

function updates(state: State, conversation: Conversation, list: readonly Update[], at: number): State {
  const key = keyOf(conversation);
  const room = state.rooms.get(key) ?? newRoom(conversation);
  const me = state.session.phase === 'in' ? state.session.username : null;
  const timeline = applyUpdates(room.timeline, list, at);

  const arrived: Message[] = [];
  let active = room.active;
  for (const { id, text, typing, username } of list) {
    if (typing || text === '') continue;
    const before = find(room.timeline, id);
    if (before && !before.typing) continue;
    active = Math.max(active, at);
    const message = find(timeline, id);
    if (message && username !== me) arrived.push(message);
  }

  const watched = isWatched(state, key);
  const next: Room = {
    ...room,
    timeline: key === state.open ? timeline : trimmed(timeline, BACKGROUND_MESSAGES),
    active,
    unread: watched ? 0 : room.unread + arrived.length,
    mentioned: !watched && (room.mentioned || (me !== null && arrived.some(({ text }) => mentions(text, me)))),
    firstUnread: watched || arrived.length === 0 ? room.firstUnread : (room.firstUnread ?? arrived[0]!.id),
    own: room.own.filter((own) => !isSent(timeline.messages, own)),
    heard: key === state.open ? [...room.heard, ...arrived].slice(-HEARD_MESSAGES) : room.heard,
  };
  return {
    ...state,
    rooms: new Map(state.rooms).set(key, next),
    arrivals: arrived.length > 0 ? { conversation, messages: arrived } : state.arrivals,
  };
}

function seen(state: State, key: ConversationKey): State {
  const room = state.rooms.get(key);
  if (!room || (room.unread === 0 && !room.mentioned)) return state;
  return { ...state, rooms: new Map(state.rooms).set(key, { ...room, unread: 0, mentioned: false }) };
}

function opened(state: State, conversation: Conversation): State {
  const key = keyOf(conversation);
  if (state.open === key) return state;
  const rooms = new Map(state.rooms);
  const left = state.open ? rooms.get(state.open) : undefined;
  if (left && state.open) {
    rooms.set(state.open, {
      ...left,
      timeline: trimmed(left.timeline, BACKGROUND_MESSAGES),
      firstUnread: null,
      heard: [],
      // Nothing was found there; it may have been made since.
      reading: left.reading === 'missing' ? 'unread' : left.reading,
    });
  }
  if (!rooms.has(key)) rooms.set(key, newRoom(conversation));
  const next = { ...state, rooms, open: key };
  return state.attentive ? seen(next, key) : next;
}

/** Erased by its author: its ghost goes before the server says so. */
function ownGone(room: Room, own: Own): Room {
  const ghost = own.id === null ? undefined : find(room.timeline, own.id);
  return {
    ...room,
    timeline: ghost?.typing ? applyUpdates(room.timeline, [{ ...ghost, text: '' }], 0) : room.timeline,
    own: room.own.filter(({ key }) => key !== own.key),
  };
}

/** The server has acknowledged a send: it is shown as sent before its update arrives. */
function ownSent(state: State, own: Own, id: number, at: number): State {
  const me = state.session.phase === 'in' ? state.session.username : '';
  return inRoom(state, own.conversation, (room) => {
    const known = find(room.timeline, id);
    const sent: Update = {
      id,
      username: me,
      text: own.text,
      typing: false,
      datetime_start: known?.datetime_start ?? own.since,
    };
    return {
      ...room,
      timeline: applyUpdates(room.timeline, [sent], at),
      active: Math.max(room.active, at),
      own: room.own.filter(({ key }) => key !== own.key),
    };
  });
}
