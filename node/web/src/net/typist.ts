// One message on its way: typed letter by letter, then sent or erased, whatever the network does.
//
// What it keeps: a send is there exactly once, in the place its typing reserved. So everything is
// repeated with the same key until the server has given an id, and with that id and its claim
// from then on; only an id that the server says is over starts anew, with a fresh key.

import type { Conversation } from '../model';
import type { Answer } from './wire';

/** How a typist reaches the server. A promise rejects only when the connection is gone. */
export interface Wire {
  post(body: object): Promise<Answer>;
  patch(body: object): Promise<Answer>;
}

/** What survives a reload. */
export interface Saved {
  readonly key: string;
  readonly id: number | null;
  readonly claim: string | null;
  readonly rev: number;
  /** Whether typing has begun under this key, as far as the server may know. */
  readonly begun: boolean;
  readonly conversation: Conversation;
  readonly text: string;
  /** Whether it was being sent, and may have been. */
  readonly sending: boolean;
}

export type Phase = 'typing' | 'sending' | 'erasing' | 'sent' | 'erased' | 'refused';

/** The server takes 20 changes a second and keeps the newest of more. */
const GAP_MS = 50;

/** The pause before repeating what the server could not do just now, doubled up to the longest. */
const RETRY_MS = 500;
const RETRY_MS_MAX = 5_000;

/** Changes made since the last save were counted but not saved: 15 minutes hold fewer than this. */
const REV_HEADROOM = 100_000;

export class Typist {
  phase: Phase = 'typing';
  error: string | null = null;
  readonly since: number;
  private key: string;
  private messageid: number | null;
  private claim: string | null;
  private rev: number;
  private begun: boolean;
  /** Restored from storage, and its author has not gone on with it. */
  private dormant: boolean;
  private up = false;
  /** Whether an answer is awaited that decides what to do next. */
  private busy = false;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private failures = 0;
  /** What viewers have been told last on this connection; null when nothing. */
  private told: string | null = null;
  /** An earlier send of this id went unanswered: it may be in the history. */
  private sendUnknown: boolean;

  constructor(
    readonly conversation: Conversation,
    private readonly wire: Wire,
    private readonly changed: (typist: Typist) => void,
    private readonly newKey: () => string,
    now: number,
    saved?: Saved,
  ) {
    this.since = now;
    this.key = saved?.key ?? newKey();
    this.messageid = saved?.id ?? null;
    this.claim = saved?.claim ?? null;
    this.rev = saved ? saved.rev + REV_HEADROOM : 0;
    this.begun = saved?.begun ?? false;
    this.dormant = saved !== undefined;
    this.sendUnknown = saved?.sending === true && saved.id !== null;
    this.text = saved?.text ?? '';
    // Restored text is shown to nobody before its author goes on typing.
    this.told = saved ? this.text : null;
    this.name = this.key;
  }

  text: string;

  /** Names the message in this client for as long as it lives; the key may be replaced. */
  readonly name: string;

  get id(): number | null {
    return this.messageid;
  }

  get ended(): boolean {
    return this.phase === 'sent' || this.phase === 'erased' || this.phase === 'refused';
  }

  saved(): Saved {
    const { key, messageid: id, claim, rev, begun, conversation, text } = this;
    return { key, id, claim, rev, begun, conversation, text, sending: this.phase === 'sending' };
  }

  type(text: string): void {
    if (this.phase !== 'typing' || text === this.text) return;
    this.text = text;
    this.dormant = false;
    this.pump();
  }

  send(text: string): void {
    if (this.phase !== 'typing') return;
    this.text = text;
    this.phase = 'sending';
    this.hurry();
    this.changed(this);
    this.pump();
  }

  erase(): void {
    if (this.phase !== 'typing') return;
    this.text = '';
    this.phase = 'erasing';
    this.hurry();
    this.changed(this);
    this.pump();
  }

  /** The connection is there: what is unfinished goes on. */
  resume(): void {
    if (this.ended) return;
    this.up = true;
    this.failures = 0;
    this.hurry();
    this.pump();
  }

  /** The connection is gone, and with it the ghost that viewers saw. */
  suspend(): void {
    this.up = false;
    this.hurry();
    if (!this.dormant) this.told = null;
  }

  private hurry(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private pump(): void {
    if (!this.up || this.busy || this.timer !== null || this.ended) return;
    switch (this.phase) {
      case 'typing':
        if (this.text === this.told || this.text.trim() === '') return;
        if (this.messageid === null) void this.post(true);
        else void this.show(this.messageid);
        return;
      case 'sending':
        // A key that may have begun typing is asked again as such, to learn its id: as a send it
        // would be answered with that id and stay unsent.
        if (this.messageid === null) void this.post(this.begun);
        else void this.finish(this.messageid, this.text, false);
        return;
      case 'erasing':
        if (this.messageid !== null) void this.finish(this.messageid, '', true);
        else this.end('erased');
        return;
    }
  }

  private body(text: string, typing: boolean): object {
    const { type, target } = this.conversation;
    this.rev += 1;
    return {
      type,
      target,
      text,
      typing,
      key: this.key,
      rev: this.rev,
      ...(this.messageid === null ? {} : { messageid: this.messageid }),
      ...(this.claim === null ? {} : { claim: this.claim }),
    };
  }

  private async post(typing: boolean): Promise<void> {
    const { text } = this;
    this.told = text;
    this.begun ||= typing;
    this.busy = true;
    this.changed(this);
    const answer = await this.wire.post(this.body(text, typing)).catch(() => null);
    this.busy = false;
    if (!answer) return;
    if (answer.status === 200 && answer.messageid !== null) {
      this.take(answer);
      if (!typing) return this.end('sent');
      if (this.phase === 'typing') this.pause(GAP_MS);
      this.changed(this);
      return this.pump();
    }
    this.refused(answer);
  }

  /** Shows viewers the newest text. The next change does not wait for the answer. */
  private async show(id: number): Promise<void> {
    this.told = this.text;
    this.pause(GAP_MS);
    const answer = await this.wire.patch(this.body(this.text, true)).catch(() => null);
    if (!answer || this.messageid !== id || this.phase !== 'typing') return;
    if (answer.status === 200 && answer.messageid !== null) {
      this.take(answer);
      this.changed(this);
    } else if (answer.status !== 204) {
      this.refused(answer);
    }
  }

  /** Sends or erases; repeated until the server has said that it is done. */
  private async finish(id: number, text: string, typing: boolean): Promise<void> {
    this.busy = true;
    const answer = await this.wire.patch(this.body(text, typing)).catch(() => null);
    this.busy = false;
    if (!answer || answer.status === 503) this.sendUnknown ||= !typing;
    if (!answer) return;
    if (answer.status === 200 && answer.messageid !== null) this.take(answer);
    if (answer.status === 204 || answer.status === 200) return this.end(typing ? 'erased' : 'sent');
    if (typing && answer.status === 404) return this.end('erased');
    if (!typing && answer.error === 'sent') return this.end('sent');
    if (answer.status === 404 && this.sendUnknown) return this.refuse('not_found');
    if (this.messageid === id) this.refused(answer);
  }

  private take({ messageid, claim }: Answer): void {
    this.messageid = messageid;
    this.claim = claim ?? this.claim;
    this.failures = 0;
  }

  private refused({ status, error, retryAfterMs }: Answer): void {
    switch (status) {
      case 429:
      case 503:
        this.failures += 1;
        this.told = null;
        this.hurry();
        return this.pause(retryAfterMs ?? Math.min(RETRY_MS * 2 ** (this.failures - 1), RETRY_MS_MAX));
      case 404:
        if (this.messageid !== null) {
          // The message is over (erased from another window, deleted): what is typed from here is a new one.
          this.forget();
          return this.pump();
        }
        break;
      case 400:
        if (error === 'sent' && this.phase === 'typing') return this.forget();
        break;
    }
    if (this.phase === 'sending') this.refuse(error ?? 'unavailable');
    else if (this.phase === 'erasing') this.end('erased');
  }

  private forget(): void {
    this.key = this.newKey();
    this.messageid = null;
    this.claim = null;
    this.begun = false;
    // Only a further letter begins anew; a send does at once.
    this.told = this.phase === 'typing' ? this.text : null;
    this.changed(this);
  }

  private refuse(error: string): void {
    this.error = error;
    this.end('refused');
  }

  private end(phase: 'sent' | 'erased' | 'refused'): void {
    this.phase = phase;
    this.hurry();
    this.changed(this);
  }

  private pause(ms: number): void {
    this.timer = setTimeout(() => {
      this.timer = null;
      this.pump();
    }, ms);
  }
}
