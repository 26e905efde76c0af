// The history: only the lines on the screen are in the document, and reading is never moved.
//
// At the newest end it stays there, whatever grows; anywhere else the line being read stays
// where it is while older pages arrive above it and ghosts grow below.

import { useEffect, useLayoutEffect, useMemo, useRef, useState, type RefObject } from 'react';
import type { Room } from '../state/state';
import { rowsOf } from '../state/select';
import type { Ting } from '../ting';
import { nameOf, useMe, usePreferences, useTexts, useTing } from './context';
import { Icon } from './Icon';
import { Line } from './Line';
import { dayOf, isFollowUp } from './times';
import { useVirtualizer } from './virtualizer';

/** A line's height before it is measured, in pixels. */
const LINE_PX = 52;

/** The space above the oldest line; less than a line, so that an older page arrives out of sight. */
const START_PX = 24;

/** How near to the newest end still counts as being there. */
const END_PX = 80;

/** How many lines from the oldest one the next page is asked for. */
const OLDER_FROM = 15;

export function Log({ room }: { room: Room }) {
  const ting = useTing();
  const texts = useTexts();
  const me = useMe();
  const { ghosts } = usePreferences();
  const scroller = useRef<HTMLDivElement>(null);
  const [away, setAway] = useState(false);
  const atEnd = useRef(true);
  const { conversation, timeline, own, reading, firstUnread } = room;
  const all = useMemo(() => rowsOf({ timeline, own }, me, ghosts), [timeline, own, me, ghosts]);
  // A line's day and heading depend on the line above it. The oldest one known is held back until
  // there is one, or it would shrink under the reader's eyes when its page arrives.
  const held = timeline.more && all.length > 1 ? 1 : 0;

  const virtualizer = useVirtualizer({
    count: all.length - held,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => all[index + held]!.key,
    estimateSize: () => LINE_PX,
    anchorTo: 'end',
    followOnAppend: true,
    scrollEndThreshold: END_PX,
    overscan: 8,
    paddingStart: START_PX,
    paddingEnd: 12,
    // Exact, as the lines stand in the page's own flow: rounded heights would add up to a jump.
    measureElement: (element, entry, { itemSizeCache }) =>
      entry?.borderBoxSize[0]?.blockSize ??
      itemSizeCache.get(all[Number(element.getAttribute('data-index')) + held]?.key ?? '') ??
      element.getBoundingClientRect().height,
  });
  const items = virtualizer.getVirtualItems();

  // Lines turn out taller than was estimated after the end was scrolled to.
  const size = virtualizer.getTotalSize();
  useLayoutEffect(() => {
    if (atEnd.current) virtualizer.scrollToEnd();
  }, [virtualizer, size]);

  // The box below grows, a keyboard opens, a phone is turned: the newest line stays in view.
  useEffect(() => {
    const observer = new ResizeObserver(() => atEnd.current && virtualizer.scrollToEnd());
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, [virtualizer]);

  // One's own sent message is shown, wherever one was reading.
  const sending = own.findLast(({ phase }) => phase === 'sending')?.key;
  useLayoutEffect(() => {
    if (sending !== undefined) virtualizer.scrollToEnd();
  }, [virtualizer, sending]);

  const first = items[0]?.index ?? 0;
  const { older, beginning } = useOlder(ting, room, scroller, reading === 'ready' && all.length > 0 && first < OLDER_FROM);

  return (
    <div className="log-frame">
      <div
        ref={scroller}
        className="log"
        role="log"
        aria-live="off"
        aria-label={conversation.type === 'channel' ? texts.history(nameOf(conversation)) : texts.privateWith(conversation.target)}
        aria-busy={reading === 'reading' || older}
        tabIndex={0}
        onScroll={() => {
          atEnd.current = virtualizer.isAtEnd(END_PX);
          setAway(!virtualizer.isAtEnd(END_PX * 3));
        }}
      >
        <div className="log-size" style={{ height: size }}>
          <p className="log-start">{older ? texts.loadingOlder : beginning ? texts.beginning : ''}</p>
          <div className="log-lines" style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map(({ index, key }) => {
              const row = all[index + held]!;
              const above = all[index + held - 1]?.message;
              const day = dayOf(row.message.datetime_start);
              return (
                <div key={key} data-index={index} ref={virtualizer.measureElement}>
                  <Line
                    row={row}
                    me={me}
                    day={above && dayOf(above.datetime_start) === day ? null : day}
                    followUp={above !== undefined && isFollowUp(above, row.message)}
                    firstUnread={row.message.id === firstUnread}
                  />
                </div>
              );
            })}
          </div>
        </div>
        {reading === 'ready' && all.length === 0 && (
          <p className="log-empty">
            {conversation.type === 'channel' ? texts.emptyChannel : texts.emptyPrivate(conversation.target)}
          </p>
        )}
      </div>
      {away && (
        <button className="to-newest" onClick={() => virtualizer.scrollToEnd()} title={texts.toNewest}>
          <Icon name="down" />
          <span className="unseen">{texts.toNewest}</span>
        </button>
      )}
    </div>
  );
}

/** Reads the page before the oldest message, each time the reader comes near it. */
function useOlder(
  ting: Ting,
  room: Room,
  scroller: RefObject<HTMLElement | null>,
  near: boolean,
): { older: boolean; beginning: boolean } {
  const [older, setOlder] = useState(false);
  const { conversation, timeline } = room;
  const { more } = timeline;
  const oldest = timeline.messages[0]?.id;
  const latest = useRef(conversation);
  latest.current = conversation;
  // Another oldest message makes it another page, even while the reader stays near.
  useEffect(() => {
    // The first lines are drawn from the top before the newest end is scrolled to.
    const arriving = (scroller.current?.scrollTop ?? 0) > OLDER_FROM * LINE_PX * 2;
    if (!near || arriving || !more || oldest === undefined) return;
    let wanted = true;
    setOlder(true);
    ting
      .older(latest.current)
      // When it can't be read now, scrolling there again asks again.
      .catch(() => undefined)
      .finally(() => wanted && setOlder(false));
    return () => {
      wanted = false;
    };
  }, [ting, scroller, near, more, oldest]);
  return { older, beginning: !more && oldest !== undefined };
}
