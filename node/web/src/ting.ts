// What a person can do here, and how the state learns of what happens.
//
// This is the client's centre: components call it, it asks `net`, and everything that comes of it
// is an event for the reducer.

import { conversationOf, HOME, keyOf, type Conversation, type ConversationKey, type Message, type Profile } from './model';
import { Http, Refusal, Unreachable, type ProfileChange } from './net/http';
import { Link, Unanswered } from './net/link';
import { Outbox, type Shelf } from './net/outbox';
import type { Transport } from './net/transport';
import type { Typist } from './net/typist';
import { answer, type Answer } from './net/wire';
import { mentions } from './state/mentions';
import type { Own } from './state/state';
import type { Store } from './state/store';

/** How many pages are read to close a gap; a longer one is read from its newest end instead. */
const CATCH_UP_PAGES = 5;
const CATCH_UP_PAGE = 500;

/** How many unread messages of a channel are counted. */
const UNREAD_MAX = 100;

/** In how many channels one connection may be. */
const CHANNELS_MAX = 50;

/** How often a page that stays open shows its cookie, which lasts 30 days from the last time. */
const SHOWN_MS = 24 * 60 * 60 * 1_000;

/** The pause before asking again a server that did not answer at the start. */
const START_AGAIN_MS = 2_000;

/** The pause between a refused login and asking who is signed in here. */
const REFUSED_MS = 500;

export interface Surroundings {
  readonly http: Http;
  readonly transport: Transport;
  readonly store: Store;
  readonly shared: Shelf;
  readonly own: Shelf;
  /** Whether typing is shown live, when a session begins. */
  readonly live: () => boolean;
  /** Others have sent something. */
  readonly arrived: (conversation: Conversation, messages: readonly Message[]) => void;
}

export class Ting {
  readonly store: Store;
  private readonly http: Http;
  private readonly link: Link;
  private outbox: Outbox | null = null;
  private me: string | null = null;
  /** Channels this connection is in. */
  private entered = new Set<ConversationKey>();
  /** Those that the login names. */
  private named: readonly string[] = [];
  private reading = new Map<ConversationKey, Promise<void>>();

  constructor(private readonly around: Surroundings) {
    this.store = around.store;
    this.http = around.http;
    this.link = new Link(around.transport, {
      online: (people) => this.online(people),
      lost: () => this.lost(),
      // Usually the session has ended; asked after a pause, as the next login could be refused too.
      refused: () => void setTimeout(() => void this.recognise(), REFUSED_MS),
      moving: () => this.store.dispatch({ kind: 'link', phase: 'moving' }),
      told: (event) => {
        const before = this.store.get().arrivals;
        this.store.dispatch(event);
        const { arrivals } = this.store.get();
        if (arrivals && arrivals !== before) this.around.arrived(arrivals.conversation, arrivals.messages);
        if (event.kind === 'updates') this.noteSeen(event.conversation);
      },
    });
  }

  /** Comes back as whoever this browser is signed in as. */
  async start(): Promise<void> {
    setInterval(() => this.link.online && void this.quietly(() => this.http.whoAmI()), SHOWN_MS);
    await this.recognise();
  }

  async signIn(username: string, password: string): Promise<void> {
    this.begin(await this.http.signIn(username, password));
  }

  async signOut(): Promise<void> {
    try {
      await this.http.signOut();
    } catch (error) {
      // Signed out already, from another window.
      if (!(error instanceof Refusal && error.status === 403)) throw error;
    }
    this.outbox?.forget();
    this.end(null);
  }

  /** Shows a conversation: enters it, reads it, marks it read. */
  open(conversation: Conversation): void {
    this.store.dispatch({ kind: 'opened', conversation });
    if (this.link.online) void this.read(conversation);
  }

  async createChannel(name: string): Promise<void> {
    await this.http.createChannel(name);
    this.setChannels([...this.store.get().channels, name]);
  }

  leaveChannel(name: string): void {
    const conversation: Conversation = { type: 'channel', target: name };
    this.setChannels(this.store.get().channels.filter((channel) => channel !== name));
    this.entered.delete(keyOf(conversation));
    // When the connection goes meanwhile, the next one does not enter it anyway.
    if (this.link.online) this.link.leave(conversation).catch(() => undefined);
  }

  /** Reads the page before the oldest message here. */
  async older(conversation: Conversation): Promise<void> {
    const room = this.store.get().rooms.get(keyOf(conversation));
    const first = room?.timeline.messages[0];
    if (!room || !first || !room.timeline.more) return;
    const { messages, more } = await this.http.history(conversation, { before: first.id });
    this.store.dispatch({ kind: 'page', conversation, page: { span: 'older', messages, more } });
  }

  draft(conversation: Conversation): string {
    return this.outbox?.draft(conversation) ?? '';
  }

  type(conversation: Conversation, text: string): void {
    this.outbox?.type(conversation, text);
  }

  send(conversation: Conversation, text: string): void {
    this.outbox?.send(conversation, text);
  }

  setLive(live: boolean): void {
    this.outbox?.setLive(live);
  }

  /** Takes a message that the server refused off the screen. */
  dismiss(own: Own): void {
    this.store.dispatch({ kind: 'own-gone', own });
  }

  profile(username: string): Promise<Profile | null> {
    return this.http.profile(username);
  }

  async changeProfile(change: ProfileChange): Promise<void> {
    if (this.me !== null) await this.http.changeProfile(this.me, change);
  }

  /** Whether somebody looks at the window. */
  attend(attentive: boolean): void {
    this.store.dispatch({ kind: 'attention', attentive });
    if (!attentive) return;
    this.link.hurry();
    const { open, rooms } = this.store.get();
    const room = open && rooms.get(open);
    if (room) this.noteSeen(room.conversation);
  }

  /** The device has a network again. */
  hurry(): void {
    this.link.hurry();
  }

  private async recognise(): Promise<void> {
    try {
      const username = await this.http.whoAmI();
      if (username !== null) this.begin(username);
      else this.end(this.me === null ? null : 'ended');
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof Refusal)) throw error;
      this.store.dispatch({ kind: 'link', phase: 'lost' });
      setTimeout(() => void this.recognise(), START_AGAIN_MS);
    }
  }

  private begin(username: string): void {
    if (this.me !== username) {
      this.me = username;
      this.store.dispatch({ kind: 'signed-in', username, channels: this.storedChannels(username) });
      this.outbox?.suspend();
      const wire = {
        post: (body: object) => this.ask('post-message', body),
        patch: (body: object) => this.ask('patch-message', body),
      };
      const { shared, own, live } = this.around;
      this.outbox = new Outbox(username, wire, { changed: (typist) => this.told(typist) }, shared, own, live());
    }
    this.store.dispatch({ kind: 'link', phase: 'connecting' });
    this.link.open(username, () => (this.named = this.toEnter()));
  }

  private end(because: 'ended' | null): void {
    this.me = null;
    this.outbox?.suspend();
    this.outbox = null;
    this.link.close();
    this.store.dispatch({ kind: 'signed-out', because });
  }

  private online(people: string[]): void {
    this.entered = new Set(this.named.map((target) => keyOf({ type: 'channel', target })));
    this.reading.clear();
    this.store.dispatch({ kind: 'link', phase: 'online' });
    this.store.dispatch({ kind: 'people', people });
    this.outbox?.resume();
    void this.catchUp();
  }

  private lost(): void {
    this.outbox?.suspend();
    this.store.dispatch({ kind: 'link', phase: 'lost' });
  }

  /** As many as a connection may be in: the open one, then those where something was sent last. */
  private toEnter(): string[] {
    const { channels } = this.store.get();
    if (channels.length === 0) return [HOME.target];
    return [...channels].sort((one, other) => this.worth(other) - this.worth(one)).slice(0, CHANNELS_MAX);
  }

  private worth(channel: string): number {
    const { open, rooms } = this.store.get();
    const key = keyOf({ type: 'channel', target: channel });
    return key === open ? Infinity : (rooms.get(key)?.active ?? 0);
  }

  /** Enters a channel; where the connection is in too many, another one is left to the next count. */
  private async enter(conversation: Conversation): Promise<void> {
    const key = keyOf(conversation);
    if (this.entered.has(key)) return;
    if (this.entered.size >= CHANNELS_MAX) {
      const channels = [...this.entered].map((entered) => conversationOf(entered).target);
      const least = channels.reduce((one, other) => (this.worth(other) < this.worth(one) ? other : one));
      const left: Conversation = { type: 'channel', target: least };
      this.entered.delete(keyOf(left));
      await this.link.leave(left);
    }
    const { error } = answer(await this.link.enter(conversation));
    if (error === null) this.entered.add(key);
  }

  /** What happened while there was no connection: the open conversation first, then the counts. */
  private async catchUp(): Promise<void> {
    const { open, rooms, channels } = this.store.get();
    const room = open ? rooms.get(open) : undefined;
    if (room) await this.read(room.conversation);
    await this.countPrivates();
    for (const target of channels) {
      const conversation: Conversation = { type: 'channel', target };
      if (this.store.get().open !== keyOf(conversation)) await this.countChannel(conversation);
    }
  }

  private async countPrivates(): Promise<void> {
    const privates = await this.quietly(() => this.http.privates());
    if (privates) this.store.dispatch({ kind: 'privates', privates });
  }

  private async countChannel(conversation: Conversation): Promise<void> {
    const after = Number(this.around.shared.get(this.seenName(conversation)) ?? NaN);
    if (Number.isNaN(after)) return;
    const page = await this.quietly(() => this.http.history(conversation, { after, lim: UNREAD_MAX }));
    if (!page || this.store.get().open === keyOf(conversation)) return;
    const me = this.me ?? '';
    const others = page.messages.filter(({ typing, username }) => !typing && username !== me);
    const mentioned = others.some(({ text }) => mentions(text, me));
    this.store.dispatch({ kind: 'unread', conversation, count: others.length, mentioned });
  }

  /** Enters and reads a conversation, once at a time. */
  private read(conversation: Conversation): Promise<void> {
    const key = keyOf(conversation);
    const under = this.reading.get(key);
    if (under) return under;
    const reading = this.enterAndRead(conversation).finally(() => {
      if (this.reading.get(key) === reading) this.reading.delete(key);
    });
    this.reading.set(key, reading);
    return reading;
  }

  private async enterAndRead(conversation: Conversation): Promise<void> {
    const key = keyOf(conversation);
    this.store.dispatch({ kind: 'reading', conversation });
    try {
      // Entered first: what happens while history is read is told live.
      if (conversation.type === 'channel') await this.enter(conversation);
      const room = this.store.get().rooms.get(key);
      const behind = room?.timeline.loaded === true && room.low > 0;
      if (!behind || !(await this.closeGap(conversation, room.low))) {
        const { messages, more } = await this.http.history(conversation);
        this.store.dispatch({ kind: 'page', conversation, page: { span: 'newest', messages, more } });
      }
      const { channels } = this.store.get();
      if (conversation.type === 'channel' && !channels.includes(conversation.target)) {
        this.setChannels([...channels, conversation.target]);
      }
      this.noteSeen(conversation);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) {
        this.store.dispatch({ kind: 'missing', conversation });
        if (conversation.type === 'channel') this.leaveChannel(conversation.target);
      } else if (error instanceof Refusal || error instanceof Unreachable) {
        if (error instanceof Refusal && error.status === 403) await this.checkSession();
        setTimeout(() => {
          if (this.link.online && this.store.get().open === key) void this.read(conversation);
        }, START_AGAIN_MS);
      } else if (!(error instanceof Unanswered)) {
        throw error;
      }
    }
  }

  /** Reads everything since `low`, newest first; false when that is too much. */
  private async closeGap(conversation: Conversation, low: number): Promise<boolean> {
    const messages: Message[] = [];
    let before: number | undefined;
    for (let pages = 0; pages < CATCH_UP_PAGES; pages += 1) {
      const page = await this.http.history(conversation, {
        after: low,
        lim: CATCH_UP_PAGE,
        ...(before === undefined ? {} : { before }),
      });
      messages.push(...page.messages);
      before = page.messages.at(-1)?.id;
      if (!page.more || before === undefined) {
        this.store.dispatch({ kind: 'page', conversation, page: { span: 'since', messages, more: false } });
        return true;
      }
    }
    return false;
  }

  /** Remembers how far the open conversation has been read, here and at the server. */
  private noteSeen(conversation: Conversation): void {
    const { open, attentive, rooms } = this.store.get();
    const key = keyOf(conversation);
    if (open !== key || !attentive) return;
    const newest = rooms.get(key)?.timeline.messages.findLast(({ typing }) => !typing);
    if (!newest) return;
    const name = this.seenName(conversation);
    if (Number(this.around.shared.get(name) ?? 0) >= newest.id) return;
    this.around.shared.set(name, String(newest.id));
    if (conversation.type === 'user') void this.quietly(() => this.http.markRead(conversation));
  }

  private seenName(conversation: Conversation): string {
    return `seen/${encodeURIComponent(this.me ?? '')}/${keyOf(conversation)}`;
  }

  private storedChannels(username: string): string[] {
    const stored = this.around.shared.get(`channels/${encodeURIComponent(username)}`)?.split(',') ?? [];
    return ordered([HOME.target, ...stored.filter((name) => name !== '')]);
  }

  private setChannels(channels: readonly string[]): void {
    const all = ordered(channels);
    this.around.shared.set(`channels/${encodeURIComponent(this.me ?? '')}`, all.join(','));
    this.store.dispatch({ kind: 'channels', channels: all });
  }

  /** An operation on a message, over the socket. */
  private async ask(name: string, body: object): Promise<Answer> {
    const got = answer(await this.link.request(name, body));
    // Either the session has ended, which ends everything here, or the answer is about the message.
    if (got.status === 403 && !(await this.checkSession())) throw new Unanswered('the session is over');
    return got;
  }

  /** Whether we still are who we were; if not, begins again as whoever is signed in now. */
  private async checkSession(): Promise<boolean> {
    const me = this.me;
    try {
      const username = await this.http.whoAmI();
      if (username === me) return true;
      if (username === null) this.end('ended');
      else this.begin(username);
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof Unreachable)) throw error;
    }
    return false;
  }

  /** A typist's news, as an event. */
  private told(typist: Typist): void {
    const { phase, name: key, id, text, conversation, error, since } = typist;
    const shown = phase === 'sending' || phase === 'refused' ? phase : 'typing';
    const own: Own = { key, id, text, conversation, phase: shown, error, since };
    if (phase === 'sent' && id !== null) this.store.dispatch({ kind: 'own-sent', own, id, at: Date.now() });
    else if (phase === 'erased') this.store.dispatch({ kind: 'own-gone', own });
    else this.store.dispatch({ kind: 'own', own });
  }

  /** For what is nice to know: a refusal or silence changes nothing. */
  private async quietly<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Refusal || error instanceof Unreachable) return null;
      throw error;
    }
  }
}

/** The channel that always exists first, then by name, each once. */
function ordered(channels: readonly string[]): string[] {
  const rest = [...new Set(channels)].filter((name) => name !== HOME.target).sort();
  return channels.includes(HOME.target) ? [HOME.target, ...rest] : rest;
}
