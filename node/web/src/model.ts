// The words everything here speaks: conversations, messages, people.
//
// Fields are named as the server names them, so nothing is renamed on the way.

/** A channel or a private; what messages belong to. */
export interface Conversation {
  readonly type: 'channel' | 'user';
  readonly target: string;
}

/** A conversation as one string, to be a key of maps and storage. */
export type ConversationKey = `${'channel' | 'user'}/${string}`;

/** A message, sent or being typed. Its id is its place. */
export interface Message {
  readonly id: number;
  readonly username: string;
  readonly text: string;
  readonly typing: boolean;
  readonly datetime_start: number;
  readonly datetime_sent: number | null;
  /** Being typed when the connection went, and not heard of since. */
  readonly stale?: boolean;
}

/** One private in the list of recent ones. */
export interface Private {
  readonly target: string;
  readonly datetime_sent: number;
  readonly unread: number;
}

/** What a person has told about themselves. */
export interface Profile {
  readonly username: string;
  readonly online: boolean;
  readonly gender: 'male' | 'female' | '-' | null;
  readonly age: number | null;
}

/** How many characters (code points) a message may have. */
export const TEXT_CHARS_MAX = 2_000;

/** The channel that always exists. */
export const HOME: Conversation = { type: 'channel', target: 'ting' };

export function keyOf({ type, target }: Conversation): ConversationKey {
  return `${type}/${target}`;
}

export function conversationOf(key: ConversationKey): Conversation {
  const slash = key.indexOf('/');
  return { type: key.slice(0, slash) as Conversation['type'], target: key.slice(slash + 1) };
}

/** Characters as the server counts them: code points, not UTF-16 units. */
export function chars(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
