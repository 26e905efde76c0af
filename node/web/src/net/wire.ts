// What the server says, checked once here: inside, every value is already right.

import type { Conversation, Message, Private, Profile } from '../model';
import type { Update } from '../state/timeline';

type Json = Record<string, unknown>;

export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function conversation(value: Json): Conversation | null {
  const { type, target } = value;
  return (type === 'channel' || type === 'user') && typeof target === 'string' ? { type, target } : null;
}

/**
 * A private is named after the other person, whoever of the two wrote: the server's target is
 * who the message is for.
 */
function seenBy(me: string, { type, target }: Conversation, author: string): Conversation {
  return type === 'user' && target === me ? { type, target: author } : { type, target };
}

/** The conversations an `update-typing-messages` changes; it names one, and none when it is empty. */
export function updates(body: unknown, me: string): { conversation: Conversation; updates: Update[] }[] {
  const byKey = new Map<string, { conversation: Conversation; updates: Update[] }>();
  for (const [key, entry] of Object.entries(object(body))) {
    const value = object(entry);
    const id = Number(key);
    const about = conversation(value);
    const { username, text, typing } = value;
    if (!Number.isSafeInteger(id) || !about || typeof username !== 'string' || typeof text !== 'string') continue;
    const place = seenBy(me, about, username);
    const named = `${place.type}/${place.target}`;
    const known = byKey.get(named) ?? { conversation: place, updates: [] };
    known.updates.push({
      id,
      username,
      text,
      typing: typing !== false,
      datetime_start: number(value['datetime_start']) ?? 0,
    });
    byKey.set(named, known);
  }
  return [...byKey.values()];
}

/** Up to where no place can be filled any more; a private's names either of the two. */
export function cursor(body: unknown, me: string): { conversation: Conversation; low: number } | null {
  const value = object(body);
  const about = conversation(value);
  const low = number(value['low']);
  const { username } = value;
  return about && low !== null
    ? { conversation: seenBy(me, about, typeof username === 'string' ? username : about.target), low }
    : null;
}

export function messages(body: unknown): Message[] {
  if (!Array.isArray(body)) return [];
  return body.flatMap((item) => {
    const value = object(item);
    const id = number(value['id']);
    const { username, text } = value;
    if (id === null || typeof username !== 'string' || typeof text !== 'string') return [];
    return {
      id,
      username,
      text,
      typing: value['typing'] === true,
      datetime_start: number(value['datetime_start']) ?? 0,
      datetime_sent: number(value['datetime_sent']),
    };
  });
}

export function privates(body: unknown): Private[] {
  if (!Array.isArray(body)) return [];
  return body.flatMap((item) => {
    const value = object(item);
    const { target } = value;
    if (typeof target !== 'string') return [];
    return {
      target,
      datetime_sent: number(value['datetime_sent']) ?? 0,
      unread: number(value['unread']) ?? 0,
    };
  });
}

export function profile(body: unknown): Profile | null {
  const { username, online, gender, age } = object(body);
  if (typeof username !== 'string') return null;
  return {
    username,
    online: online === true,
    gender: gender === 'male' || gender === 'female' || gender === '-' ? gender : null,
    age: number(age),
  };
}

/** What a typing operation was answered, over either way. */
export interface Answer {
  readonly status: number;
  readonly messageid: number | null;
  readonly claim: string | null;
  readonly error: string | null;
  readonly retryAfterMs: number | null;
}

export function answer(body: unknown): Answer {
  const value = object(body);
  const error = typeof value['error'] === 'string' ? value['error'] : null;
  const seconds = number(value['retry_after']);
  return {
    // An answer to something malformed brings the error alone.
    status: number(value['status']) ?? (error === null ? 200 : 400),
    messageid: number(value['messageid']),
    claim: typeof value['claim'] === 'string' ? value['claim'] : null,
    error,
    retryAfterMs: seconds === null ? null : seconds * 1_000,
  };
}
