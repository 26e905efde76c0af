// Everything the client knows, as one value, and what can happen to it.

import type { Conversation, ConversationKey, Message, Private } from '../model';
import type { Page, Timeline, Update } from './timeline';

/** How the connection to the server is. */
export type LinkPhase = 'connecting' | 'online' | 'lost' | 'moving';

/** How far reading a conversation's history has come. */
export type Reading = 'unread' | 'reading' | 'ready' | 'missing';

/** A message this tab is typing or has asked to be sent. */
export interface Own {
  /** The idempotency key: what names it before it has an id. */
  readonly key: string;
  readonly conversation: Conversation;
  readonly id: number | null;
  readonly text: string;
  readonly phase: 'typing' | 'sending' | 'refused';
  readonly error: string | null;
  readonly since: number;
}

export interface Room {
  readonly conversation: Conversation;
  readonly reading: Reading;
  readonly timeline: Timeline;
  /** Below this id no place can be filled any more; catching up reads from here. */
  readonly low: number;
  /** Whether history since `low` has still to be read, after a connection that was lost. */
  readonly behind: boolean;
  readonly unread: number;
  readonly mentioned: boolean;
  /** When something was last sent here. */
  readonly active: number;
  readonly own: readonly Own[];
  /** The first message that came while nobody looked, for the line above it. */
  readonly firstUnread: number | null;
  /** What others have sent lately while it was open, to be said aloud. */
  readonly heard: readonly Message[];
}

/** Messages others have sent since the last event, for notifications. */
export interface Arrivals {
  readonly conversation: Conversation;
  readonly messages: readonly Message[];
}

export type Session =
  | { readonly phase: 'unknown' }
  | { readonly phase: 'out'; readonly because: 'ended' | null }
  | { readonly phase: 'in'; readonly username: string };

export interface State {
  readonly session: Session;
  readonly link: LinkPhase;
  readonly people: ReadonlySet<string>;
  readonly rooms: ReadonlyMap<ConversationKey, Room>;
  /** Channels this person is in, on this device. */
  readonly channels: readonly string[];
  /** The conversation on the screen. */
  readonly open: ConversationKey | null;
  /** Whether the window is being looked at. */
  readonly attentive: boolean;
  readonly arrivals: Arrivals | null;
}

export type Event =
  | { readonly kind: 'signed-in'; readonly username: string; readonly channels: readonly string[] }
  | { readonly kind: 'signed-out'; readonly because: 'ended' | null }
  | { readonly kind: 'link'; readonly phase: LinkPhase }
  | { readonly kind: 'people'; readonly people: readonly string[] }
  | { readonly kind: 'presence'; readonly joined: readonly string[]; readonly parted: readonly string[] }
  | { readonly kind: 'updates'; readonly conversation: Conversation; readonly updates: readonly Update[]; readonly at: number }
  | { readonly kind: 'cursor'; readonly conversation: Conversation; readonly low: number }
  | { readonly kind: 'reading'; readonly conversation: Conversation }
  | { readonly kind: 'page'; readonly conversation: Conversation; readonly page: Page }
  | { readonly kind: 'unread'; readonly conversation: Conversation; readonly count: number; readonly mentioned: boolean }
  | { readonly kind: 'missing'; readonly conversation: Conversation }
  | { readonly kind: 'privates'; readonly privates: readonly Private[] }
  | { readonly kind: 'channels'; readonly channels: readonly string[] }
  | { readonly kind: 'opened'; readonly conversation: Conversation }
  | { readonly kind: 'attention'; readonly attentive: boolean }
  | { readonly kind: 'own'; readonly own: Own }
  | { readonly kind: 'own-sent'; readonly own: Own; readonly id: number; readonly at: number }
  | { readonly kind: 'own-gone'; readonly own: Own };
