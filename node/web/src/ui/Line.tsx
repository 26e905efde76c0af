// One message on the screen: sent, being typed, or on its way.

import { memo, useState } from 'react';
import { mentions } from '../state/mentions';
import type { Own } from '../state/state';
import type { Row } from '../state/select';
import { Avatar, hueStyle } from './Avatar';
import { useLinkTo, usePreferences, useTexts, useTing } from './context';
import { pieces } from './links';
import { day, hour, moment } from './times';

/** A ghost longer than this shows its end only: that is where it grows. */
const FOLD_FROM = 320;
const FOLD_TO = 240;

interface Props {
  readonly row: Row;
  readonly me: string;
  /** The day it begins, when it is the first of one. */
  readonly day: number | null;
  /** Whether it goes on from the message above, by the same author. */
  readonly followUp: boolean;
  readonly firstUnread: boolean;
}

export const Line = memo(function Line({ row, me, day: first, followUp, firstUnread }: Props) {
  const texts = useTexts();
  const { language } = usePreferences();
  const { message } = row;
  const { id, username, text, typing, datetime_start, stale } = message;
  const alone = !followUp || first !== null || firstUnread;
  const own = row.kind === 'own' ? row.own : null;
  const narrow = own?.phase === 'typing';
  const state = own ? own.phase : typing ? 'ghost' : 'sent';
  return (
    <>
      {first !== null && (
        <p className="day">
          <span>{day(datetime_start, Date.now(), language, texts)}</span>
        </p>
      )}
      {firstUnread && (
        <p className="day new">
          <span>{texts.newMessages}</span>
        </p>
      )}
      <article
        className="line"
        style={hueStyle(username)}
        data-messageid={own && own.id === null ? undefined : id}
        data-typing={typing}
        data-state={state}
        data-stale={stale || undefined}
        data-alone={(alone && !narrow) || undefined}
        data-mine={username === me || undefined}
        data-mentions={(state === 'sent' && username !== me && mentions(text, me)) || undefined}
      >
        {narrow ? (
          <p className="place">{texts.yourPlace}</p>
        ) : (
          <>
            {alone ? <Avatar name={username} /> : <Time at={datetime_start} language={language} />}
            {alone ? (
              <p className="line-head">
                <Author username={username} me={me} />
                {state === 'ghost' ? (
                  <span className="typing-label">{stale ? texts.paused : texts.isTyping}</span>
                ) : (
                  <Time at={datetime_start} language={language} />
                )}
              </p>
            ) : (
              <span className="unseen">{username}</span>
            )}
            {state === 'ghost' ? <Ghost text={text} /> : <Text text={text} />}
            {own && <Sending own={own} />}
          </>
        )}
      </article>
    </>
  );
});

function Time({ at, language }: { at: number; language: string }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={moment(at, language)}>
      {hour(at, language)}
    </time>
  );
}

function Author({ username, me }: { username: string; me: string }) {
  const linkTo = useLinkTo();
  if (username === me) return <span className="author">{username}</span>;
  // A privileged message may name nobody.
  if (username === '') return null;
  return (
    <a className="author" {...linkTo({ type: 'user', target: username })}>
      {username}
    </a>
  );
}

function Text({ text }: { text: string }) {
  return (
    <p className="text" dir="auto">
      {pieces(text).map(({ text, href }, index) =>
        href === null ? (
          text
        ) : (
          <a key={index} href={href} target="_blank" rel="noopener noreferrer">
            {text}
          </a>
        ),
      )}
    </p>
  );
}

function Ghost({ text }: { text: string }) {
  const texts = useTexts();
  const [whole, setWhole] = useState(false);
  const long = text.length > FOLD_FROM;
  return (
    <p className="text" dir="auto">
      {long && (
        <button className="fold" aria-expanded={whole} onClick={() => setWhole(!whole)}>
          {whole ? texts.fold : texts.showAll}
        </button>
      )}
      {long && !whole ? `…${tail(text)}` : text}
      <span className="caret" aria-hidden="true" />
    </p>
  );
}

/** The end of a text, without half a character at its start. */
function tail(text: string): string {
  const end = text.slice(-FOLD_TO);
  return /^[\uDC00-\uDFFF]/.test(end) ? end.slice(1) : end;
}

function Sending({ own }: { own: Own }) {
  const ting = useTing();
  const texts = useTexts();
  if (own.phase !== 'refused') {
    return <p className="sending">{texts.sending}</p>;
  }
  return (
    <p className="refused" role="alert">
      {texts.notSentReasons[own.error ?? ''] ?? texts.notSent}{' '}
      <button
        onClick={() => {
          ting.dismiss(own);
          ting.send(own.conversation, own.text);
        }}
      >
        {texts.again}
      </button>{' '}
      <button onClick={() => ting.dismiss(own)}>{texts.drop}</button>
    </p>
  );
}
