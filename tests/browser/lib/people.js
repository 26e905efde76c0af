// People in browsers: what they do, and what they see.

import { chromium } from 'playwright-core';
import { socketOf } from './sockets.js';
import { Ting } from './ting.js';

/** The one limit: how long anything a person waits for may take here. */
const SEEN_MS = 30_000;

const CHROMIUM = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
};

/** A server and a browser for the tests of one file. */
export class World {
  #browser;
  #people = [];
  #sockets = [];
  ting;

  /** `start` gives what the people's browsers go to: an address, and a way to stop it. */
  static async begin(start = () => Ting.start()) {
    const world = new World();
    world.ting = await start();
    world.#browser = await chromium.launch(CHROMIUM);
    return world;
  }

  async end() {
    await this.#browser?.close();
    await this.ting?.stop();
  }

  /** Somebody with a browser of their own, at the sign-in; `at` is another address than the world's. */
  async visitor(options = {}, at = this.ting) {
    const context = await this.#browser.newContext({ locale: 'en-GB', ...options });
    context.setDefaultTimeout(SEEN_MS);
    const person = new Person(await context.newPage(), at);
    this.#people.push(person);
    await person.opens('/');
    return person;
  }

  /** People who have joined, each with a browser of their own. */
  async people(...names) {
    const all = [];
    for (const name of names) {
      const person = await this.visitor();
      await person.joins(name);
      all.push(person);
    }
    return all;
  }

  /** Somebody without a browser, in #ting. */
  async typist(name) {
    const socket = await socketOf(this.ting, name);
    this.#sockets.push(socket);
    return socket;
  }

  /** Everybody closes their browser; names without a password stay taken until they are used no more. */
  async leave() {
    for (const socket of this.#sockets.splice(0)) socket.disconnect();
    for (const person of this.#people.splice(0)) await person.page.context().close();
  }
}

export class Person {
  constructor(page, ting) {
    this.page = page;
    this.ting = ting;
    this.problems = [];
    page.on('pageerror', (error) => this.problems.push(String(error)));
    page.on('console', (message) => {
      // A request that fails is what many of these tests are about.
      if (message.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(message.text())) {
        this.problems.push(message.text());
      }
    });
  }

  async opens(path) {
    await this.page.goto(this.ting.url + path);
  }

  async fillsIn(name, password = '') {
    await this.page.getByLabel('Username').fill(name);
    await this.page.getByLabel('Password').fill(password);
    await this.page.getByRole('button', { name: 'Join' }).click();
  }

  async joins(name, password) {
    this.name = name;
    await this.fillsIn(name, password);
    await this.isIn();
  }

  /** Waits until the history is there and the person is seen online. */
  async isIn() {
    await this.log.waitFor();
    await this.online(this.name).waitFor();
  }

  get log() {
    return this.page.getByRole('log');
  }

  get box() {
    return this.page.getByRole('textbox', { name: 'Message' });
  }

  get conversations() {
    return this.page.getByRole('list', { name: 'Conversations' });
  }

  get connection() {
    return this.page.locator('main [role=status]');
  }

  online(name) {
    return this.page.getByRole('list', { name: 'People online' }).getByText(name, { exact: true });
  }

  /** A message others are typing. */
  ghost(text) {
    return this.page.locator('article[data-state=ghost]', { hasText: text });
  }

  /** A message that is sent, one's own only once the server has it. */
  message(text) {
    return this.page.locator('article[data-state=sent]', { hasText: text });
  }

  /** Types at the end of what is in the box, key by key. */
  async types(text) {
    await this.box.focus();
    await this.page.keyboard.press('End');
    await this.page.keyboard.type(text, { delay: 15 });
  }

  async sends(text = '') {
    if (text !== '') await this.types(text);
    await this.box.press('Enter');
  }

  async erases() {
    await this.box.fill('');
  }

  async goesTo(name) {
    await this.conversations.getByRole('link', { name: new RegExp(escaped(name)) }).click();
    await this.page.getByRole('heading', { level: 1, name: new RegExp(`${escaped(name)}$`) }).waitFor();
  }

  /** Opens the private with somebody who is online. */
  async speaksTo(name) {
    await this.page.getByRole('list', { name: 'People online' }).getByRole('link', { name }).click();
    await this.page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
  }

  async sees(text) {
    await this.message(text).first().waitFor();
  }

  async seesGhost(text) {
    await this.ghost(text).first().waitFor();
  }

  async noLongerSees(locator) {
    await locator.first().waitFor({ state: 'detached' });
  }

  /** The texts of the last lines, in the order of their places. */
  async lines(count) {
    const all = await this.page.locator('article .text').allTextContents();
    return all.slice(-count);
  }

  /** Waits until the last lines are these. */
  async seesLines(...lines) {
    await this.page.waitForFunction((wanted) => {
      const all = [...document.querySelectorAll('article .text')].map((text) => text.textContent);
      return JSON.stringify(all.slice(-wanted.length)) === JSON.stringify(wanted);
    }, lines);
  }

  async openSettings() {
    await this.page.getByRole('button', { name: /Settings$/ }).click();
    return this.page.getByRole('dialog');
  }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
