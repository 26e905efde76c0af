// Privates reach their two people only, and are not missed.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';

let world;
before(async () => {
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

test('a private is seen by its two people and by nobody else', async () => {
  const [ada, bob, eve] = await world.people('ada1', 'bob1', 'eve1');
  const heard = [];
  eve.page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => heard.push(String(payload))));
  await eve.page.reload();
  await eve.isIn();
  await ada.speaksTo('bob1');
  await ada.types('between us');
  await bob.goesTo('ada1');
  await bob.seesGhost('between us');
  await ada.sends(' two');
  await bob.sees('between us two');
  await bob.sends('understood');
  await ada.sees('understood');
  // Something public after it: what eve was going to hear she has heard.
  await bob.goesTo('ting');
  await bob.sends('hello all');
  await eve.sees('hello all');
  assert.ok(heard.some((frame) => frame.includes('hello all')));
  assert.ok(!heard.some((frame) => /between us|understood/.test(frame)));
  assert.equal(await eve.conversations.getByRole('link').count(), 1);
  assert.equal(await ada.message('between us two').count(), 1);
});

test('a private that comes while one is elsewhere is counted, in the list and in the title', async () => {
  const [ada, bob] = await world.people('ada2', 'bob2');
  await ada.speaksTo('bob2');
  await ada.sends('one');
  await ada.sends('two');
  await bob.conversations.getByText('2 unread').waitFor();
  await bob.page.waitForFunction(() => document.title.startsWith('(2)'));
  await bob.goesTo('ada2');
  await bob.sees('two');
  await bob.page.waitForFunction(() => !document.title.startsWith('('));
  assert.equal(await bob.conversations.getByText('unread').count(), 0);
});

test('a private that came while one was away is in the list', async () => {
  const [ada, bob] = await world.people('ada3', 'bob3');
  // The name stays taken while its owner only closes the window.
  const state = await bob.page.context().storageState();
  await ada.speaksTo('bob3');
  await bob.page.close();
  await ada.sends('are you there?');
  await ada.sees('are you there?');
  const back = await world.visitor({ storageState: state });
  back.name = 'bob3';
  await back.isIn();
  await back.conversations.getByText('1 unread').waitFor();
  await back.goesTo('ada3');
  await back.sees('are you there?');
  await back.page.reload();
  await back.sees('are you there?');
  assert.equal(await back.conversations.getByText('unread').count(), 0);
});

test('a mention in a channel calls', async () => {
  const [ada, bob] = await world.people('ada4', 'bob4');
  await bob.speaksTo('ada4');
  await ada.sends('did @bob4 see this?');
  await bob.page.waitForFunction(() => document.title.startsWith('(1)'));
});
