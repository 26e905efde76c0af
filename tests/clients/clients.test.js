// Each socket.io client, over each transport: login, presence, live typing, sending, privates,
// reconnecting.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Ting } from '../browser/lib/ting.js';
import { KINDS, Person, everybodyLeaves } from './lib/person.js';

const OTHER = { version: '4', transport: 'websocket' };

describe('socket.io clients', () => {
  let ting;
  before(async () => {
    ting = await Ting.start();
  });
  after(async () => {
    everybodyLeaves();
    await ting?.stop();
  });

  for (const kind of KINDS) {
    describe(`socket.io-client ${kind.version} over ${kind.transport}`, () => {
      let ada;
      let bob;
      before(async () => {
        bob = await Person.arrives(ting.url, 'bob', OTHER);
        ada = await Person.arrives(ting.url, 'ada', kind);
      });
      after(() => {
        ada?.leaves();
        bob?.leaves();
      });

      test('logs in, and is told who is online, oneself too', async () => {
        const [name, response] = ada.heard[0];
        assert.equal(name, 'login-response');
        assert.deepEqual(Object.keys(response).sort(), ['people', 'success']);
        assert.ok(response.people.includes(ada.username));
        assert.ok(response.people.includes(bob.username));
        await ada.hears('join', ada.username);
      });

      test('hears who comes and goes, and is heard of', async () => {
        await bob.hears('join', ada.username);
        const cyd = await Person.arrives(ting.url, 'cyd', kind);
        await ada.hears('join', cyd.username);
        cyd.leaves();
        await ada.hears('part', cyd.username);
      });

      test('sees every letter, and its own are seen', async () => {
        for (const [typist, viewer] of [[ada, bob], [bob, ada]]) {
          const message = await typist.types('h');
          const entry = await viewer.sees(message.messageid, 'h');
          assert.equal(entry.username, typist.username);
          for (const text of ['he', 'hel', 'he', 'hey λ 🙂']) {
            await typist.patches(message, text);
            await viewer.sees(message.messageid, text);
          }
          await typist.patches(message, '');
          await viewer.sees(message.messageid, '');
        }
      });

      test('is told of what was sent, and finds it', async () => {
        const message = await bob.types('hel');
        const text = `hello ${ada.username}`;
        await bob.patches(message, text, false);
        await ada.sees(message.messageid, text, false);
        const told = await ada.isTold(text);
        assert.equal(told.username, bob.username);
        assert.equal(told.type, 'channel');
        assert.equal(told.target, 'ting');
        const history = await ada.reads('channel', 'ting');
        assert.deepEqual(history.filter((m) => m.text === text).map((m) => m.id), [message.messageid]);
      });

      test('talks in private, and nobody else hears of it', async () => {
        const eve = await Person.arrives(ting.url, 'eve', kind);
        const secret = `between us ${ada.username}`;
        const message = await ada.types('psst', 'user', bob.username);
        await bob.sees(message.messageid, 'psst');
        await ada.patches(message, secret, false);
        const told = await bob.isTold(secret);
        assert.equal(told.type, 'user');
        assert.equal(told.target, bob.username);
        await ada.sees(message.messageid, secret, false);
        const marker = await ada.types('not a secret');
        await eve.sees(marker.messageid, 'not a secret');
        await ada.patches(marker, '');
        eve.leaves();
        assert.ok(!JSON.stringify(eve.heard).includes(message.messageid));
        assert.ok(!ada.heard.some(([name, m]) => name === 'message' && m.text === secret));
        assert.deepEqual((await bob.reads('user', ada.username)).map((m) => m.text), [secret]);
      });

      test('comes back by itself when its connection is lost', async () => {
        const { logins } = ada;
        const ghost = await ada.types('stumbl');
        await bob.sees(ghost.messageid, 'stumbl');
        ada.stumbles();
        await ada.until('a second login', () => ada.logins > logins);
        const message = await bob.types('welcome back');
        await ada.sees(message.messageid, 'welcome back');
        await bob.patches(message, '');
      });
    });
  }

  test('all of them come back when the server was killed and is there again', async () => {
    const people = await Promise.all(KINDS.map((kind) => Person.arrives(ting.url, 'all', kind)));
    const logins = people.map((person) => person.logins);
    await ting.kill();
    await ting.restart();
    await Promise.all(
      people.map((person, index) => person.until('the login', () => person.logins > logins[index])),
    );
    const message = await people[0].types('all here');
    await Promise.all(people.map((person) => person.sees(message.messageid, 'all here')));
    for (const person of people) person.leaves();
  });
});
