// Which of the client's two screens there is: the way in, or the chat.

import { useEffect } from 'react';
import { callsOf } from '../state/select';
import { Chat } from './Chat';
import { usePreferences, useStore, useTexts } from './context';
import { SignIn } from './SignIn';

export function App() {
  const phase = useStore(({ session }) => session.phase);
  const unreachable = useStore(({ link }) => link === 'lost');
  const texts = useTexts();
  useAppearance();
  useTitle();
  switch (phase) {
    case 'in':
      return <Chat />;
    case 'out':
      return <SignIn />;
    case 'unknown':
      return (
        <main className="splash" aria-busy="true">
          <p role="status">{unreachable ? texts.unreachable : ''}</p>
        </main>
      );
  }
}

/** Light or dark and the language, on the document itself. */
function useAppearance() {
  const { theme, language } = usePreferences();
  useEffect(() => {
    document.documentElement.lang = language;
    document.documentElement.dataset['theme'] = theme;
  }, [theme, language]);
}

/** Counts what calls for this person: privates and mentions. */
function useTitle() {
  const calls = useStore(callsOf);
  const open = useStore(({ open }) => open);
  const inside = useStore(({ session }) => session.phase === 'in');
  useEffect(() => {
    const place = inside && open ? `${open.replace(/^channel\//, '#').replace(/^user\//, '')} · ` : '';
    document.title = `${calls > 0 ? `(${calls}) ` : ''}${place}Ting`;
  }, [calls, open, inside]);
}
