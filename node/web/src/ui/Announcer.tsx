// What assistive tools say aloud: messages once they are sent, and what is being typed on request.
// The history itself is silent, or every letter of everybody would be read.

import { useState } from 'react';
import type { Room } from '../state/state';
import { useMe, useTexts } from './context';

export function Announcer({ room }: { room: Room }) {
  const texts = useTexts();
  const me = useMe();
  const [asked, ask] = useState({ times: 0, ghosts: '' });

  function readGhosts() {
    const ghosts = room.timeline.messages.filter(({ typing, username }) => typing && username !== me);
    const all = ghosts.map(({ username, text }) => texts.types(username, text)).join('\n');
    ask(({ times }) => ({ times: times + 1, ghosts: all || texts.noGhosts }));
  }

  // Each has a place of its own: what is said twice is heard twice.
  return (
    <>
      <button className="read-ghosts" onClick={readGhosts}>
        {texts.readGhosts}
      </button>
      <div className="unseen" aria-live="polite" aria-relevant="additions">
        {room.heard.map(({ id, username, text }) => (
          <p key={id}>{texts.says(username, text)}</p>
        ))}
        {asked.times > 0 && <p key={`asked ${asked.times}`}>{asked.ghosts}</p>}
      </div>
    </>
  );
}
