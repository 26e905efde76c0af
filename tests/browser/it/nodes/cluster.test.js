// Two people on two nodes: what they see of each other, and what one node's end costs them.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Cluster } from '../../lib/cluster.js';
import { World } from '../../lib/people.js';

let world;
let cluster;
before(async () => {
  world = await World.begin(async () => (cluster = await Cluster.of(2)));
});
after(() => world.end());
afterEach(() => world.leave());

/** Somebody whose browser goes to one node for as long as that one is there. */
async function personAt(place, name) {
  const person = await world.visitor({}, cluster.fronts[place]);
  await person.joins(name);
  return person;
}

/** Ada and Bob on a node each, who see each other. */
async function apart(ada, bob) {
  const people = [await personAt(0, ada), await personAt(1, bob)];
  await people[0].online(bob).waitFor();
  await people[1].online(ada).waitFor();
  return people;
}

/** What a page's sockets are opened and told from now on. */
function listensTo({ page }) {
  const heard = { opened: 0, frames: [] };
  page.on('websocket', (socket) => {
    heard.opened += 1;
    socket.on('framereceived', ({ payload }) => heard.frames.push(String(payload)));
  });
  return heard;
}

test('people on two nodes see each other’s letters', async () => {
  const [ada, bob] = await apart('ada1', 'bob1');
  await ada.types('hel');
  await bob.seesGhost('hel');
  await bob.types('oh');
  await ada.seesGhost('oh');
  await ada.sends('lo');
  await bob.sees('hello');
  await ada.seesGhost('oh');
});

test('places are in the order people on two nodes began, also when the later one sends first', async () => {
  const [ada, bob] = await apart('ada2', 'bob2');
  await ada.types('first to begin');
  await bob.seesGhost('first to begin');
  await bob.sends('first to send');
  await ada.sees('first to send');
  await ada.sends();
  for (const person of [ada, bob]) await person.seesLines('first to begin', 'first to send');
  for (const person of [ada, bob]) {
    await person.page.reload();
    await person.isIn();
    await person.seesLines('first to begin', 'first to send');
  }
});

test('erasing on one node leaves no trace on the other', async () => {
  const [ada, bob] = await apart('ada3', 'bob3');
  await ada.types('never mind');
  await bob.seesGhost('never mind');
  await ada.erases();
  await bob.noLongerSees(bob.ghost('never mind'));
  await bob.page.reload();
  await bob.isIn();
  assert.equal(await bob.page.getByText('never mind').count(), 0);
});

test('a private between two nodes is told to nobody else on either', async () => {
  const [ada, bob] = await apart('ada4', 'bob4');
  const others = [await personAt(0, 'eve4'), await personAt(1, 'dan4')];
  const heard = others.map(listensTo);
  for (const other of others) {
    await other.page.reload();
    await other.isIn();
  }
  await ada.speaksTo('bob4');
  await ada.types('between us');
  await bob.goesTo('ada4');
  await bob.seesGhost('between us');
  await ada.sends(' two');
  await bob.sees('between us two');
  // Something public from each node after it: what the others were going to hear they have heard.
  for (const [person, text] of [[ada, 'hello from one'], [bob, 'hello from two']]) {
    await person.goesTo('ting');
    await person.sends(text);
    for (const other of others) await other.sees(text);
  }
  for (const { frames } of heard) {
    assert.ok(frames.some((frame) => frame.includes('hello from two')));
    assert.ok(!frames.some((frame) => frame.includes('between us')));
  }
});

test('a node that is drained is left once, for the other, and nothing is lost', async () => {
  const [ada, bob] = await apart('ada5', 'bob5');
  const moves = [listensTo(ada), listensTo(bob)];
  await ada.sends('before');
  await bob.sees('before');
  await ada.types('on my w');
  await bob.seesGhost('on my w');
  const place = await bob.ghost('on my w').getAttribute('data-messageid');
  const gone = cluster.nodes[0].goes();
  await ada.types('ay');
  await gone;
  await bob.page.locator('article[data-state=ghost]:not([data-stale])', { hasText: 'on my way' }).waitFor();
  await bob.sends('hurry');
  await ada.sends();
  for (const person of [ada, bob]) await person.seesLines('before', 'on my way', 'hurry');
  assert.equal(await bob.message('on my way').getAttribute('data-messageid'), place);
  assert.deepEqual(moves.map(({ opened }) => opened), [1, 0]);
  await cluster.nodes[0].restart();
  await cluster.agrees();
});

test('who types on a node that dies is back on the other, with text and place', async () => {
  const [ada, bob] = await apart('ada6', 'bob6');
  // The conversation dies with the node, too.
  const room = await cluster.channelOf(0, 'maker6');
  for (const person of [ada, bob]) {
    await person.opens(`/channel/${room}`);
    await person.isIn();
  }
  await ada.types('I was here');
  await bob.seesGhost('I was here');
  const place = await bob.ghost('I was here').getAttribute('data-messageid');
  await bob.sends('second');
  await ada.sees('second');
  await cluster.nodes[0].kill();
  await ada.types(' first');
  assert.equal(await ada.box.inputValue(), 'I was here first');
  await bob.page.locator('article[data-state=ghost]:not([data-stale])', { hasText: 'I was here first' }).waitFor();
  await ada.sends();
  for (const person of [ada, bob]) await person.seesLines('I was here first', 'second');
  assert.equal(await bob.message('I was here first').getAttribute('data-messageid'), place);
  assert.equal(await bob.message('I was here first').count(), 1);
  assert.equal(await ada.connection.textContent(), '');
});
