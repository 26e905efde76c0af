// The way in: a name, and a password where the name has one.

import { useState, type SubmitEvent } from 'react';
import { Refusal } from '../net/http';
import { usePreferences, useAround, useTexts, useStore, useTing } from './context';
import { Field } from './Field';

/** Which field an error is about; the rest is about the whole form. */
const ABOUT_PASSWORD = ['password_required', 'wrong_password', 'not_found'];
const ABOUT_USERNAME = ['empty', 'length', 'chars', 'taken', 'username_reserved'];

export function SignIn() {
  const ting = useTing();
  const texts = useTexts();
  const because = useStore(({ session }) => (session.phase === 'out' ? session.because : null));
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function join(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const given = new FormData(form);
    setBusy(true);
    setError(null);
    try {
      await ting.signIn(String(given.get('username')).normalize('NFC'), String(given.get('password')));
    } catch (refused) {
      const code = refused instanceof Refusal ? refused.code : 'unavailable';
      setError(code);
      setBusy(false);
      const field = ABOUT_PASSWORD.includes(code) ? 'password' : 'username';
      form.querySelector<HTMLInputElement>(`[name=${field}]`)?.focus();
    }
  }

  const said = error === null ? null : (texts.errors[error] ?? texts.failed);
  const about = (codes: readonly string[]) => (error !== null && codes.includes(error) ? said : null);
  return (
    <main className="signin">
      <div className="signin-card">
        <h1 className="wordmark">
          Ting<span className="caret" aria-hidden="true" />
        </h1>
        <p className="tagline">{texts.tagline}</p>
        {because === 'ended' && <p className="notice">{texts.signedOut}</p>}
        <form onSubmit={(event) => void join(event)} noValidate>
          <Field
            label={texts.username}
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            autoCorrect="off"
            spellCheck={false}
            autoFocus
            hint={texts.usernameHint}
            error={about(ABOUT_USERNAME)}
          />
          <Field
            label={texts.password}
            name="password"
            type="password"
            autoComplete="current-password"
            hint={texts.passwordHint}
            error={about(ABOUT_PASSWORD)}
          />
          {error !== null && !ABOUT_PASSWORD.includes(error) && !ABOUT_USERNAME.includes(error) && (
            <p className="error" role="alert">
              {said}
            </p>
          )}
          <button className="primary" disabled={busy}>
            {busy ? texts.joining : texts.join}
          </button>
        </form>
      </div>
      <LanguageSwitch />
    </main>
  );
}

function LanguageSwitch() {
  const { preferences } = useAround();
  const { language } = usePreferences();
  const other = language === 'en' ? 'el' : 'en';
  return (
    <button className="quiet" lang={other} onClick={() => preferences.set({ language: other })}>
      {other === 'el' ? 'Ελληνικά' : 'English'}
    </button>
  );
}
