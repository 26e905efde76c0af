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

export const shared = shelf(() => localStorage);
export const own = shelf(() => sessionStorage);
