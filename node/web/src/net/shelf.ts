// The browser's storage, where it allows any.

import type { Shelf } from './outbox';

const PREFIX = 'ting/';

/** Wraps `storage`; what it refuses (full, forbidden) is kept for as long as the page is open. */
export function shelf(storage: () => Storage): Shelf {
  const spare = new Map<string, string>();
  let kept: Storage | null = null;
  try {
    kept = storage();
  } catch {
    // Reading `localStorage` itself throws where cookies are blocked.
  }
  return {
    get(name) {
      return spare.get(name) ?? kept?.getItem(PREFIX + name) ?? null;
    },
    set(name, value) {
      spare.delete(name);
      if (value === null) return kept?.removeItem(PREFIX + name);
      try {
        if (!kept) throw new Error('no storage');
        kept.setItem(PREFIX + name, value);
      } catch {
        spare.set(name, value);
      }
    },
    names(prefix) {
      const names = new Set(spare.keys());
      for (let index = 0; index < (kept?.length ?? 0); index += 1) {
        const name = kept?.key(index);
        if (name?.startsWith(PREFIX)) names.add(name.slice(PREFIX.length));
      }
      return [...names].filter((name) => name.startsWith(prefix));
    },
  };
}

/** One that lies in `storage` only while the page is away: a tab that is duplicated is copied without it. */
export function carried(storage: Shelf, page: EventTarget): Shelf {
  const held = new Map<string, string>();
  const take = () => {
    for (const name of storage.names('')) {
      held.set(name, storage.get(name) ?? '');
      storage.set(name, null);
    }
  };
  take();
  page.addEventListener('pagehide', () => {
    for (const [name, value] of held) storage.set(name, value);
  });
  // Back out of the browser's cache, with all that the page knew.
  page.addEventListener('pageshow', take);
  return {
    get: (name) => held.get(name) ?? null,
    set: (name, value) => void (value === null ? held.delete(name) : held.set(name, value)),
    names: (prefix) => [...held.keys()].filter((name) => name.startsWith(prefix)),
  };
}
