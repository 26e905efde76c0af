// What the client survives.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Front } from '../lib/front.js';
import { World } from '../lib/people.js';

let world;
before(async () => {
  world = await World.begin();
});
after(() => world.end());
afterEach(() => world.leave());

test('a killed and restarted server costs nobody a letter or a place', async () => {
  const [ada, bob] = await world.people('ada1', 'bob1');
  await ada.types('I was here');
  await bob.seesGhost('I was here');
  const place = await bob.ghost('I was here').getAttribute('data-messageid');
  await world.ting.kill();
  for (const person of [ada, bob]) await person.connection.getByText('Connection lost').waitFor();
  // The ghost is dimmed, and its author goes on.
  await bob.page.locator('article[data-stale]', { hasText: 'I was here' }).waitFor();
  await ada.types(' first');
  assert.equal(await ada.box.inputValue(), 'I was here first');
  await world.ting.restart();
  await bob.page.locator('article[data-state=ghost]:not([data-stale])', { hasText: 'I was here first' }).waitFor();
  assert.equal(await bob.ghost('I was here first').getAttribute('data-messageid'), place);
  await ada.sends();
  await bob.sees('I was here first');
  assert.equal(await bob.message('I was here first').getAttribute('data-messageid'), place);
  assert.equal(await ada.connection.textContent(), '');
});

test('what is sent while the server is away arrives once, in order, when it is back', async () => {
  const [ada, bob] = await world.people('ada2', 'bob2');
  await ada.sends('zero');
  await bob.sees('zero');
  await world.ting.kill();
  await ada.connection.getByText('Connection lost').waitFor();
  await ada.sends('one');
  await ada.sends('two');
  // Shown at once, as not sent yet.
  await ada.page.locator('article[data-state=sending]', { hasText: 'two' }).waitFor();
  await world.ting.restart();
  for (const person of [ada, bob]) await person.seesLines('zero', 'one', 'two');
  await ada.sees('two');
  await bob.page.reload();
  await bob.isIn();
  await bob.seesLines('zero', 'one', 'two');
  assert.equal(await bob.message('one').count(), 1);
});

test('a send that is not acknowledged survives a reload, and is there once', async () => {
  const [ada, bob] = await world.people('ada3', 'bob3');
  await ada.sends('before');
  await bob.sees('before');
  await world.ting.kill();
  await ada.connection.getByText('Connection lost').waitFor();
  await ada.sends('kept');
  await world.ting.restart();
  await ada.page.reload();
  await ada.isIn();
  for (const person of [ada, bob]) {
    await person.sees('kept');
    assert.equal(await person.message('kept').count(), 1);
  }
});

test('what others said meanwhile is caught up with', async () => {
  const [ada, bob] = await world.people('ada4', 'bob4');
  await bob.sends('while you watched');
  await ada.sees('while you watched');
  await ada.page.context().setOffline(true);
  const cut = await ada.page.context().newCDPSession(ada.page);
  await cut.send('Network.enable');
  await cut.send('Network.emulateNetworkConditions', { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await ada.connection.getByText('Connection lost').waitFor();
  await bob.sends('while you were away');
  await bob.sees('while you were away');
  await bob.types('and still typing');
  await cut.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await ada.page.context().setOffline(false);
  await ada.sees('while you were away');
  await ada.seesGhost('and still typing');
  await ada.seesLines('while you watched', 'while you were away', 'and still typing');
});

test('two windows of one person show the same, and their own ghosts to each other', async () => {
  const [ada, bob] = await world.people('ada5', 'bob5');
  const second = await ada.page.context().newPage();
  await second.goto(world.ting.url);
  await second.getByRole('log').waitFor();
  await ada.types('from the first');
  await second.locator('article[data-state=ghost]', { hasText: 'from the first' }).waitFor();
  await ada.sends();
  await second.locator('article[data-state=sent]', { hasText: 'from the first' }).waitFor();
  await bob.sees('from the first');
  // Who closes one of two windows is still here.
  await second.close();
  await ada.types('still here');
  await bob.seesGhost('still here');
  await bob.online('ada5').waitFor();
});

test('a node that is going is left in time, and no letter is lost', async () => {
  const [ada, bob] = await world.people('ada7', 'bob7');
  await ada.types('on my w');
  await bob.seesGhost('on my w');
  await world.ting.goes();
  await ada.types('ay');
  await world.ting.restart();
  await bob.page.locator('article[data-state=ghost]:not([data-stale])', { hasText: 'on my way' }).waitFor();
  await ada.sends();
  await bob.sees('on my way');
  assert.equal(await bob.message('on my way').count(), 1);
});

test('a session that ended elsewhere leads to the sign-in, and the draft is kept', async () => {
  const [ada] = await world.people('ada8');
  await ada.types('not sent yet');
  const cookie = (await ada.page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  // A password keeps the name when the sign-in ends.
  const write = { 'Content-Type': 'application/json', Cookie: cookie };
  await fetch(`${world.ting.url}/restapi/v1/users/ada8`, { method: 'PATCH', headers: write, body: '{"password":"open sesame"}' });
  await fetch(`${world.ting.url}/restapi/v1/sessions`, { method: 'DELETE', headers: { Cookie: cookie } });
  await ada.page.getByText('You have been signed out').waitFor();
  await ada.joins('ada8', 'open sesame');
  assert.equal(await ada.box.inputValue(), 'not sent yet');
});

test('a laptop that slept comes back to what was said meanwhile', async () => {
  const [ada, bob] = await world.people('ada9', 'bob9');
  // Paused in its next step, the page does nothing at all, as in sleep.
  const cdp = await ada.page.context().newCDPSession(ada.page);
  await cdp.send('Debugger.enable');
  const asleep = new Promise((resolve) => cdp.once('Debugger.paused', resolve));
  await cdp.send('Debugger.pause');
  await asleep;
  // The server gives a silent client up.
  await bob.noLongerSees(bob.online('ada9'));
  await bob.sends('while you slept');
  await bob.sees('while you slept');
  await cdp.send('Debugger.resume');
  await ada.sees('while you slept');
  await bob.online('ada9').waitFor();
});

test('a slow phone types and reads', async () => {
  const [ada, bob] = await world.people('ada6', 'bob6');
  const slow = await ada.page.context().newCDPSession(ada.page);
  await slow.send('Emulation.setCPUThrottlingRate', { rate: 6 });
  await slow.send('Network.enable');
  await slow.send('Network.emulateNetworkConditions', { offline: false, latency: 400, downloadThroughput: 64_000, uploadThroughput: 64_000 });
  await ada.page.reload();
  await ada.isIn();
  await ada.types('slowly but surely');
  await bob.seesGhost('slowly but surely');
  await ada.sends();
  await bob.sees('slowly but surely');
  await bob.sends('quickly');
  await ada.sees('quickly');
});

test('a connection that does not open is given up within 3 seconds, and another one tried', async () => {
  const front = await Front.open(() => [world.ting]);
  const ada = await world.visitor({}, front);
  await ada.joins('ada10');
  await ada.types('still ');
  const waited = await front.swallows();
  assert.ok(waited > 2_000 && waited < 4_500, `${waited} ms`);
  await ada.types('here');
  await ada.sends();
  await ada.sees('still here');
  front.close();
});

test('back again, channels are entered first, and then the gap is read from the cursor on', async () => {
  const ada = await world.visitor();
  const happened = [];
  let toldCursor;
  const cursor = new Promise((resolve) => (toldCursor = resolve));
  ada.page.on('websocket', (socket) =>
    socket.on('framereceived', ({ payload }) => {
      if (String(payload).includes('"login-response"')) happened.push('entered');
      if (String(payload).includes('"cursor"')) toldCursor();
    }),
  );
  ada.page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url());
    if (pathname.endsWith('/messages/channel/ting')) happened.push(searchParams.has('after') ? 'the gap' : 'the newest');
  });
  await ada.joins('ada11');
  const [bob] = await world.people('bob11');
  await bob.sends('before');
  await ada.sees('before');
  await cursor;
  await world.ting.kill();
  await ada.connection.getByText('Connection lost').waitFor();
  await bob.sends('meanwhile');
  await world.ting.restart();
  await ada.sees('meanwhile');
  assert.deepEqual(happened.slice(0, 4), ['entered', 'the newest', 'entered', 'the gap']);
});
