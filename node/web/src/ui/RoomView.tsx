// The open conversation: who or what it is, its history, and the box to write in.

import { useEffect, useState } from 'react';
import { HOME, keyOf, type Conversation, type Profile } from '../model';
import { Refusal } from '../net/http';
import type { Room } from '../state/state';
import { Announcer } from './Announcer';
import { Avatar } from './Avatar';
import { Composer } from './Composer';
import { nameOf, useAround, useLinkTo, useStore, useTexts, useTing } from './context';
import { Icon } from './Icon';
import { Log } from './Log';

interface Props {
  readonly onDrawer: (drawer: 'conversations' | 'people') => void;
}

export function RoomView({ onDrawer }: Props) {
  const room = useStore(({ open, rooms }) => (open ? rooms.get(open) : undefined));
  if (!room) return null;
  const { conversation } = room;
  return (
    <>
      <Header conversation={conversation} known={room.reading !== 'missing'} onDrawer={onDrawer} />
      {room.reading === 'missing' ? (
        <Missing conversation={conversation} />
      ) : (
        <Present key={keyOf(conversation)} room={room} />
      )}
    </>
  );
}

function Present({ room }: { room: Room }) {
  const { conversation } = room;
  return (
    <>
      <Log room={room} />
      <Composer conversation={conversation} />
      <Announcer room={room} />
    </>
  );
}

interface HeaderProps extends Props {
  readonly conversation: Conversation;
  readonly known: boolean;
}

function Header({ conversation, known, onDrawer }: HeaderProps) {
  const ting = useTing();
  const texts = useTexts();
  const { route } = useAround();
  const { type, target } = conversation;
  const count = useStore(({ people }) => people.size);
  return (
    <header className="room-header">
      <button
        className="icon-button to-conversations"
        aria-label={texts.showConversations}
        onClick={() => onDrawer('conversations')}
      >
        <Icon name="menu" />
      </button>
      {type === 'user' && <Avatar name={target} />}
      <div className="room-name">
        <h1>{nameOf(conversation)}</h1>
        {type === 'user' && known && <About username={target} />}
      </div>
      {type === 'channel' && target !== HOME.target && known && (
        <button
          className="icon-button"
          aria-label={texts.leave}
          title={texts.leave}
          onClick={() => {
            route.go(HOME);
            ting.leaveChannel(target);
          }}
        >
          <Icon name="leave" />
        </button>
      )}
      <button className="icon-button to-people" onClick={() => onDrawer('people')}>
        <Icon name="people" />
        <span className="unseen">{texts.showPeople}</span>
        {count}
      </button>
    </header>
  );
}

/** What a person has told about themselves, beside whether they are here. */
function About({ username }: { username: string }) {
  const ting = useTing();
  const texts = useTexts();
  const online = useStore(({ people }) => people.has(username));
  const [profile, setProfile] = useState<Profile | null>(null);
  useEffect(() => {
    let wanted = true;
    setProfile(null);
    // It is an ornament: when it can't be read, the name has to do.
    ting.profile(username).then(
      (found) => wanted && setProfile(found),
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [ting, username]);
  const gender = profile?.gender === 'male' ? texts.male : profile?.gender === 'female' ? texts.female : null;
  const told = [
    online ? texts.isOnline : texts.isOffline,
    gender,
    profile?.age == null ? null : texts.years(profile.age),
  ].filter((part) => part !== null);
  return (
    <p className="about" data-online={online || undefined}>
      {told.join(' · ')}
    </p>
  );
}

/** There is no such conversation; a channel can be made. */
function Missing({ conversation }: { conversation: Conversation }) {
  const ting = useTing();
  const texts = useTexts();
  const linkTo = useLinkTo();
  const [error, setError] = useState<string | null>(null);
  const { type, target } = conversation;

  async function create() {
    try {
      await ting.createChannel(target);
      ting.open(conversation);
    } catch (refused) {
      const code = refused instanceof Refusal ? refused.code : '';
      // Somebody made it a moment ago: all the better.
      if (code === 'exists') ting.open(conversation);
      else setError(texts.channelErrors[code] ?? texts.failed);
    }
  }

  return (
    <div className="missing">
      <p>{type === 'channel' ? texts.noChannel(nameOf(conversation)) : texts.noPerson(target)}</p>
      {type === 'channel' && (
        <button className="primary" onClick={() => void create()}>
          {texts.createChannel(target)}
        </button>
      )}
      {error && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
      <a {...linkTo(HOME)}>{texts.backHome}</a>
    </div>
  );
}
