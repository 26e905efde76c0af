// Draws the client as people see it, to be judged by eye: into the directory that is named, or
// tests/.logs/pictures. The README's two go where it shows them from when `--readme` is given.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { World } from './lib/people.js';
import { begins } from './lib/sockets.js';

const README = join(import.meta.dirname, '../../node/web/pictures');
const [first] = process.argv.slice(2);
const readme = first === '--readme';
const directory = readme || !first ? join(import.meta.dirname, '../.logs/pictures') : first;
await mkdir(directory, { recursive: true });

const WIDE = { viewport: { width: 1180, height: 760 } };
const PHONE = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true };
const TINY = { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true };
const DARK = { colorScheme: 'dark' };

const world = await World.begin();
try {
  await pictures();
} finally {
  await world.end();
}

async function picture(person, name, into = directory) {
  // The pointer lies on nothing, and what fades in or slides has arrived.
  await person.page.mouse.move(0, 0);
  await person.page.evaluate(() => Promise.all(document.getAnimations().filter(({ effect }) => effect.getTiming().iterations !== Infinity).map(({ finished }) => finished)));
  await person.page.screenshot({ path: join(into, `${name}.png`) });
}

async function arrives(name, options) {
  const person = await world.visitor(options);
  person.name = name;
  // In any language.
  await person.page.locator('[name=username]').fill(name);
  await person.page.keyboard.press('Enter');
  await person.page.locator('#message').waitFor();
  return person;
}

async function pictures() {
  for (const [name, options] of [['signin', WIDE], ['signin-dark', { ...WIDE, ...DARK }], ['signin-tiny', TINY], ['signin-greek', { ...PHONE, locale: 'el-GR' }]]) {
    const visitor = await world.visitor(options);
    await visitor.page.getByRole('button').first().waitFor();
    await picture(visitor, name);
    if (name !== 'signin') continue;
    await visitor.fillsIn('nobody', 'secret');
    await visitor.page.getByRole('alert').waitFor();
    await picture(visitor, 'signin-refused');
  }

  const names = ['Grace_Hopper', 'turing', 'Νίκος', 'zoe', 'bob'];
  const sockets = new Map();
  for (const name of names) sockets.set(name, await world.typist(name));
  await world.ting.say('Grace_Hopper', 'Good morning! Has anybody looked at the keystroke path?');
  await world.ting.say('turing', 'I have a theory about the jitter.');
  await world.ting.say('turing', 'It is the timer wheel, not the socket. See https://ting.example/jitter');
  const ada = await arrives('ada', WIDE);
  await world.ting.say('bob', '@ada can you reproduce it?');
  const typed = [
    ['Νίκος', 'Νομίζω ότι το πρόβλημα είναι'],
    ['zoe', 'wait, I can reproduce it with two tabs and'],
    ['bob', 'let me check the'],
    ['turing', 'if you hold the key down,'],
    ['Grace_Hopper', 'A relay keeps what it has shown, and tells only what differs, so a reader who comes back sees nothing twice'],
  ];
  for (const [name, text] of typed) await begins(sockets.get(name), text);
  await begins(sockets.get('zoe'), 'are you there?', 'ada', 'user');
  await world.ting.say('zoe', 'Lunch at one?', 'user', 'ada');
  await ada.types('I will look at it after lunch');
  await ada.seesGhost('nothing twice');
  await ada.conversations.getByText('1 unread').waitFor();
  await picture(ada, 'channel', readme ? README : directory);

  const phone = await arrives('lin', { ...PHONE, ...DARK });
  await phone.seesGhost('I will look');
  await picture(phone, 'phone', readme ? README : directory);
  await phone.page.getByRole('button', { name: 'Show conversations' }).click();
  await picture(phone, 'phone-conversations');
  await phone.page.keyboard.press('Escape');
  const tiny = await arrives('a_name_of_20_letters', TINY);
  await tiny.seesGhost('I will look');
  await picture(tiny, 'tiny');
  await tiny.page.getByRole('button', { name: 'Show people' }).click();
  await picture(tiny, 'tiny-people');
  await tiny.page.keyboard.press('Escape');
  await tiny.page.getByRole('button', { name: 'Show conversations' }).click();
  await tiny.openSettings();
  await picture(tiny, 'tiny-settings');
  const dark = await arrives('dora', { ...WIDE, ...DARK });
  await dark.seesGhost('I will look');
  await picture(dark, 'dark');
  const maria = await arrives('μαρία', { ...WIDE, locale: 'el-GR' });
  await maria.seesGhost('I will look');
  await picture(maria, 'greek');

  await ada.goesTo('zoe');
  await ada.erases();
  await ada.sees('Lunch at one?');
  await ada.sends('At one, by the door');
  await ada.types('and bring the');
  await picture(ada, 'private');
  await ada.openSettings();
  await picture(ada, 'settings');
  await ada.page.keyboard.press('Escape');
  await ada.goesTo('ting');
  await dark.openSettings();
  await picture(dark, 'settings-dark');
  await dark.page.keyboard.press('Escape');
  for (const socket of sockets.values()) socket.disconnect();
  await world.ting.kill();
  for (const person of [ada, phone]) {
    await person.connection.getByText('Connection lost').waitFor();
    await person.sends('and this while it is away');
  }
  await picture(ada, 'reconnecting');
  await picture(phone, 'phone-reconnecting');
}
