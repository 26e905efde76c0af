// Channels: in the address, in the list, made when there are none.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';

let world;
before(async () => {
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

test('a channel is made, and others meet there by its address', async () => {
  const [ada, bob] = await world.people('ada1', 'bob1');
  await ada.page.getByRole('button', { name: 'New channel' }).click();
  await ada.page.getByLabel('Channel name').fill('sailing');
  await ada.page.getByRole('button', { name: 'Create' }).click();
  await ada.page.waitForURL('**/channel/sailing');
  await bob.opens('/channel/sailing');
  await bob.isIn();
  await ada.types('ahoy');
  await bob.seesGhost('ahoy');
  await ada.sends();
  await bob.sees('ahoy');
});

test('a channel that does not exist can be made where it was looked for', async () => {
  const [ada] = await world.people('ada2');
  await ada.opens('/channel/chess');
  await ada.page.getByText('There is no channel called #chess.').waitFor();
  await ada.page.getByRole('button', { name: 'Create #chess' }).click();
  await ada.sends('e4');
  await ada.sees('e4');
});

test('a bad or taken channel name is said beside it', async () => {
  const [ada] = await world.people('ada3');
  await ada.page.getByRole('button', { name: 'New channel' }).click();
  const dialog = ada.page.getByRole('dialog');
  await dialog.getByLabel('Channel name').fill('two words');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByRole('alert').getByText('Only A–Z').waitFor();
  await dialog.getByLabel('Channel name').fill('ting');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.getByRole('alert').getByText('exists already').waitFor();
});

test('what others send in another channel is counted until it is read', async () => {
  const [ada, bob] = await world.people('ada4', 'bob4');
  await ada.opens('/channel/garden');
  await ada.page.getByRole('button', { name: 'Create #garden' }).click();
  await ada.sends('spring');
  await bob.opens('/channel/garden');
  await bob.sees('spring');
  await bob.goesTo('ting');
  await ada.sends('summer');
  await bob.conversations.getByText('1 unread').waitFor();
  // Also what comes while the window is closed.
  await bob.page.goto('about:blank');
  await ada.sends('autumn');
  await ada.sees('autumn');
  await bob.opens('/channel/ting');
  await bob.conversations.getByText('2 unread').waitFor();
  await bob.goesTo('garden');
  await bob.sees('autumn');
  assert.equal(await bob.conversations.getByText('unread').count(), 0);
});

test('who leaves a channel hears it no more', async () => {
  const [ada, bob] = await world.people('ada5', 'bob5');
  await ada.opens('/channel/attic');
  await ada.page.getByRole('button', { name: 'Create #attic' }).click();
  await ada.isIn();
  await bob.opens('/channel/attic');
  await bob.isIn();
  await bob.page.getByRole('button', { name: 'Leave this channel' }).click();
  await bob.page.waitForURL('**/channel/ting');
  assert.equal(await bob.conversations.getByRole('link', { name: 'attic' }).count(), 0);
  await ada.sends('dust');
  await ada.goesTo('ting');
  await ada.sends('marker');
  await bob.sees('marker');
  assert.equal(await bob.conversations.getByRole('link').count(), 1);
});

test('the address names the conversation, and without one it is ting', async () => {
  const [ada] = await world.people('ada6', 'bob6');
  assert.equal(new URL(ada.page.url()).pathname, '/channel/ting');
  await ada.opens('/user/bob6');
  await ada.page.getByRole('heading', { level: 1, name: 'bob6' }).waitFor();
  await ada.goesTo('ting');
  assert.equal(new URL(ada.page.url()).pathname, '/channel/ting');
  await ada.page.goBack();
  await ada.page.getByRole('heading', { level: 1, name: 'bob6' }).waitFor();
  assert.equal(new URL(ada.page.url()).pathname, '/user/bob6');
});
