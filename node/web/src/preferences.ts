// What a person has chosen on this device; every tab follows.

import type { Shelf } from './net/outbox';

export interface Preferences {
  /** The typist's own switch: others read along, or only what is sent. */
  readonly live: boolean;
  /** The reader's: show what others are typing. */
  readonly ghosts: boolean;
  readonly notify: boolean;
  readonly theme: 'system' | 'light' | 'dark';
  readonly language: 'en' | 'el';
}

const NAME = 'preferences';

export class PreferenceStore {
  private value: Preferences;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly shelf: Shelf, languages: readonly string[]) {
    const greek = languages.find((language) => /^(el|en)\b/.test(language))?.startsWith('el');
    this.value = this.read({ live: true, ghosts: true, notify: false, theme: 'system', language: greek ? 'el' : 'en' });
  }

  get = (): Preferences => this.value;

  set(change: Partial<Preferences>): void {
    this.value = { ...this.value, ...change };
    this.shelf.set(NAME, JSON.stringify(this.value));
    this.tell();
  }

  /** Another tab has changed something. */
  reload(): void {
    this.value = this.read(this.value);
    this.tell();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  private read(otherwise: Preferences): Preferences {
    try {
      const kept = JSON.parse(this.shelf.get(NAME) ?? '{}') as Partial<Record<keyof Preferences, unknown>>;
      const flag = (name: 'live' | 'ghosts' | 'notify') =>
        typeof kept[name] === 'boolean' ? kept[name] : otherwise[name];
      return {
        live: flag('live'),
        ghosts: flag('ghosts'),
        notify: flag('notify'),
        theme: kept.theme === 'light' || kept.theme === 'dark' || kept.theme === 'system' ? kept.theme : otherwise.theme,
        language: kept.language === 'en' || kept.language === 'el' ? kept.language : otherwise.language,
      };
    } catch {
      return otherwise;
    }
  }
}
