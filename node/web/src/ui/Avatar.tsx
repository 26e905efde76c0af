// A face made from a name: its first letter on a colour of its own.

import { memo, type CSSProperties } from 'react';

/** A colour's angle for a name; the same on every device. */
export function hueOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  // Mixed once more: short names differ in few bits, and neighbours should not look alike.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) % 360;
}

export function hueStyle(name: string): CSSProperties {
  return { '--hue': hueOf(name) } as CSSProperties;
}

export const Avatar = memo(function Avatar({ name }: { name: string }) {
  const [letter = '?'] = name;
  return (
    <span className="avatar" style={hueStyle(name)} aria-hidden="true">
      {letter.toLocaleUpperCase()}
    </span>
  );
});
