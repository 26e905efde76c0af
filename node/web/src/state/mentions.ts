// Whether a text speaks to somebody.

const WORD = /[\p{L}\p{N}_]/u;

/** Whether `text` contains `username` as a word of its own, with or without an @. */
export function mentions(text: string, username: string): boolean {
  const haystack = text.toLocaleLowerCase();
  const needle = username.toLocaleLowerCase();
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    const before = haystack[at - 1] ?? ' ';
    const after = haystack[at + needle.length] ?? ' ';
    if (!WORD.test(before) && !WORD.test(after)) return true;
  }
  return false;
}
