// How components reach the client's centre, the preferences and the texts.

import { createContext, useContext, useSyncExternalStore, type MouseEvent } from 'react';
import type { Conversation } from '../model';
import type { Preferences, PreferenceStore } from '../preferences';
import type { State } from '../state/state';
import { TEXTS, type Texts } from '../texts';
import type { Ting } from '../ting';
import { pathOf, type Route } from './route';

export interface Surroundings {
  readonly ting: Ting;
  readonly preferences: PreferenceStore;
  readonly route: Route;
}

export const Around = createContext<Surroundings | null>(null);

export function useAround(): Surroundings {
  const around = useContext(Around);
  if (!around) throw new Error('a component is drawn outside of the client');
  return around;
}

export function useTing(): Ting {
  return useAround().ting;
}

/** A part of the state; `select` gives the same value as long as nothing it reads changes. */
export function useStore<T>(select: (state: State) => T): T {
  const { store } = useTing();
  return useSyncExternalStore(store.subscribe, () => select(store.get()));
}

export function usePreferences(): Preferences {
  const { preferences } = useAround();
  return useSyncExternalStore(preferences.subscribe, preferences.get);
}

export function useTexts(): Texts {
  return TEXTS[usePreferences().language];
}

/** Who is signed in; drawn only where somebody is. */
export function useMe(): string {
  return useStore(({ session }) => (session.phase === 'in' ? session.username : ''));
}

/** What a link to a conversation needs: an address to copy, and no page load on a plain click. */
export function useLinkTo(): (conversation: Conversation, after?: () => void) => {
  href: string;
  onClick: (event: MouseEvent) => void;
} {
  const { route } = useAround();
  return (conversation, after) => ({
    href: pathOf(conversation),
    onClick(event) {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
      event.preventDefault();
      route.go(conversation);
      after?.();
    },
  });
}

/** What a conversation is called where others are, too. */
export function nameOf({ type, target }: Conversation): string {
  return type === 'channel' ? `#${target}` : target;
}
