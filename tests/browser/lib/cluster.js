// Nodes over one database, and what stands between them and the people.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { Ting } from './ting.js';

/** How long until nodes are asked again what they act by. */
const AGAIN_MS = 50;

/** How long nodes may take to agree. */
const AGREE_MS = 60_000;

/** Nodes of one cluster, each with a front that prefers it. */
export class Cluster {
  nodes = [];
  fronts = [];

  /** So many nodes, all of them members. */
  static async of(count) {
    const database = process.env.TING_TEST_CQL;
    if (!database) throw new Error('TING_TEST_CQL must name a database');
    const cluster = new Cluster();
    for (let place = 0; place < count; place += 1) {
      cluster.fronts.push(await Front.open(() => [...cluster.nodes.slice(place), ...cluster.nodes.slice(0, place)]));
    }
    const settings = {
      TING_STORE__KIND: 'cql',
      TING_STORE__NODES: database,
      TING_STORE__DATACENTER: 'dc1',
      TING_STORE__KEYSPACE: `browser_${process.pid}`,
      TING_STORE__REPLICATION: '1',
      TING_CLUSTER__LISTEN: '127.0.0.1:0',
      // A page of any front may write.
      TING_HTTP__ORIGINS: cluster.fronts.map(({ url }) => url).join(','),
    };
    // The first one makes the schema.
    for (let place = 0; place < count; place += 1) cluster.nodes.push(await Ting.start(settings));
    await cluster.agrees();
    return cluster;
  }

  /** Where people go who do not care which node is theirs. */
  get url() {
    return this.fronts[0].url;
  }

  async stop() {
    for (const front of this.fronts) front.close();
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  /** Waits until all nodes, and nobody else, are members and up, and act by one view. */
  async agrees() {
    const late = Date.now() + AGREE_MS;
    while (!(await this.#agree())) {
      if (Date.now() > late) throw new Error('the nodes do not agree on who is a member');
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** A channel that this node owns, made there. */
  async channelOf(place, maker) {
    const node = this.nodes[place];
    const cookie = await node.signIn(maker);
    for (let number = 1; ; number += 1) {
      const name = `room${number}`;
      const status = await ask(node, `/cluster?channel=${name}`);
      if (status?.owner !== status?.node) continue;
      const headers = { 'Content-Type': 'application/json', Cookie: cookie };
      const made = await fetch(`${node.url}/api/v1/channels`, { method: 'POST', headers, body: JSON.stringify({ name }) });
      if (!made.ok) throw new Error(`making a channel was refused: ${made.status} ${await made.text()}`);
      return name;
    }
  }

  async #agree() {
    const versions = new Set();
    for (const node of this.nodes) {
      const { members = [], links = [], version } = (await ask(node, '/cluster?channel=ting')) ?? {};
      const up = members.filter(({ state }) => state === 'up').length;
      if (up !== this.nodes.length || members.length !== up || links.length !== up - 1) return false;
      versions.add(version);
    }
    return versions.size === 1;
  }
}

/**
 * One address before several nodes, as a load balancer has: each connection goes to the first
 * node in its order that says it is ready.
 */
class Front {
  #server;
  #open = new Set();

  static async open(order) {
    const front = new Front();
    front.#server = createServer({ pauseOnConnect: true }, (socket) => void front.#carry(socket, order()));
    // Tests that never began have nobody who closes it.
    front.#server.unref().listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  close() {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  async #carry(socket, nodes) {
    const ends = [socket];
    const end = () => {
      for (const one of ends) {
        this.#open.delete(one);
        one.destroy();
      }
    };
    const joins = (one) => {
      this.#open.add(one);
      one.on('close', end).on('error', end);
    };
    joins(socket);
    for (const node of nodes) {
      if ((await ask(node, '/readyz')) === null) continue;
      if (socket.destroyed) return;
      const { hostname, port } = new URL(node.url);
      const there = connect(Number(port), hostname);
      ends.push(there);
      joins(there);
      socket.pipe(there).pipe(socket);
      return;
    }
    end();
  }
}

/** What a node tells its operators; null when it does not. */
async function ask(node, path) {
  try {
    const answer = await fetch(node.admin + path);
    const text = await answer.text();
    return answer.ok ? (text.startsWith('{') ? JSON.parse(text) : text) : null;
  } catch {
    return null;
  }
}
