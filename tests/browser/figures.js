// Measures what a person feels: how soon, how smoothly, how much memory. Prints one figure a line.
//
// TING_BIN names a release build; nothing else should run meanwhile. Arguments choose figures:
// loading, keystrokes, typists, memory, crowd.

import { gzipSync } from 'node:zlib';
import { World } from './lib/people.js';
import { begins } from './lib/sockets.js';

const TYPISTS = 20;
const KEYS_A_SECOND = 7;
const MESSAGES = 10_000;
const KEYS = 200;
const ONLINE = 1_000;

const world = await World.begin();
try {
  const all = { loading, keystrokes, typists, memory, crowd };
  const chosen = process.argv.slice(2);
  for (const name of chosen.length > 0 ? chosen : Object.keys(all)) await all[name]();
} finally {
  await world.end();
}

function tell(figure, value, unit) {
  console.log(`${figure}: ${Math.round(value * 10) / 10} ${unit}`);
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** From asking for the page to a name that can be typed, with nothing cached; and its bytes. */
async function loading() {
  const times = [];
  let scripts = [];
  for (let round = 0; round < 5; round += 1) {
    const visitor = await world.visitor();
    await visitor.page.getByLabel('Username').waitFor();
    times.push(
      await visitor.page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN),
    );
    scripts = await visitor.page.evaluate(() =>
      performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js')).map(({ name, encodedBodySize }) => ({ name, encodedBodySize })),
    );
    await world.leave();
  }
  tell('cold load to the sign-in being usable, median of 5', quantile(times, 0.5), 'ms');
  const packed = await Promise.all(scripts.map(async ({ name }) => gzipSync(await (await fetch(name)).text(), { level: 9 }).length));
  tell('JavaScript in all, gzip -9', packed.reduce((sum, bytes) => sum + bytes, 0) / 1_000, 'kB');
  tell('of it on the wire, brotli', scripts.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) / 1_000, 'kB');
}

/** From a key in one browser to the letter on the other's screen. */
async function keystrokes() {
  const [ada, bob] = await world.people('key-ada', 'key-bob');
  await bob.page.evaluate(() => {
    window.seen = {};
    const look = () => {
      for (const text of document.querySelectorAll('article[data-state=ghost] .text')) {
        window.seen[text.textContent.length] ??= Date.now();
      }
    };
    new MutationObserver(() => requestAnimationFrame(look)).observe(document.querySelector('[role=log]'), {
      subtree: true,
      childList: true,
      characterData: true,
    });
  });
  await ada.page.evaluate(() => {
    window.typed = {};
    document.querySelector('#message').addEventListener('input', ({ target }) => {
      window.typed[target.value.length] = Date.now();
    });
  });
  await ada.box.focus();
  for (let key = 0; key < KEYS; key += 1) await ada.page.keyboard.type('x', { delay: 130 });
  await bob.page.waitForFunction((keys) => window.seen[keys] !== undefined, KEYS);
  const typed = await ada.page.evaluate(() => window.typed);
  const seen = await bob.page.evaluate(() => window.seen);
  // Letters that shared a frame were on the screen with the longest of them.
  const delays = Object.entries(typed).map(([length, at]) => {
    const first = Object.entries(seen).filter(([shown]) => Number(shown) >= Number(length)).map(([, when]) => when);
    return Math.min(...first) - at;
  });
  tell('key to other screen, p50', quantile(delays, 0.5), 'ms');
  tell('key to other screen, p99', quantile(delays, 0.99), 'ms');
  await world.leave();
}

/** The main thread's work while many type at once, on a processor a quarter as fast. */
async function typists() {
  const [ada] = await world.people('frame-ada');
  const sockets = [];
  for (let number = 0; number < TYPISTS; number += 1) sockets.push(await world.typist(`typist${number}`));
  const cdp = await ada.page.context().newCDPSession(ada.page);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  // The thread's own time: what the machine does besides does not count.
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const ids = await Promise.all(sockets.map((socket) => begins(socket, 'a')));
  const metrics = async () => {
    const { metrics } = await cdp.send('Performance.getMetrics');
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  await ada.seesGhost('a');
  const frames = await ada.page.evaluate(() => {
    window.frames_drawn = 0;
    const count = () => {
      window.frames_drawn += 1;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
    return 0;
  });
  const before = await metrics();
  let rounds = 0;
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      rounds += 1;
      sockets.forEach((socket, index) => {
        const { messageid, claim } = ids[index];
        const text = 'the quick brown fox jumps over the lazy dog '.repeat(3).slice(0, 1 + rounds);
        socket.emit('patch-message', { type: 'channel', target: 'ting', text, typing: true, messageid, claim, rev: rounds });
      });
      if (rounds < KEYS_A_SECOND * 10) return;
      clearInterval(timer);
      resolve();
    }, 1_000 / KEYS_A_SECOND);
  });
  const after = await metrics();
  const drawn = (await ada.page.evaluate(() => window.frames_drawn)) - frames;
  const busy = (after.TaskDuration - before.TaskDuration) * 1_000;
  tell(`main thread per frame at ${TYPISTS} typists, 4 times slower`, busy / drawn, 'ms');
  tell('of it script, per second', (after.ScriptDuration - before.ScriptDuration) * 100, 'ms');
  tell('of it layout and style, per second', (after.LayoutDuration + after.RecalcStyleDuration - before.LayoutDuration - before.RecalcStyleDuration) * 100, 'ms');
  tell('frames drawn, per second', drawn / 10, '');
  tell(`main thread per second at ${TYPISTS} typists, 4 times slower`, busy / 10, 'ms');
  await world.leave();
}

/** What the page holds after a long history was scrolled through. */
async function memory() {
  await world.ting.signIn('memory');
  for (let number = 0; number < MESSAGES; number += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => world.ting.say('memory', `message ${number + index} of a long day`)));
  }
  const [ada] = await world.people('memory-ada');
  const cdp = await ada.page.context().newCDPSession(ada.page);
  const heap = async () => {
    await cdp.send('HeapProfiler.collectGarbage');
    const { usedSize } = await cdp.send('Runtime.getHeapUsage');
    return usedSize / 1e6;
  };
  await ada.sees('of a long day');
  const before = await heap();
  await ada.page.evaluate(async () => {
    const log = document.querySelector('[role=log]');
    while (!document.querySelector('.log-start').textContent.includes('began')) {
      log.scrollTop = 0;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  });
  tell('heap with the newest page', before, 'MB');
  tell(`heap after ${MESSAGES} messages`, await heap(), 'MB');
  const nodes = await ada.page.evaluate(() => document.querySelectorAll('*').length);
  tell(`elements in the document after ${MESSAGES} messages`, nodes, '');
  await world.leave();
}

/** Many people online: how long until their list is there. */
async function crowd() {
  const sockets = [];
  for (let number = 0; number < ONLINE; number += 20) {
    sockets.push(...(await Promise.all(Array.from({ length: 20 }, (_, index) => world.typist(`crowd${number + index}`)))));
  }
  const visitor = await world.visitor();
  await visitor.fillsIn('crowd-ada');
  const start = Date.now();
  await visitor.online(`crowd${ONLINE - 1}`).waitFor({ state: 'attached' });
  tell(`sign-in to the list of ${ONLINE} people`, Date.now() - start, 'ms');
  await world.leave();
}
