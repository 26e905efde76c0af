// What a person chooses for this device, and what they tell about themselves.

import { useEffect, useState, type SubmitEvent } from 'react';
import { Refusal, type ProfileChange } from '../net/http';
import type { Preferences } from '../preferences';
import { useAround, useMe, usePreferences, useTexts, useTing } from './context';
import { Dialog } from './Dialog';
import { Field } from './Field';

export function Settings({ onClose }: { onClose: () => void }) {
  const ting = useTing();
  const texts = useTexts();
  const me = useMe();
  const [failed, setFailed] = useState(false);
  return (
    <Dialog title={texts.settings} onClose={onClose}>
      <Choices />
      <ProfileForm />
      <section>
        <p className="hint">{texts.signOutHint}</p>
        <button className="danger" onClick={() => void ting.signOut().catch(() => setFailed(true))}>
          {texts.signOut} · {me}
        </button>
        {failed && (
          <p className="error" role="alert">
            {texts.failed}
          </p>
        )}
      </section>
    </Dialog>
  );
}

function Choices() {
  const texts = useTexts();
  const { preferences } = useAround();
  const { live, ghosts, notify, theme, language } = usePreferences();
  const [blocked, setBlocked] = useState(false);

  async function setNotify(wanted: boolean) {
    const allowed = wanted && 'Notification' in window && (await Notification.requestPermission()) === 'granted';
    setBlocked(wanted && !allowed);
    preferences.set({ notify: allowed });
  }

  return (
    <section aria-label={texts.preferences}>
      <Switch label={texts.typingSwitch} hint={texts.typingSwitchHint} on={live} onChange={(live) => preferences.set({ live })} />
      <Switch label={texts.ghostSwitch} on={ghosts} onChange={(ghosts) => preferences.set({ ghosts })} />
      <Switch label={texts.notifySwitch} on={notify} onChange={(wanted) => void setNotify(wanted)} />
      {blocked && (
        <p className="error" role="alert">
          {texts.notifyBlocked}
        </p>
      )}
      <div className="pair">
        <Choice
          label={texts.appearance}
          value={theme}
          options={Object.entries(texts.themes)}
          onChange={(theme) => preferences.set({ theme: theme as Preferences['theme'] })}
        />
        <Choice
          label={texts.language}
          value={language}
          options={[['en', 'English'], ['el', 'Ελληνικά']]}
          onChange={(language) => preferences.set({ language: language as Preferences['language'] })}
        />
      </div>
    </section>
  );
}

interface SwitchProps {
  readonly label: string;
  readonly hint?: string;
  readonly on: boolean;
  readonly onChange: (on: boolean) => void;
}

function Switch({ label, hint, on, onChange }: SwitchProps) {
  return (
    <label className="switch">
      <span>
        {label}
        {hint && <small>{hint}</small>}
      </span>
      <input type="checkbox" role="switch" checked={on} onChange={(event) => onChange(event.target.checked)} />
    </label>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name?: string;
  readonly value?: string;
  readonly options: readonly (readonly [string, string])[];
  readonly onChange?: (value: string) => void;
}

function Choice({ label, name, value, options, onChange }: ChoiceProps) {
  return (
    <label className="field">
      <span>{label}</span>
      <select
        name={name}
        {...(onChange ? { value, onChange: (event) => onChange(event.target.value) } : { defaultValue: value })}
      >
        {options.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}

function ProfileForm() {
  const ting = useTing();
  const texts = useTexts();
  const me = useMe();
  const [fields, setFields] = useState<Readonly<Record<string, string>>>({});
  const [outcome, setOutcome] = useState<'saved' | 'failed' | null>(null);
  const [gender, setGender] = useState('-');
  const [told, setTold] = useState<string | null>(null);

  useEffect(() => {
    let wanted = true;
    ting.profile(me).then(
      (profile) => {
        if (!wanted || !profile?.gender) return;
        setGender(profile.gender);
        setTold(profile.gender);
      },
      // The form works without knowing what was told before.
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [ting, me]);

  async function save(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const given = new FormData(form);
    const change: ProfileChange = {};
    for (const name of ['email', 'password', 'birthday'] as const) {
      const value = String(given.get(name));
      if (value !== '') change[name] = value;
    }
    if (gender !== (told ?? '-')) change.gender = gender;
    setFields({});
    setOutcome(null);
    try {
      if (Object.keys(change).length > 0) await ting.changeProfile(change);
      setOutcome('saved');
      setTold(gender);
      form.reset();
    } catch (refused) {
      const wrong = refused instanceof Refusal ? refused.fields : {};
      setFields(wrong);
      setOutcome(Object.keys(wrong).length > 0 ? null : 'failed');
    }
  }

  const error = (name: string) => (fields[name] === undefined ? null : (texts.fieldErrors[fields[name]] ?? texts.failed));
  return (
    <section>
      <h3>{texts.profile}</h3>
      <p className="hint">{texts.unchanged}</p>
      <form className="form" onSubmit={(event) => void save(event)} noValidate>
        <Field label={texts.email} name="email" type="email" autoComplete="email" error={error('email')} />
        <Field
          label={texts.newPassword}
          name="password"
          type="password"
          autoComplete="new-password"
          hint={texts.newPasswordHint}
          error={error('password')}
        />
        <div className="pair">
          <Field label={texts.birthday} name="birthday" type="date" min="1900-01-01" autoComplete="bday" error={error('birthday')} />
          <Choice label={texts.gender} value={gender} options={Object.entries(texts.genders)} onChange={setGender} />
        </div>
        <div className="actions">
          <p role="status">{outcome === 'saved' ? texts.saved : ''}</p>
          {outcome === 'failed' && (
            <p className="error" role="alert">
              {texts.failed}
            </p>
          )}
          <button className="primary">{texts.save}</button>
        </div>
      </form>
    </section>
  );
}
