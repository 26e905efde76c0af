// Nodes over one database.

import { ask, Front } from './front.js';
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
