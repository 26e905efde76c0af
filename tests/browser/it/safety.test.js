// Nothing that anybody writes is more than text.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { World } from '../lib/people.js';

const ATTACK = '<img src=x onerror="document.title=1"><script>alert(1)</script>';

let world;
before(async () => {
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

test('markup typed as a ghost and sent stays text', async () => {
  const [ada, bob] = await world.people('ada1', 'bob1');
  await ada.types(ATTACK);
  await bob.seesGhost(ATTACK);
  assert.equal(await bob.log.locator('img, script').count(), 0);
  await ada.sends();
  await bob.sees(ATTACK);
  assert.equal(await bob.log.locator('img, script').count(), 0);
  assert.deepEqual([...ada.problems, ...bob.problems], []);
});

test('the page’s policy allows no inline script or style, and the client needs none', async () => {
  const response = await fetch(`${world.ting.url}/channel/ting`);
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe-/);
  const [ada] = await world.people('ada2');
  await ada.openSettings();
  assert.deepEqual(ada.problems, []);
});

test('the page itself may not make HTML out of text', async () => {
  const [ada] = await world.people('ada3');
  const outcome = await ada.page.evaluate(() => {
    const element = document.createElement('div');
    try {
      element.innerHTML = '<b>made</b>';
    } catch (error) {
      return error.name;
    }
    return 'allowed';
  });
  assert.equal(outcome, 'TypeError');
});

test('the sign-in is out of reach of the page’s scripts', async () => {
  const [ada] = await world.people('ada4');
  assert.equal(await ada.page.evaluate(() => document.cookie), '');
});
