// For everybody: assistive tools, a keyboard alone, a small screen.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

let world;
let axe;
before(async () => {
  axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

/** What axe finds wrong with the page as it is now. */
async function violations(person) {
  await person.page.evaluate(axe);
  const found = await person.page.evaluate((values) => axe.run({ runOnly: { type: 'tag', values } }), RULES);
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`);
}

/** The page's own policy would keep the checker out. */
async function checked(options = {}) {
  return world.visitor({ bypassCSP: true, reducedMotion: 'reduce', ...options });
}

for (const colorScheme of ['light', 'dark']) {
  test(`nothing is wrong with the sign-in, ${colorScheme}`, async () => {
    const ada = await checked({ colorScheme });
    assert.deepEqual(await violations(ada), []);
    await ada.fillsIn('');
    await ada.page.getByText('Choose a name.').waitFor();
    assert.deepEqual(await violations(ada), []);
  });

  test(`nothing is wrong with a lively channel, a private and the settings, ${colorScheme}`, async () => {
    const ada = await checked({ colorScheme });
    await ada.joins(`ada-${colorScheme}`);
    const [bob, eve] = await world.people(`bob-${colorScheme}`, `eve-${colorScheme}`);
    await bob.sends(`hello @ada-${colorScheme}, see https://ting.example`);
    await bob.types('and now');
    await eve.types('me too');
    await ada.types('mine');
    await ada.seesGhost('me too');
    await ada.seesGhost('and now');
    await ada.sees('hello');
    assert.deepEqual(await violations(ada), []);
    await ada.speaksTo(`bob-${colorScheme}`);
    await ada.sends('psst');
    await ada.sees('psst');
    assert.deepEqual(await violations(ada), []);
    await ada.openSettings();
    assert.deepEqual(await violations(ada), []);
  });
}

test('nothing is wrong on a phone, with and without the drawers', async () => {
  const ada = await checked({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  ada.name = 'ada-phone';
  await ada.fillsIn('ada-phone');
  await ada.box.waitFor();
  await ada.sends('hello');
  await ada.sees('hello');
  assert.deepEqual(await violations(ada), []);
  await ada.page.getByRole('button', { name: 'Show conversations' }).click();
  await ada.conversations.waitFor();
  assert.deepEqual(await violations(ada), []);
  await ada.page.keyboard.press('Escape');
  await ada.page.getByRole('button', { name: 'Show people' }).click();
  await ada.online('ada-phone').waitFor();
  assert.deepEqual(await violations(ada), []);
});

test('everything is reached by the keyboard alone', async () => {
  const [bob] = await world.people('bob-keys');
  const ada = await world.visitor();
  const { keyboard } = ada.page;
  await ada.page.getByLabel('Username').waitFor();
  await keyboard.type('ada-keys');
  await keyboard.press('Enter');
  await ada.box.waitFor();
  /** Presses Tab until what has the focus is called so. */
  const tabsTo = async (name) => {
    for (let presses = 0; presses < 30; presses += 1) {
      const focused = await ada.page.evaluate(() => {
        const { activeElement: element } = document;
        return element.getAttribute('aria-label') ?? element.textContent.trim();
      });
      if (name.test(focused)) return;
      await keyboard.press('Tab');
    }
    assert.fail(`${name} is not reached`);
  };
  await ada.online('bob-keys').waitFor();
  await tabsTo(/^Message$/);
  await keyboard.type('typed');
  await bob.seesGhost('typed');
  await keyboard.press('Enter');
  await bob.sees('typed');
  await tabsTo(/bob-keys$/);
  await keyboard.press('Enter');
  await ada.page.getByRole('heading', { level: 1, name: 'bob-keys' }).waitFor();
  await tabsTo(/^Message$/);
  await keyboard.type('psst');
  await keyboard.press('Enter');
  await bob.conversations.getByText('1 unread').waitFor();
  await tabsTo(/Settings$/);
  await keyboard.press('Enter');
  await ada.page.getByRole('dialog').waitFor();
  await keyboard.press('Escape');
  await ada.page.getByRole('dialog').waitFor({ state: 'detached' });
});

test('assistive tools find their way by roles and names', async () => {
  const [ada, bob] = await world.people('ada-roles', 'bob-roles');
  await ada.page.getByRole('log', { name: 'Messages in #ting' }).waitFor();
  await ada.page.getByRole('list', { name: 'People online' }).waitFor();
  await ada.page.getByRole('list', { name: 'Conversations' }).waitFor();
  await ada.page.getByRole('textbox', { name: 'Message' }).waitFor();
  await bob.sends('hear me');
  await ada.page.getByRole('article').filter({ hasText: 'hear me' }).waitFor();
  // A sent message is announced; the letters of others are only on request.
  const announced = ada.page.locator('[aria-live=polite]');
  await announced.getByText('bob-roles: hear me').waitFor();
  await bob.types('half a wo');
  await ada.seesGhost('half a wo');
  assert.equal(await announced.getByText('half a wo').count(), 0);
  assert.equal(await ada.log.getAttribute('aria-live'), 'off');
  await ada.page.getByRole('button', { name: 'Hear what is being typed' }).focus();
  await ada.page.keyboard.press('Enter');
  await announced.getByText('bob-roles is typing: half a wo').waitFor();
});

test('at 320 pixels nothing is cut off sideways', async () => {
  const ada = await world.visitor({ viewport: { width: 320, height: 480 } });
  await ada.fillsIn('ada-tiny');
  await ada.box.waitFor();
  await ada.sends('averylongwordwithoutanyspacesinit'.repeat(4));
  await ada.sees('averylongword');
  const widths = await ada.page.evaluate(() => ({
    page: document.documentElement.scrollWidth,
    log: document.querySelector('[role=log]').scrollWidth,
  }));
  assert.ok(widths.page <= 320 && widths.log <= 320, JSON.stringify(widths));
});

test('assistive tools are told of the sign-in’s two boxes and its button', async () => {
  const ada = await world.visitor();
  await ada.page.getByLabel('Username').waitFor();
  const tools = await ada.page.context().newCDPSession(ada.page);
  const { nodes } = await tools.send('Accessibility.getFullAXTree');
  const told = nodes.map(({ role, name }) => `${role?.value} ${name?.value}`);
  for (const wanted of ['textbox Username', 'textbox Password', 'button Join']) assert.ok(told.includes(wanted), wanted);
});

test('with an on-screen keyboard the newest line and the box stay in view', async () => {
  const ada = await world.visitor({ viewport: { width: 360, height: 700 }, hasTouch: true, isMobile: true });
  await ada.fillsIn('ada-osk');
  await ada.box.waitFor();
  for (let number = 1; number <= 12; number += 1) {
    await ada.box.fill(`line ${number} of some\nand more`);
    await ada.sends();
  }
  await ada.sees('line 12 of some');
  // What a keyboard leaves of the page, as `interactive-widget` asks for.
  await ada.page.setViewportSize({ width: 360, height: 380 });
  await ada.page.waitForFunction(() => {
    const inside = (element) => {
      const { top, bottom } = element.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    };
    const box = document.querySelector('#message');
    const newest = [...document.querySelectorAll('article')].at(-1);
    return inside(box) && inside(newest) && newest.getBoundingClientRect().bottom <= box.getBoundingClientRect().top;
  });
});

test('who wants less motion gets none', async () => {
  const moving = (person) => person.page.evaluate(() => document.getAnimations().length);
  const [bob] = await world.people('bob-calm');
  const ada = await world.visitor({ reducedMotion: 'reduce' });
  await ada.joins('ada-calm');
  await bob.speaksTo('ada-calm');
  await bob.types('psst');
  await ada.conversations.getByTitle('somebody is typing').waitFor();
  assert.equal(await moving(ada), 0);
  // It would be there.
  assert.ok((await moving(bob)) > 0);
});
