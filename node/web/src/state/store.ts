// Holds the state, and tells who watches once a frame at most.

import { INITIAL, reduce } from './reducer';
import type { Event, State } from './state';

/** How long a page without frames waits. */
const HIDDEN_MS = 100;

export interface Store {
  get(): State;
  dispatch(event: Event): void;
  subscribe(listener: () => void): () => void;
}

export function createStore(nextFrame: (run: () => void) => void = onNextFrame): Store {
  let state = INITIAL;
  let due = false;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    dispatch(event) {
      const next = reduce(state, event);
      if (next === state) return;
      state = next;
      if (due) return;
      // Twenty typists' letters arrive in one tick as several events: they are drawn as one change.
      due = true;
      nextFrame(() => {
        due = false;
        for (const listener of listeners) listener();
      });
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** A hidden page gets no frames, but its title still counts. */
function onNextFrame(run: () => void): void {
  let done = false;
  const once = () => {
    if (!done) run();
    done = true;
  };
  requestAnimationFrame(once);
  setTimeout(once, HIDDEN_MS);
}
