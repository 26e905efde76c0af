// Where one writes. Each letter goes to the others, unless one has chosen otherwise.

import { useId, useRef, useState, type KeyboardEvent } from 'react';
import { chars, TEXT_CHARS_MAX, type Conversation } from '../model';
import { nameOf, useAround, usePreferences, useTexts, useTing } from './context';
import { Icon } from './Icon';

/** From how many characters left on they are counted down. */
const COUNT_FROM = 200;

export function Composer({ conversation }: { conversation: Conversation }) {
  const ting = useTing();
  const texts = useTexts();
  const { preferences } = useAround();
  const { live } = usePreferences();
  const [text, setText] = useState(() => ting.draft(conversation));
  const box = useRef<HTMLTextAreaElement>(null);
  const hintId = useId();
  const left = TEXT_CHARS_MAX - (text.length > TEXT_CHARS_MAX - COUNT_FROM ? chars(text) : 0);
  const sendable = text.trim() !== '' && left >= 0;

  function change(next: string) {
    setText(next);
    ting.type(conversation, next);
  }

  function send() {
    if (!sendable) return;
    ting.send(conversation, text);
    setText('');
    box.current?.focus();
  }

  function onKeyDown(event: KeyboardEvent) {
    // While a letter is being composed (Greek accents, Japanese), Enter belongs to that.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  }

  return (
    <form
      className="composer"
      data-live={live}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="box">
        <textarea
          ref={box}
          id="message"
          aria-label={texts.message}
          aria-describedby={hintId}
          placeholder={texts.writeTo(nameOf(conversation))}
          value={text}
          rows={Math.min(8, text.split('\n').length)}
          dir="auto"
          enterKeyHint="send"
          autoFocus={matchMedia('(pointer: fine)').matches}
          onChange={(event) => change(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <button className="send" aria-label={texts.send} title={texts.send} disabled={!sendable}>
          <Icon name="send" />
        </button>
      </div>
      <div className="below">
        <button
          type="button"
          className="live"
          role="switch"
          aria-checked={live}
          aria-label={texts.typingSwitch}
          onClick={() => preferences.set({ live: !live })}
        >
          <Icon name={live ? 'eye' : 'eyeOff'} />
          <span>{live ? texts.live : texts.whenSent}</span>
        </button>
        <p className="hint" id={hintId}>
          {live ? texts.liveHint : texts.whenSentHint}
        </p>
        {left < COUNT_FROM && (
          <p className="count" data-over={left < 0 || undefined}>
            {left < 0 ? texts.tooLong(-left) : texts.left(left)}
          </p>
        )}
      </div>
    </form>
  );
}
