// The chat's frame: conversations, the open one, people. On a narrow screen the sides are drawers.

import { useCallback, useEffect, useState } from 'react';
import { Conversations } from './Conversations';
import { useStore, useTexts } from './context';
import { NewChannel } from './NewChannel';
import { People } from './People';
import { RoomView } from './RoomView';
import { Settings } from './Settings';

type Drawer = 'conversations' | 'people' | null;

export function Chat() {
  const texts = useTexts();
  const [drawer, setDrawer] = useState<Drawer>(null);
  const [dialog, setDialog] = useState<'settings' | 'channel' | null>(null);
  const closeDrawer = useCallback(() => setDrawer(null), []);
  const closeDialog = useCallback(() => setDialog(null), []);

  useEffect(() => {
    if (!drawer) return;
    const opener = document.activeElement;
    document.querySelector<HTMLElement>(`.side.${drawer} :is(a, input, button)`)?.focus();
    const onKey = (event: KeyboardEvent) => event.key === 'Escape' && setDrawer(null);
    addEventListener('keydown', onKey);
    return () => {
      removeEventListener('keydown', onKey);
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, [drawer]);

  return (
    <div className="chat" data-drawer={drawer ?? undefined}>
      <a className="skip" href="#message">
        {texts.skip}
      </a>
      <Conversations
        onChosen={closeDrawer}
        onSettings={() => setDialog('settings')}
        onNewChannel={() => setDialog('channel')}
      />
      <main className="room">
        <Connection />
        <RoomView onDrawer={setDrawer} />
      </main>
      <People onChosen={closeDrawer} />
      {drawer && <button className="veil" aria-label={texts.close} onClick={closeDrawer} />}
      {dialog === 'settings' && <Settings onClose={closeDialog} />}
      {dialog === 'channel' && <NewChannel onClose={closeDialog} />}
    </div>
  );
}

/** The quiet banner: empty while all is well. */
function Connection() {
  const link = useStore(({ link }) => link);
  const texts = useTexts();
  const said = { online: '', connecting: texts.connecting, lost: texts.lost, moving: texts.moving }[link];
  return (
    <p className="connection" role="status" data-link={link}>
      {said}
    </p>
  );
}
