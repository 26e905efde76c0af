// Days and hours, and when two messages belong together.

import type { Message } from '../model';

/** How long after one message the next of the same author still follows it without a new heading. */
const FOLLOW_UP_MS = 5 * 60_000;

/** A day as a number that two moments of the same local day share. */
export function dayOf(time: number): number {
  const date = new Date(time);
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}

export function isFollowUp(above: Message, message: Message): boolean {
  return (
    above.username === message.username &&
    message.datetime_start - above.datetime_start < FOLLOW_UP_MS &&
    dayOf(above.datetime_start) === dayOf(message.datetime_start)
  );
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: string, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${language} ${name}`;
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.DateTimeFormat(language === 'en' ? undefined : language, options)));
  return made;
}

export function hour(time: number, language: string): string {
  return format(language, 'hour', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(time);
}

export function moment(time: number, language: string): string {
  return format(language, 'moment', { dateStyle: 'full', timeStyle: 'medium' }).format(time);
}

/** "Today", "Yesterday", or the date. */
export function day(time: number, now: number, language: string, words: { today: string; yesterday: string }): string {
  if (dayOf(time) === dayOf(now)) return words.today;
  const before = new Date(now);
  before.setDate(before.getDate() - 1);
  if (dayOf(time) === dayOf(before.getTime())) return words.yesterday;
  const year = new Date(time).getFullYear() === new Date(now).getFullYear() ? {} : { year: 'numeric' as const };
  const name = 'year' in year ? 'day-year' : 'day';
  return format(language, name, { weekday: 'long', day: 'numeric', month: 'long', ...year }).format(time);
}
