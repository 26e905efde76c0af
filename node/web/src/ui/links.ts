// Finds the web addresses in a text. Nothing else in it is interpreted.

export interface Piece {
  readonly text: string;
  readonly href: string | null;
}

const ADDRESS = /\bhttps?:\/\/[^\s<>"]+/giu;

export function pieces(text: string): Piece[] {
  const all: Piece[] = [];
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const address = withoutTail(found[0]);
    if (!URL.canParse(address)) continue;
    if (found.index > end) all.push({ text: text.slice(end, found.index), href: null });
    all.push({ text: address, href: address });
    end = found.index + address.length;
  }
  if (end < text.length) all.push({ text: text.slice(end), href: null });
  return all;
}

/** The sentence's own punctuation is not part of the address; a closing bracket is, if it opens in it. */
function withoutTail(address: string): string {
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1]!;
    if (/[.,;:!?'…·»]/u.test(last)) continue;
    const opening = { ')': '(', ']': '[', '}': '{' }[last];
    if (!opening || count(address.slice(0, end), opening) >= count(address.slice(0, end), last)) break;
  }
  return address.slice(0, end);
}

function count(text: string, character: string): number {
  return text.split(character).length - 1;
}
