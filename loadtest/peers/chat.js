// A chat of letters as small as it can be, the same for every peer: who types tells it by HTTP,
// and what was typed goes out at once, as one frame. Nobody is checked and nothing is stored on
// disk, so a peer is measured at its best: what it costs to carry letters to those who watch.

/** The part of HTTP that the load test speaks. `publish(channel, frame)` reaches the watchers. */
export class Chat {
  #publish;
  #share;
  #seat;
  #seats;
  #begun = 0;
  #rows = new Map();

  /**
   * `seat` of `seats` keeps ids apart where several processes give them out, and
   * `share(channel, row)` tells the other processes what was sent.
   */
  constructor(publish, { seat = 0, seats = 1, share = () => {} } = {}) {
    this.#publish = publish;
    this.#share = share;
    this.#seat = seat;
    this.#seats = seats;
  }

  /** Answers `[status, json, headers]`. */
  answer(method, url, authorization, body) {
    const { pathname, searchParams } = new URL(url, 'http://peer');
    const username = authorization?.replace(/^Bearer /, '');
    switch (`${method} ${pathname}`) {
      case 'POST /restapi/v1/sessions':
        return [200, { username: body.username, ting_auth: body.username }];
      case 'POST /restapi/v1/channels':
        return [204];
      case 'POST /api/v1/message': {
        this.#begun += 1;
        const messageid = this.#begun * this.#seats + this.#seat;
        this.#typed(messageid, username, body);
        return [200, { messageid }];
      }
      case 'PATCH /api/v1/message':
        this.#typed(body.messageid, username, body);
        return [204];
      default:
        return this.#history(method, pathname, searchParams);
    }
  }

  /** Another process says that this was sent. */
  keep(channel, row) {
    if (!this.#rows.has(channel)) this.#rows.set(channel, []);
    this.#rows.get(channel).push(row);
  }

  #typed(id, username, { target, text, typing }) {
    this.#publish(target, { [id]: { text, username, typing: typing && text !== '' } });
    if (typing || text === '') return;
    const now = Date.now();
    const row = { id, text, username, datetime_start: now, datetime_sent: now, typing: false };
    this.keep(target, row);
    this.#share(target, row);
  }

  #history(method, pathname, query) {
    const channel = pathname.match(/^\/api\/v1\/messages\/channel\/([^/]+)$/)?.[1];
    if (method !== 'GET' || channel === undefined) return [404];
    const before = Number(query.get('before') ?? Infinity);
    const rows = (this.#rows.get(decodeURIComponent(channel)) ?? [])
      .filter((row) => row.id < before)
      .sort((newer, older) => older.id - newer.id);
    const page = rows.slice(0, Number(query.get('lim') ?? 100));
    return [200, page, { 'ting-more': String(page.length < rows.length) }];
  }
}

/** Says on standard output where the peer is, and ends it when whoever started it has gone. */
export function ready(port, pids) {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}`, pids }));
  process.stdin.on('end', () => process.exit()).resume();
}
