// The conversation in the page's address: /channel/<name>, /user/<name>.

import { HOME, type Conversation } from '../model';

export function conversationAt(path: string): Conversation | null {
  const found = /^\/(channel|user)\/([^/]+)\/?$/.exec(path);
  if (!found) return null;
  try {
    return { type: found[1] as Conversation['type'], target: decodeURIComponent(found[2]!) };
  } catch {
    return null;
  }
}

export function pathOf({ type, target }: Conversation): string {
  return `/${type}/${encodeURIComponent(target)}`;
}

/** Follows the address for as long as the page is open; `show` is told of every change. */
export class Route {
  constructor(private readonly show: (conversation: Conversation) => void) {}

  /** Shows what the address says, or home. */
  start(): void {
    addEventListener('popstate', () => this.show(conversationAt(location.pathname) ?? HOME));
    const conversation = conversationAt(location.pathname) ?? HOME;
    history.replaceState(null, '', pathOf(conversation));
    this.show(conversation);
  }

  go(conversation: Conversation): void {
    const path = pathOf(conversation);
    if (path !== location.pathname) history.pushState(null, '', path);
    this.show(conversation);
  }
}
