// Everyone reads every message while it is typed.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';
import { begins } from '../lib/sockets.js';

let world;
before(async () => {
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

test('people see each other’s letters as they are typed', async () => {
  const [ada, bob] = await world.people('ada1', 'bob1');
  await ada.types('hel');
  await bob.seesGhost('hel');
  await bob.types('oh');
  await ada.seesGhost('oh');
  await ada.types('lo');
  await bob.seesGhost('hello');
  assert.equal(await bob.ghost('hello').getAttribute('data-typing'), 'true');
});

test('a sent message is seen as sent, in the place it was typed', async () => {
  const [ada, bob] = await world.people('ada2', 'bob2');
  await ada.types('going');
  await bob.seesGhost('going');
  const place = await bob.ghost('going').getAttribute('data-messageid');
  await ada.sends(' home');
  await bob.sees('going home');
  assert.equal(await bob.message('going home').getAttribute('data-messageid'), place);
  assert.equal(await bob.page.locator(`article[data-messageid="${place}"]`).count(), 1);
  await ada.sees('going home');
});

test('places are in the order people began, also when the later one sends first', async () => {
  const [ada, bob] = await world.people('ada3', 'bob3');
  await ada.types('first to begin');
  await bob.seesGhost('first to begin');
  await bob.sends('first to send');
  await ada.sees('first to send');
  // The author sees where the own message will be.
  await ada.page.getByText('Your message goes here').waitFor();
  await ada.sends();
  for (const person of [ada, bob]) await person.seesLines('first to begin', 'first to send');
});

test('erasing leaves no trace', async () => {
  const [ada, bob] = await world.people('ada4', 'bob4');
  await ada.types('never mind');
  await bob.seesGhost('never mind');
  await ada.erases();
  await bob.noLongerSees(bob.ghost('never mind'));
  await bob.page.reload();
  await bob.isIn();
  assert.equal(await bob.page.getByText('never mind').count(), 0);
});

test('a ghost goes with its author', async () => {
  const [ada, bob] = await world.people('ada5', 'bob5');
  await ada.types('I am about to');
  await bob.seesGhost('I am about to');
  await ada.page.close();
  await bob.noLongerSees(bob.ghost('I am about to'));
  await bob.noLongerSees(bob.online('ada5'));
});

test('who comes later sees what is being typed', async () => {
  const [ada] = await world.people('ada6');
  await ada.types('already here');
  const [bob] = await world.people('bob6');
  await bob.seesGhost('already here');
});

test('a long ghost is folded to its end and can be read whole', async () => {
  const [ada, bob] = await world.people('ada7', 'bob7');
  await ada.box.fill(`beginning ${'word '.repeat(90)}`);
  await ada.types('end');
  await bob.seesGhost('end');
  assert.equal(await bob.ghost('beginning').count(), 0);
  await bob.page.getByRole('button', { name: 'Show all' }).click();
  await bob.seesGhost('beginning');
});

test('who types only when sent shows nothing before', async () => {
  const [ada, bob] = await world.people('ada8', 'bob8');
  await ada.types('half a thou');
  await bob.seesGhost('half a thou');
  await ada.page.getByRole('switch', { name: /Show others what I type/ }).click();
  // What was shown is taken back, and what is typed from now on stays here.
  await bob.noLongerSees(bob.ghost('half a thou'));
  await ada.types('ght');
  await ada.sends();
  await bob.sees('half a thought');
  await ada.types('secret');
  const [eve] = await world.people('eve8');
  await eve.sends('marker');
  await bob.sees('marker');
  assert.equal(await bob.page.getByText('secret').count(), 0);
});

test('who wants no ghosts sees messages only', async () => {
  const [ada, bob] = await world.people('ada9', 'bob9');
  const settings = await bob.openSettings();
  await settings.getByLabel('Show me what others are typing').click();
  await settings.getByRole('button', { name: 'Close' }).click();
  await ada.types('unfinished');
  const [eve] = await world.people('eve9');
  await eve.seesGhost('unfinished');
  assert.equal(await bob.page.getByText('unfinished').count(), 0);
  await ada.sends(' business');
  await bob.sees('unfinished business');
});

test('three lines typed with Shift and Enter are one message', async () => {
  const [ada, bob] = await world.people('ada10', 'bob10');
  for (const line of ['one', 'two', 'three']) {
    await ada.types(line);
    if (line !== 'three') await ada.page.keyboard.press('Shift+Enter');
  }
  await ada.sends();
  await bob.sees('one');
  assert.equal(await bob.message('one').locator('.text').textContent(), 'one\ntwo\nthree');
});

test('a message over 2,000 characters is not sent and says so', async () => {
  const [ada] = await world.people('ada11');
  await ada.box.fill('x'.repeat(2_005));
  await ada.page.getByText('5 too many').waitFor();
  assert.equal(await ada.page.getByRole('button', { name: 'Send' }).isDisabled(), true);
  await ada.box.fill('x'.repeat(2_000));
  await ada.sends();
  await ada.sees('xxxx');
});

test('what is being typed looks different from what is sent', async () => {
  const [ada, bob] = await world.people('ada12', 'bob12');
  await ada.sends('pen');
  await bob.sees('pen');
  await ada.types('pencil');
  await bob.seesGhost('pencil');
  const looks = await bob.page.evaluate(() =>
    ['sent', 'ghost'].map((state) => {
      const { color, fontStyle } = getComputedStyle([...document.querySelectorAll(`article[data-state=${state}] .text`)].at(-1));
      return { color, fontStyle };
    }),
  );
  assert.notEqual(looks[0].color, looks[1].color);
  assert.deepEqual(looks.map(({ fontStyle }) => fontStyle), ['normal', 'italic']);
});

test('twenty who type at once are all seen, in the order they began', async () => {
  // Tall enough for all of them: the document holds no more lines than the screen.
  const ada = await world.visitor({ viewport: { width: 1280, height: 1600 } });
  await ada.joins('ada13');
  const texts = Array.from({ length: 20 }, (_, number) => `this is number ${number}`);
  const sockets = await Promise.all(texts.map((_, number) => world.typist(`typist${number}`)));
  const begun = [];
  for (const [number, socket] of sockets.entries()) begun.push(await begins(socket, texts[number].slice(0, 6)));
  sockets.forEach((socket, number) => {
    const { messageid, claim } = begun[number];
    for (let length = 7; length <= texts[number].length; length += 1) {
      socket.emit('patch-message', { type: 'channel', target: 'ting', text: texts[number].slice(0, length), typing: true, messageid, claim, rev: length });
    }
  });
  await ada.seesLines(...texts);
});

test('a message is in its place at once, before the server has it', async () => {
  const [ada, bob] = await world.people('ada14', 'bob14');
  await ada.types('mine');
  await bob.seesGhost('mine');
  await bob.sends('yours');
  await ada.sees('yours');
  // Nothing that leaves from now on arrives.
  world.ting.pauses();
  const lines = await ada.page.evaluate(() => {
    const box = document.querySelector('#message');
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() =>
      resolve([...document.querySelectorAll('article .text')].slice(-2).map(({ textContent }) => textContent)))));
  });
  world.ting.continues();
  assert.deepEqual(lines, ['mine', 'yours']);
  await bob.sees('mine');
});
