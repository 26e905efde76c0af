// Who is online.

import { memo, useDeferredValue, useMemo, useState } from 'react';
import { Avatar } from './Avatar';
import { useLinkTo, useMe, usePreferences, useStore, useTexts } from './context';

/** From how many people on a list needs a search. */
const SEARCH_FROM = 12;

export function People({ onChosen }: { onChosen: () => void }) {
  const texts = useTexts();
  const me = useMe();
  const { language } = usePreferences();
  // A thousand people come and go while somebody types: the list may lag behind the letters.
  const people = useDeferredValue(useStore(({ people }) => people));
  const [wanted, setWanted] = useState('');
  const sorted = useMemo(() => {
    const { compare } = new Intl.Collator(language, { sensitivity: 'base' });
    return [...people].sort((a, b) => Number(b === me) - Number(a === me) || compare(a, b));
  }, [people, language, me]);
  const shown = useMemo(() => {
    const needle = wanted.toLocaleLowerCase();
    return needle === '' ? sorted : sorted.filter((name) => name.toLocaleLowerCase().includes(needle));
  }, [sorted, wanted]);
  return (
    <aside className="side people" aria-label={texts.people}>
      <header>
        <h2>{texts.online(people.size)}</h2>
      </header>
      {(people.size >= SEARCH_FROM || wanted !== '') && (
        <input
          type="search"
          aria-label={texts.findPerson}
          placeholder={texts.findPerson}
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
      )}
      <ul aria-label={texts.people} tabIndex={0}>
        {shown.map((name) => (
          <Person key={name} name={name} me={name === me} onChosen={onChosen} />
        ))}
      </ul>
      {shown.length === 0 && wanted !== '' && <p className="hint">{texts.nobodyFound}</p>}
    </aside>
  );
}

interface PersonProps {
  readonly name: string;
  readonly me: boolean;
  readonly onChosen: () => void;
}

const Person = memo(function Person({ name, me, onChosen }: PersonProps) {
  const texts = useTexts();
  const linkTo = useLinkTo();
  if (me) {
    return (
      <li>
        <span className="person">
          <Avatar name={name} />
          <span className="name">{name}</span> <span className="hint">{texts.you}</span>
        </span>
      </li>
    );
  }
  return (
    <li>
      <a className="person" {...linkTo({ type: 'user', target: name }, onChosen)}>
        <Avatar name={name} />
        <span className="name">{name}</span>
      </a>
    </li>
  );
});
