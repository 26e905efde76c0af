// What calls a person back: notifications for privates and mentions, and nothing else.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';

let world;
before(async () => {
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

/** Somebody whose window records notifications and can lose the focus. */
async function watched(name) {
  const person = await world.visitor();
  await person.page.addInitScript(() => {
    window.notices = [];
    window.Notification = class {
      static permission = 'granted';
      static requestPermission = async () => 'granted';
      constructor(title, { body }) {
        window.notices.push(`${title}: ${body}`);
      }
    };
    let focused = true;
    document.hasFocus = () => focused;
    window.look = (at) => {
      focused = at;
      dispatchEvent(new Event(at ? 'focus' : 'blur'));
    };
  });
  await person.page.reload();
  await person.joins(name);
  return person;
}

test('a private and a mention notify who has asked for it and looks elsewhere', async () => {
  const ada = await watched('ada1');
  const [bob] = await world.people('bob1');
  const settings = await ada.openSettings();
  await settings.getByLabel('Notify me of privates and mentions').click();
  await settings.getByRole('button', { name: 'Close' }).click();
  await bob.sends('@ada1 while you look');
  await ada.sees('while you look');
  await ada.page.evaluate(() => window.look(false));
  await bob.sends('to nobody');
  await bob.sends('to @ada1');
  await bob.speaksTo('ada1');
  await bob.sends('between us');
  await ada.page.waitForFunction(() => window.notices.length === 2);
  assert.deepEqual(await ada.page.evaluate(() => window.notices), ['bob1 in #ting: to @ada1', 'bob1: between us']);
});

test('what came while one looked elsewhere is marked and counted until one looks again', async () => {
  const ada = await watched('ada2');
  const [bob] = await world.people('bob2');
  await bob.sends('seen');
  await ada.sees('seen');
  await ada.page.evaluate(() => window.look(false));
  await bob.sends('missed');
  await ada.conversations.getByText('1 unread').waitFor();
  await ada.page.getByText('New', { exact: true }).waitFor();
  await ada.page.evaluate(() => window.look(true));
  await ada.noLongerSees(ada.conversations.getByText('unread'));
  // The line stays, for reading on from there.
  await ada.page.getByText('New', { exact: true }).waitFor();
});
