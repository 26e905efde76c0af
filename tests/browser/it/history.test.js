// Reading: upwards without end, never moved by what others do.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';
import { begins } from '../lib/sockets.js';

const MESSAGES = 260;

let world;
before(async () => {
  world = await World.begin();
  await world.ting.signIn('writer');
  for (let number = 1; number <= MESSAGES; number += 1) await world.ting.say('writer', `line ${number}.`);
});
after(() => world.end());
afterEach(() => world.leave());

/** Where a line is on the screen, in pixels from the top. */
async function topOf(person, text) {
  const box = await person.message(text).boundingBox();
  return box.y;
}

/** Turns the wheel upwards until a line is there. */
async function scrollsUpTo(person, text) {
  await person.log.hover();
  await person.page.waitForFunction((wanted) => {
    const log = document.querySelector('[role=log]');
    const found = [...document.querySelectorAll('article .text')].some((line) => line.textContent === wanted);
    if (!found) log.scrollTop -= 400;
    return found;
  }, text);
}

test('the newest message is on the screen first', async () => {
  const [ada] = await world.people('ada1');
  await ada.sees(`line ${MESSAGES}.`);
  const box = await ada.message(`line ${MESSAGES}.`).boundingBox();
  const log = await ada.log.boundingBox();
  assert.ok(box.y + box.height <= log.y + log.height + 1);
});

test('older messages come while one scrolls up, to the first', async () => {
  const [ada] = await world.people('ada2');
  await ada.sees(`line ${MESSAGES}.`);
  await scrollsUpTo(ada, 'line 1.');
  await ada.page.getByText('This is where it began.').waitFor();
  // The document holds what is on the screen, not the whole history.
  assert.ok((await ada.page.locator('article').count()) < 80);
});

test('an older page does not move what is being read', async () => {
  const [ada] = await world.people('ada3');
  await ada.sees(`line ${MESSAGES}.`);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await ada.page.route('**/messages/channel/ting?*before=*', async (route) => {
    await held;
    await route.continue();
  });
  const asked = ada.page.waitForRequest(/before=/);
  const first = MESSAGES - 99;
  await scrollsUpTo(ada, `line ${first + 1}.`);
  await asked;
  const before = await topOf(ada, `line ${first + 4}.`);
  const answered = ada.page.waitForResponse(/before=/);
  release();
  await answered;
  await ada.message(`line ${first - 1}.`).waitFor({ state: 'attached' });
  const after = await topOf(ada, `line ${first + 4}.`);
  assert.ok(Math.abs(after - before) <= 3, `moved by ${after - before} px`);
});

test('growing ghosts and new messages do not move what is being read', async () => {
  const [ada, bob] = await world.people('ada4', 'bob4');
  await ada.sees(`line ${MESSAGES}.`);
  await scrollsUpTo(ada, `line ${MESSAGES - 60}.`);
  const before = await topOf(ada, `line ${MESSAGES - 60}.`);
  await bob.box.fill('a long story\n'.repeat(8));
  await bob.sends();
  await bob.sees('a long story');
  await bob.types('and more');
  await ada.conversations.waitFor();
  const [eve] = await world.people('eve4');
  await eve.seesGhost('and more');
  const after = await topOf(ada, `line ${MESSAGES - 60}.`);
  assert.ok(Math.abs(after - before) <= 1, `moved by ${after - before} px`);
  await ada.page.getByRole('button', { name: 'Jump to the newest' }).click();
  await ada.seesGhost('and more');
});

test('the newest end is kept in view while a ghost there grows', async () => {
  const [ada, bob] = await world.people('ada5', 'bob5');
  await bob.box.fill('growing\n'.repeat(15));
  await bob.types('to here');
  await ada.seesGhost('to here');
  await ada.page.waitForFunction(() => {
    const log = document.querySelector('[role=log]');
    return log.scrollHeight - log.scrollTop - log.clientHeight <= 2;
  });
});

test('a draft is kept for each conversation, through a reload', async () => {
  const [ada, bob] = await world.people('ada6', 'bob6');
  await ada.types('unfinished');
  await ada.speaksTo('bob6');
  assert.equal(await ada.box.inputValue(), '');
  await ada.types('psst');
  await ada.page.reload();
  await ada.isIn();
  assert.equal(await ada.box.inputValue(), 'psst');
  await ada.goesTo('ting');
  assert.equal(await ada.box.inputValue(), 'unfinished');
  // It goes on as the same message, and is there once.
  await ada.types(' business');
  await bob.seesGhost('unfinished business');
  await ada.sends();
  await bob.sees('unfinished business');
  assert.equal(await bob.message('unfinished business').count(), 1);
});

test('web addresses can be followed, and nothing else is interpreted', async () => {
  const [ada, bob] = await world.people('ada7', 'bob7');
  await ada.sends('see https://ting.example/a?b=c. **not bold** javascript:alert(1)');
  await bob.sees('see https');
  const links = bob.message('see https').locator('.text a');
  assert.equal(await links.count(), 1);
  assert.equal(await links.getAttribute('href'), 'https://ting.example/a?b=c');
  assert.equal(await links.getAttribute('rel'), 'noopener noreferrer');
});

test('the day is said above its first message', async () => {
  const [ada] = await world.people('ada8');
  await scrollsUpTo(ada, 'line 1.');
  await ada.log.getByText('Today').waitFor({ state: 'attached' });
});

test('a message tells its author by face and name, and its time', async () => {
  const [ada, bob] = await world.people('ada9', 'bob9');
  const before = Math.floor(Date.now() / 1_000) * 1_000;
  await bob.sends('look at me');
  await ada.sees('look at me');
  const message = ada.message('look at me');
  assert.equal(await message.locator('.author').textContent(), 'bob9');
  assert.equal(await message.locator('.avatar').textContent(), 'B');
  const at = Date.parse(await message.locator('time').getAttribute('datetime'));
  assert.ok(at >= before && at <= Date.now(), String(at));
  // A face's colour is made from the name: the same wherever it is shown, another one for others.
  const colour = (locator) => locator.evaluate((face) => getComputedStyle(face).backgroundColor);
  const faces = ada.page.getByRole('list', { name: 'People online' }).getByRole('listitem');
  const listed = (name) => faces.filter({ hasText: name }).locator('.avatar');
  assert.equal(await colour(message.locator('.avatar')), await colour(listed('bob9')));
  assert.notEqual(await colour(listed('bob9')), await colour(listed('ada9')));
});

test('whoever comes in is at the newest end, however tall the lines turn out', async () => {
  for (let number = 0; number < 5; number += 1) {
    await begins(await world.typist(`tall${number}`), 'this is more than one line on a phone '.repeat(2 + number));
  }
  const phone = await world.visitor({ viewport: { width: 390, height: 600 }, hasTouch: true, isMobile: true });
  await phone.fillsIn('phone9');
  // How lines are measured and drawn differs from time to time.
  for (let visit = 0; visit < 8; visit += 1) {
    await phone.seesGhost('more than one line');
    // There for good, not on the way past it.
    await phone.page.waitForFunction(() => {
      const log = document.querySelector('[role=log]');
      const there = log.scrollHeight - log.scrollTop - log.clientHeight <= 2;
      window.framesThere = there ? (window.framesThere ?? 0) + 1 : 0;
      return window.framesThere >= 20;
    });
    await phone.page.reload();
  }
});
