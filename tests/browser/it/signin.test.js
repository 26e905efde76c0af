// The way in and out, and what a person tells about themselves.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';

let world;
before(async () => {
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

/** What is said beside a field. */
async function saidBeside(person, label) {
  const field = person.page.getByLabel(label);
  await person.page.waitForFunction((input) => input.getAttribute('aria-invalid') === 'true', await field.elementHandle());
  const id = await field.getAttribute('aria-describedby');
  return person.page.locator(`[id="${id}"]`).textContent();
}

test('what is wrong with a name is said beside it', async () => {
  const ada = await world.visitor();
  const cases = [
    ['', /Choose a name/],
    ['a'.repeat(21), /20 characters at most/],
    ['ada lovelace', /without spaces/],
  ];
  for (const [name, said] of cases) {
    await ada.fillsIn(name);
    assert.match(await saidBeside(ada, 'Username'), said);
  }
});

test('a name in use is refused, and a password for a name nobody has', async () => {
  await world.people('grace');
  const ada = await world.visitor();
  await ada.fillsIn('grace');
  assert.match(await saidBeside(ada, 'Username'), /using this name/);
  await ada.fillsIn('nobody', 'secret');
  assert.match(await saidBeside(ada, 'Password'), /Nobody has this name/);
});

test('a Greek name is welcome', async () => {
  const [maria, bob] = await world.people('Μαρία', 'bob2');
  await maria.sends('καλημέρα');
  await bob.sees('καλημέρα');
  await bob.online('Μαρία').waitFor();
});

test('who comes back is still signed in, and can sign out', async () => {
  const [ada] = await world.people('ada3');
  await ada.page.reload();
  await ada.isIn();
  const settings = await ada.openSettings();
  await settings.getByRole('button', { name: /Sign out/ }).click();
  await ada.page.getByLabel('Username').waitFor();
  await ada.page.reload();
  await ada.page.getByLabel('Username').waitFor();
  // Without a password the name is free at once.
  await world.people('ada3');
});

test('who is signed out in one window is signed out in the other', async () => {
  const [ada] = await world.people('ada4');
  const other = await ada.page.context().newPage();
  await other.goto(world.ting.url);
  await other.getByRole('log').waitFor();
  const settings = await ada.openSettings();
  await settings.getByRole('button', { name: /Sign out/ }).click();
  await other.getByText('You have been signed out').waitFor();
});

test('a password protects a name', async () => {
  const [ada] = await world.people('ada5');
  const settings = await ada.openSettings();
  await settings.getByLabel('New password').fill('open sesame');
  await settings.getByRole('button', { name: 'Save' }).click();
  await settings.getByText('Saved.').waitFor();
  const other = await world.visitor();
  await other.fillsIn('ada5');
  assert.match(await saidBeside(other, 'Password'), /protected/);
  await other.fillsIn('ada5', 'wrong');
  assert.match(await saidBeside(other, 'Password'), /not the password/);
  await other.joins('ada5', 'open sesame');
});

test('what is wrong with a profile is said beside each field', async () => {
  const [ada] = await world.people('ada6');
  const settings = await ada.openSettings();
  await settings.getByLabel('E-mail').fill('not an address');
  await settings.getByLabel('New password').fill('x'.repeat(129));
  await settings.getByLabel('Birthday').fill('2199-01-01');
  await settings.getByRole('button', { name: 'Save' }).click();
  assert.match(await saidBeside(ada, 'E-mail'), /not valid/);
  assert.match(await saidBeside(ada, 'New password'), /too long/);
  assert.match(await saidBeside(ada, 'Birthday'), /not come yet/);
  await settings.getByLabel('New password').fill('');
  await settings.getByLabel('E-mail').fill('ada@example.org');
  await settings.getByLabel('Birthday').fill('1990-12-10');
  await settings.getByLabel('Gender').selectOption('female');
  await settings.getByRole('button', { name: 'Save' }).click();
  await settings.getByText('Saved.').waitFor();
  const [bob] = await world.people('bob6');
  await bob.speaksTo('ada6');
  await bob.page.getByText(/online · female · \d+ years/).waitFor();
});

test('the client speaks Greek where the browser does', async () => {
  const maria = await world.visitor({ locale: 'el-GR' });
  await maria.page.getByLabel('Όνομα χρήστη').fill('μαρία7');
  await maria.page.getByRole('button', { name: 'Είσοδος' }).click();
  await maria.page.getByRole('textbox', { name: 'Μήνυμα' }).waitFor();
  assert.equal(await maria.page.locator('html').getAttribute('lang'), 'el');
});

test('who joins and who leaves is seen', async () => {
  const [ada, bob] = await world.people('ada8', 'bob8');
  await ada.online('bob8').waitFor();
  await bob.page.close();
  await ada.noLongerSees(ada.online('bob8'));
});

test('an appearance and a language that were chosen stay, and every window follows', async () => {
  const [ada] = await world.people('ada9');
  const other = await ada.page.context().newPage();
  await other.goto(world.ting.url);
  await other.getByRole('log').waitFor();
  const settings = await ada.openSettings();
  await settings.getByLabel('Appearance').selectOption('dark');
  await settings.getByLabel('Language').selectOption('el');
  await ada.page.reload();
  for (const page of [ada.page, other]) {
    await page.getByRole('textbox', { name: 'Μήνυμα' }).waitFor();
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'dark');
  }
});

test('the language can be chosen before one is in', async () => {
  const maria = await world.visitor();
  await maria.page.getByRole('button', { name: 'Ελληνικά' }).click();
  await maria.page.getByRole('button', { name: 'Είσοδος' }).waitFor();
});

test('a thousand people online are listed, and one is found by name', async () => {
  const sockets = [];
  for (let number = 0; number < 1_000; number += 50) {
    sockets.push(...(await Promise.all(Array.from({ length: 50 }, (_, index) => world.typist(`many${number + index}`)))));
  }
  const [ada] = await world.people('ada10');
  await ada.page.getByRole('heading', { name: '1001 online' }).waitFor();
  await ada.page.getByLabel('Find a person').fill('MANY777');
  await ada.online('many777').click();
  await ada.page.getByRole('heading', { level: 1, name: 'many777' }).waitFor();
});
