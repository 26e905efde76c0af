// What components read out of the state: rows of a conversation, lists, counts.

import { keyOf, type Conversation, type Message } from '../model';
import { placeOf } from './timeline';
import type { Own, Room, State } from './state';

/** One line of a conversation on the screen. */
export type Row =
  | { readonly kind: 'message'; readonly key: string; readonly message: Message }
  | { readonly kind: 'own'; readonly key: string; readonly message: Message; readonly own: Own };

const wrapped = new WeakMap<Message, Row>();

function rowOf(message: Message): Row {
  let row = wrapped.get(message);
  if (!row) {
    row = { kind: 'message', key: String(message.id), message };
    wrapped.set(message, row);
  }
  return row;
}

/**
 * The rows of a conversation. What this tab is typing itself is shown only as a narrow line that
 * keeps its place, and only once something follows it: its text is in the box below already.
 */
export function rowsOf(room: Pick<Room, 'timeline' | 'own'>, me: string, ghosts: boolean): readonly Row[] {
  const mine = new Set(room.own.map(({ id }) => id));
  // The update with a new ghost may overtake the answer that tells its id.
  const beginning = room.own.some(({ id, phase }) => id === null && phase !== 'refused');
  const rows: Row[] = [];
  for (const message of room.timeline.messages) {
    if (message.typing && (!ghosts || mine.has(message.id) || (beginning && message.username === me))) continue;
    rows.push(rowOf(message));
  }
  for (const own of room.own) {
    const row: Row = { kind: 'own', key: own.id === null ? own.key : String(own.id), message: asMessage(own, me), own };
    const index = own.id === null ? rows.length : indexOf(rows, own.id);
    if (own.phase === 'typing' && (own.id === null || index === rows.length)) continue;
    rows.splice(index, 0, row);
  }
  return rows;
}

function indexOf(rows: readonly Row[], id: number): number {
  return placeOf(rows.map(({ message }) => message), id);
}

function asMessage(own: Own, me: string): Message {
  return {
    // A message without a place yet comes after all that have one.
    id: own.id ?? Number.MAX_SAFE_INTEGER,
    username: me,
    text: own.text,
    typing: own.phase === 'typing',
    datetime_start: own.since,
    datetime_sent: null,
  };
}

/** One line of the list of conversations. */
export interface Listed {
  readonly conversation: Conversation;
  readonly unread: number;
  readonly mentioned: boolean;
  /** Whether somebody else is typing there. */
  readonly lively: boolean;
}

/** Channels by name, the one that always exists first; then privates, the latest first. */
export function conversationsOf(
  state: Pick<State, 'rooms' | 'channels' | 'open' | 'session'>,
): readonly Listed[] {
  const me = state.session.phase === 'in' ? state.session.username : '';
  const listed = (conversation: Conversation): Listed => {
    const room = state.rooms.get(keyOf(conversation));
    const lively = room?.timeline.messages.some(({ typing, stale, username }) => typing && !stale && username !== me);
    return {
      conversation,
      unread: room?.unread ?? 0,
      mentioned: room?.mentioned ?? false,
      lively: lively ?? false,
    };
  };
  const channels = state.channels.map((target) => listed({ type: 'channel', target }));
  const privates = [...state.rooms.values()]
    .filter(({ conversation, active, own, timeline }) =>
      conversation.type === 'user' &&
      (active > 0 || own.length > 0 || timeline.messages.length > 0 || keyOf(conversation) === state.open),
    )
    .sort((a, b) => b.active - a.active)
    .map(({ conversation }) => listed(conversation));
  return [...channels, ...privates];
}

/** What the window's title counts: privates and mentions nobody has looked at. */
export function callsOf(state: State): number {
  let calls = 0;
  for (const { conversation, unread, mentioned } of state.rooms.values()) {
    if (conversation.type === 'user') calls += unread;
    else if (mentioned) calls += 1;
  }
  return calls;
}
