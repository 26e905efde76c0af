// Where one is: channels, privates, and how much is unread in each.

import { memo, useMemo } from 'react';
import { keyOf } from '../model';
import { conversationsOf, type Listed } from '../state/select';
import { Avatar } from './Avatar';
import { useLinkTo, useMe, useStore, useTexts } from './context';
import { Icon } from './Icon';

interface Props {
  readonly onChosen: () => void;
  readonly onSettings: () => void;
  readonly onNewChannel: () => void;
}

export function Conversations({ onChosen, onSettings, onNewChannel }: Props) {
  const texts = useTexts();
  const me = useMe();
  const rooms = useStore(({ rooms }) => rooms);
  const channels = useStore(({ channels }) => channels);
  const open = useStore(({ open }) => open);
  const session = useStore(({ session }) => session);
  const listed = useMemo(
    () => conversationsOf({ rooms, channels, open, session }),
    [rooms, channels, open, session],
  );
  return (
    <nav className="side conversations" aria-label={texts.conversations}>
      <header>
        <span className="wordmark">
          Ting<span className="caret" aria-hidden="true" />
        </span>
        <button className="icon-button" aria-label={texts.newChannel} title={texts.newChannel} onClick={onNewChannel}>
          <Icon name="plus" />
        </button>
      </header>
      <ul aria-label={texts.conversations}>
        {listed.map(({ conversation, unread, mentioned, lively }) => (
          <Item
            key={keyOf(conversation)}
            type={conversation.type}
            target={conversation.target}
            unread={unread}
            mentioned={mentioned}
            lively={lively}
            current={keyOf(conversation) === open}
            onChosen={onChosen}
          />
        ))}
      </ul>
      <button className="account" onClick={onSettings}>
        <Avatar name={me} />
        <span className="name">{me}</span>
        <span className="unseen">{texts.settings}</span>
        <Icon name="settings" />
      </button>
    </nav>
  );
}

interface ItemProps extends Omit<Listed, 'conversation'> {
  readonly type: 'channel' | 'user';
  readonly target: string;
  readonly current: boolean;
  readonly onChosen: () => void;
}

const Item = memo(function Item({ type, target, unread, mentioned, lively, current, onChosen }: ItemProps) {
  const texts = useTexts();
  const linkTo = useLinkTo();
  return (
    <li data-type={type}>
      <a
        {...linkTo({ type, target }, onChosen)}
        aria-current={current ? 'page' : undefined}
        data-unread={unread > 0 || undefined}
      >
        {type === 'channel' ? (
          <span className="hash" aria-hidden="true">
            #
          </span>
        ) : (
          <Avatar name={target} />
        )}
        <span className="name">{target}</span>
        {lively && !current && (
          <span className="dots" title={texts.typingHere}>
            <i />
            <i />
            <i />
          </span>
        )}
        {unread > 0 && (
          <span className="badge" data-calls={type === 'user' || mentioned || undefined}>
            <span aria-hidden="true">{unread > 99 ? '99+' : unread}</span>
            <span className="unseen">
              {texts.unread(unread)}
              {mentioned ? `, ${texts.mentioned}` : ''}
            </span>
          </span>
        )}
      </a>
    </li>
  );
});
