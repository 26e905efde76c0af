import { describe, expect, it } from 'vitest';
import { carried, shelf } from './shelf';

class MapStorage {
  readonly all = new Map<string, string>();
  get length() {
    return this.all.size;
  }
  key = (index: number) => [...this.all.keys()][index] ?? null;
  getItem = (name: string) => this.all.get(name) ?? null;
  setItem = (name: string, value: string) => void this.all.set(name, value);
  removeItem = (name: string) => void this.all.delete(name);
}

const open = (storage: MapStorage, page = new EventTarget()) => ({
  page,
  own: carried(shelf(() => storage as unknown as Storage), page),
});

describe("a tab's own shelf", () => {
  it('goes through a reload', () => {
    const storage = new MapStorage();
    const { page, own } = open(storage);
    own.set('typing/ada', 'hello');
    page.dispatchEvent(new Event('pagehide'));
    expect(open(storage).own.get('typing/ada')).toBe('hello');
  });

  it('is not in the tab that is made a copy of it', () => {
    const storage = new MapStorage();
    const first = open(storage);
    first.own.set('typing/ada', 'hello');
    first.page.dispatchEvent(new Event('pagehide'));
    open(storage);
    expect(storage.all.size).toBe(0);
  });

  it('is taken up again by a page that comes back out of the cache', () => {
    const storage = new MapStorage();
    const { page, own } = open(storage);
    own.set('typing/ada', 'hello');
    page.dispatchEvent(new Event('pagehide'));
    page.dispatchEvent(new Event('pageshow'));
    expect(storage.all.size).toBe(0);
    expect(own.names('typing/')).toEqual(['typing/ada']);
  });
});
