import { expect, it } from 'vitest';
import { pieces } from './links';

const links = (text: string) => pieces(text).flatMap(({ href }) => href ?? []);

it('finds web addresses without the punctuation around them', () => {
  expect(links('see https://ting.example/a?b=c#d, or (http://x.example/y).')).toEqual([
    'https://ting.example/a?b=c#d',
    'http://x.example/y',
  ]);
});

it('keeps a bracket that belongs to the address', () => {
  expect(links('https://en.example/wiki/Ting_(chat)')).toEqual(['https://en.example/wiki/Ting_(chat)']);
});

it('interprets nothing else', () => {
  expect(links('javascript:alert(1) data:text/html,x ftp://x www.example.org <a href="x">')).toEqual([]);
});

it('loses no character', () => {
  const text = 'a https://x.example. «https://y.example/ώ» b';
  expect(pieces(text).map((piece) => piece.text).join('')).toBe(text);
});
