// Everything this tab is typing and sending, conversation by conversation.
//
// Unsent text survives a reload: drafts and sends under way in the browser's storage, shared by
// tabs; which open message a draft belongs to in the tab's own, which it leaves behind only while it
// is reloaded, so that two tabs never type into one message.

import { chars, keyOf, TEXT_CHARS_MAX, type Conversation, type ConversationKey } from '../model';
import { Typist, type Saved, type Wire } from './typist';

/** The part of `Storage` that is used; a browser that forbids storage gets a map instead. */
export interface Shelf {
  get(name: string): string | null;
  set(name: string, value: string | null): void;
  names(prefix: string): string[];
}

export interface OutboxEvents {
  changed(typist: Typist): void;
}

export class Outbox {
  private readonly typing = new Map<ConversationKey, Typist>();
  private readonly underWay = new Set<Typist>();
  private readonly me: string;
  private up = false;

  constructor(
    username: string,
    private readonly wire: Wire,
    private readonly events: OutboxEvents,
    private readonly shared: Shelf,
    private readonly own: Shelf,
    private live: boolean,
    private readonly newKey: () => string = randomKey,
    private readonly now: () => number = Date.now,
  ) {
    // A name may hold a slash, which parts the names of what is stored.
    this.me = encodeURIComponent(username);
    for (const name of shared.names(`sending/${this.me}/`)) {
      const saved = parse(shared.get(name));
      shared.set(name, null);
      if (!saved) continue;
      const typist = this.create(saved.conversation, saved);
      typist.send(saved.text);
    }
  }

  /** The unsent text of a conversation. */
  draft(conversation: Conversation): string {
    return this.shared.get(this.draftName(conversation)) ?? '';
  }

  /** The author's text is now this. */
  type(conversation: Conversation, text: string): void {
    this.shared.set(this.draftName(conversation), text === '' ? null : text);
    if (text.trim() === '') return this.current(conversation)?.erase();
    if (!this.live || chars(text) > TEXT_CHARS_MAX) return;
    (this.current(conversation) ?? this.create(conversation)).type(text);
  }

  send(conversation: Conversation, text: string): void {
    this.shared.set(this.draftName(conversation), null);
    const typist = this.current(conversation) ?? this.create(conversation);
    this.typing.delete(keyOf(conversation));
    typist.send(text);
  }

  /** The author's switch: live, or only when sent. What is shown already is taken back. */
  setLive(live: boolean): void {
    if (live === this.live) return;
    this.live = live;
    if (live) return;
    for (const typist of this.typing.values()) typist.erase();
  }

  resume(): void {
    this.up = true;
    // In the order they were begun, so that places are asked for in that order.
    for (const typist of this.underWay) typist.resume();
  }

  suspend(): void {
    this.up = false;
    for (const typist of this.underWay) typist.suspend();
  }

  /** Signed out on purpose: nothing stays behind on this device. */
  forget(): void {
    this.suspend();
    for (const shelf of [this.shared, this.own]) {
      for (const kind of ['draft', 'sending', 'typing']) {
        for (const name of shelf.names(`${kind}/${this.me}/`)) shelf.set(name, null);
      }
    }
  }

  /** The message being typed in a conversation, this tab's own from before a reload included. */
  private current(conversation: Conversation): Typist | null {
    const typist = this.typing.get(keyOf(conversation));
    if (typist) return typist;
    const saved = parse(this.own.get(this.typingName(conversation)));
    return saved && saved.conversation.type === conversation.type ? this.create(conversation, saved) : null;
  }

  private create(conversation: Conversation, saved?: Saved): Typist {
    const changed = (typist: Typist) => this.changed(typist);
    const typist = new Typist(conversation, this.wire, changed, this.newKey, this.now(), saved);
    if (!saved?.sending) this.typing.set(keyOf(conversation), typist);
    this.underWay.add(typist);
    if (this.up) typist.resume();
    return typist;
  }

  private changed(typist: Typist): void {
    const key = keyOf(typist.conversation);
    const typing = typist.phase === 'typing';
    if (!typing && this.typing.get(key) === typist) this.typing.delete(key);
    if (typist.ended) this.underWay.delete(typist);
    const current = this.typing.get(key);
    this.own.set(this.typingName(typist.conversation), current ? JSON.stringify(current.saved()) : null);
    const sending = typist.phase === 'sending' ? JSON.stringify(typist.saved()) : null;
    this.shared.set(`sending/${this.me}/${typist.name}`, sending);
    this.events.changed(typist);
  }

  private draftName(conversation: Conversation): string {
    return `draft/${this.me}/${keyOf(conversation)}`;
  }

  private typingName(conversation: Conversation): string {
    return `typing/${this.me}/${keyOf(conversation)}`;
  }
}

/** `randomUUID` is only there where the page came encrypted. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function parse(text: string | null): Saved | null {
  if (text === null) return null;
  try {
    const saved = JSON.parse(text) as Partial<Saved>;
    return typeof saved.key === 'string' && saved.conversation ? (saved as Saved) : null;
  } catch {
    return null;
  }
}
