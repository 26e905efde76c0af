// The virtual list as a hook: of its adapter for React the client needs these few lines.

import { elementScroll, observeElementOffset, observeElementRect, Virtualizer, type VirtualizerOptions } from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useRef, useState } from 'react';
import { flushSync } from 'react-dom';

type Options = Omit<VirtualizerOptions<HTMLElement, HTMLElement>, 'observeElementRect' | 'observeElementOffset' | 'scrollToFn'>;

export function useVirtualizer(options: Options): Virtualizer<HTMLElement, HTMLElement> {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  // A line that is measured while React draws may not make it draw at once.
  const measuring = useRef(false);
  const all: VirtualizerOptions<HTMLElement, HTMLElement> = {
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    ...options,
    onChange: (_, sync) => (sync && !measuring.current ? flushSync(draw) : draw()),
  };
  const [virtualizer] = useState(() => {
    const made = new Virtualizer(all);
    const { measureElement } = made;
    made.measureElement = (element) => {
      measuring.current = true;
      measureElement(element);
      measuring.current = false;
    };
    return made;
  });
  virtualizer.setOptions(all);
  useLayoutEffect(() => virtualizer._didMount(), [virtualizer]);
  useLayoutEffect(() => virtualizer._willUpdate());
  return virtualizer;
}
