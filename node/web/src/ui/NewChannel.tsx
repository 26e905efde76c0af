// Makes a channel and goes there.

import { useState, type SubmitEvent } from 'react';
import type { Conversation } from '../model';
import { Refusal } from '../net/http';
import { useAround, useTexts } from './context';
import { Dialog } from './Dialog';
import { Field } from './Field';

export function NewChannel({ onClose }: { onClose: () => void }) {
  const { ting, route } = useAround();
  const texts = useTexts();
  const [error, setError] = useState<string | null>(null);
  const [existing, setExisting] = useState<Conversation | null>(null);

  async function create(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const target = String(new FormData(event.currentTarget).get('name')).trim().replace(/^#/, '');
    const conversation: Conversation = { type: 'channel', target };
    setExisting(null);
    if (target === '') return setError(texts.channelErrors['empty']!);
    try {
      await ting.createChannel(target);
      onClose();
      route.go(conversation);
    } catch (refused) {
      const code = refused instanceof Refusal ? refused.code : '';
      if (code === 'exists') setExisting(conversation);
      setError(texts.channelErrors[code] ?? texts.failed);
    }
  }

  return (
    <Dialog title={texts.newChannel} onClose={onClose}>
      <form className="form" onSubmit={(event) => void create(event)} noValidate>
        <Field
          label={texts.channelName}
          name="name"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          hint={texts.channelHint}
          error={error}
        />
        <div className="actions">
          {existing && (
            <button
              type="button"
              onClick={() => {
                onClose();
                route.go(existing);
              }}
            >
              {texts.openIt}
            </button>
          )}
          <button className="primary">{texts.create}</button>
        </div>
      </form>
    </Dialog>
  );
}
