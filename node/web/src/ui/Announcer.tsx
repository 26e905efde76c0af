// What assistive tools say aloud: messages once they are sent, and what is being typed on request.
// The history itself is silent, or every letter of everybody would be read.

import { useEffect, useRef, useState } from 'react';
import type { Room } from '../state/state';
import { useMe, useStore, useTexts } from './context';

export function Announcer({ room }: { room: Room }) {
  const texts = useTexts();
  const me = useMe();
  const arrivals = useStore(({ arrivals }) => arrivals);
  const [said, say] = useState('');
  const before = useRef(arrivals);
  const { type, target } = room.conversation;

  useEffect(() => {
    if (!arrivals || arrivals === before.current) return;
    before.current = arrivals;
    if (arrivals.conversation.type !== type || arrivals.conversation.target !== target) return;
    say(arrivals.messages.map(({ username, text }) => texts.says(username, text)).join('\n'));
  }, [arrivals, type, target, texts]);

  function readGhosts() {
    const ghosts = room.timeline.messages.filter(({ typing, username }) => typing && username !== me);
    say(ghosts.map(({ username, text }) => texts.types(username, text)).join('\n') || texts.noGhosts);
  }

  return (
    <>
      <button className="read-ghosts" onClick={readGhosts}>
        {texts.readGhosts}
      </button>
      <div className="unseen" aria-live="polite">
        {said}
      </div>
    </>
  );
}
