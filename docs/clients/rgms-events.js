/**
 * The live events of RGMS: one WebSocket that comes back by itself and misses nothing. No dependencies; browsers, and
 * Node from 20 on with a WebSocket passed in. What may be heard and asked stands with its types in rgms-events.d.ts.
 *
 *     const events = new RgmsEvents({ url: "wss://…/ws/updates/", token: access, refresh: newAccessToken });
 *     events.onResync(() => fetchEverythingThatIsShown()); // at the beginning, and whenever the past is gone
 *     events.on("grade.changed", ({ enrollment_id }) => …);
 *     events.connect();
 *
 * @typedef {import("./rgms-events.js").Options} Options
 * @typedef {import("./rgms-events.js").State} State
 * @typedef {import("./rgms-events.js").Frame<any>} Frame
 * @typedef {{ text: string, type: string, isSent: boolean, timer: any, clientId?: string,
 *   resolve: (result: any) => void, reject: (error: RgmsError) => void }} Asked
 */

const SPREAD = 1000; // ms over which the clients of an instance that stops come back
const LASTING = 10_000; // ms after which a connection counts as one that works
const OPENING = 20_000; // ms until connection.ready
const MOST_ASKED = 50; // requests under way: who sends 60 frames at once is closed out (4429)
const LARGEST_FRAME = 65_536; // bytes: a larger one ends the socket (4413)

/** Requests that the service takes twice and does once. */
const REPEATABLE = new Set(["message.send", "message.edit", "message.delete", "read", "history"]);

/** Why a request failed. `code` is the service's, or timeout, closed, disconnected, too_many, too_large. */
export class RgmsError extends Error {
  /** @param {{ code: string, detail: string, errors?: any[], retry_after?: number }} told @param {string} [clientId] */
  constructor({ code, detail, errors = [], retry_after: retryAfter }, clientId) {
    super(detail);
    Object.assign(this, { name: "RgmsError", code, detail, errors, retryAfter, clientId });
  }
}

/** How many ms to wait after so many failures in a row: 1 s, doubling to 30 s, of which half is chance. */
export function backoff(/** @type {number} */ failures, random = Math.random) {
  return Math.min(30_000, 1000 * 2 ** (failures - 1)) * (0.5 + random() / 2);
}

/** What the end of a socket asks of its client. @param {number} code @param {string} reason */
export function afterClose(code, reason) {
  if (code === 1012) return "again";
  if (code === 4401) return reason === "token_expired" ? "refresh" : "stop";
  // 4408: this machine has slept. Any other code of the service says that the same again would be refused again.
  return code === 4408 || code < 4000 ? "later" : "stop";
}

/** Whether `id` comes after `last`. In another epoch it does: the log was replaced. @param {string} id */
export function isNewer(id, /** @type {string | null} */ last) {
  const [epoch, position] = id.split(":");
  const [lastEpoch, lastPosition] = (last ?? "").split(":");
  return epoch !== lastEpoch || Number(position) > Number(lastPosition);
}

export class RgmsEvents {
  /** @type {Map<string, Set<Function>>} */ #handlers = new Map();
  /** @type {Map<string, Asked>} */ #asked = new Map();
  /** @type {State} */ state = { name: "closed", code: null, reason: "", delay: 0 };
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {number | null} */ #readyAt = null;
  /** @type {(() => void) | null} */ #next = null; // what waits for its time
  /** @type {any} */ #waiting;
  /** @type {any} */ #watching;
  #heardAt = 0;
  #pingedAt = 0;
  #failures = 0;
  #isResuming = false;
  #isRefreshed = false; // since the last connection.ready: a second time is a failure
  #turn = 0; // a token that was asked for before close() must not open anything after it
  #refs = 0;
  #proceed = () => {
    const next = this.#next;
    this.#next = null;
    clearTimeout(this.#waiting);
    next?.();
  };

  /** @param {Options} options */
  constructor(options) {
    this.options = { WebSocket: globalThis.WebSocket, pingEvery: 25_000, silence: 60_000, ...options };
    /** @type {string | null} */
    this.position = options.lastEventId || null;
  }

  /** @param {string} type @param {Function} handler */
  on(type, handler) {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /** @param {Function} handler */
  onResync = (handler) => this.on("#resync", handler);
  /** @param {Function} handler */
  onState = (handler) => this.on("#state", handler);
  /** @param {Function} handler */
  onPosition = (handler) => this.on("#position", handler);

  /** @param {string} [token] */
  connect(token = this.options.token) {
    this.options.token = token;
    if (!this.#isOver()) return;
    this.#failures = 0;
    this.#isRefreshed = false;
    globalThis.addEventListener?.("online", this.#proceed); // whatever waits need not wait any more
    this.#open();
  }

  close() {
    this.#stop("closed", 1000, "");
  }

  /** @param {string} type @param {any} data */
  request(type, data = {}, { timeout = 30_000 } = {}) {
    const ref = String(++this.#refs);
    const clientId = type === "message.send" ? data.client_id ?? `${Date.now()}-${String(Math.random()).slice(2)}` : "";
    const text = JSON.stringify({ type, data: clientId ? { ...data, client_id: clientId } : data, ref });
    return new Promise((resolve, reject) => {
      const late = { code: "timeout", detail: "No answer came. Whether it was done is not known." };
      const timer = setTimeout(() => this.#fail(ref, late), timeout);
      const size = new TextEncoder().encode(text).length;
      const asked = { text, type, isSent: false, timer, clientId, resolve, reject };
      this.#asked.set(ref, asked);
      if (this.#isOver()) this.#fail(ref, { code: "closed", detail: "Connect first." });
      else if (this.#asked.size > MOST_ASKED) this.#fail(ref, { code: "too_many", detail: "Wait for answers first." });
      else if (size > LARGEST_FRAME) this.#fail(ref, { code: "too_large", detail: "A frame holds at most 64 KiB." });
      else if (this.#readyAt !== null) this.#ask(asked);
    });
  }

  #open() {
    const { WebSocket, url, token, tokenInQuery } = this.options;
    const address = new URL(url);
    if (this.position) address.searchParams.set("last_event_id", this.position);
    if (tokenInQuery) address.searchParams.set("token", token);
    /** @type {WebSocket} */
    const socket = tokenInQuery ? new WebSocket(address.href) : new WebSocket(address.href, ["rgms.bearer", token]);
    // A socket that was left may still have something to say: nobody listens.
    socket.onmessage = ({ data }) => void (socket === this.#socket && this.#hear(JSON.parse(data)));
    socket.onclose = ({ code, reason }) => void (socket === this.#socket && this.#end(code, reason));
    socket.onerror = () => {}; // its close follows
    this.#socket = socket;
    this.#isResuming = Boolean(this.position);
    this.#heardAt = Date.now();
    this.#watch();
    this.#tell("connecting");
  }

  /** Looks five times between two pings: is the peer there, is it time for a ping? */
  #watch() {
    const { pingEvery, silence } = this.options;
    const limit = this.#readyAt === null ? Math.min(OPENING, silence) : silence;
    if (Date.now() - this.#heardAt >= limit) return this.#end(1006, "silent");
    if (this.#readyAt !== null && Date.now() - this.#pingedAt >= pingEvery) {
      this.#pingedAt = Date.now();
      this.#socket?.send('{"type":"ping"}');
    }
    this.#watching = setTimeout(() => this.#watch(), pingEvery / 5);
  }

  /** @param {Frame} frame */
  #hear({ id, type, at, data }) {
    this.#heardAt = Date.now();
    if (type === "connection.ready") this.#welcome(data);
    else if (type === "resync_required") this.position = id;
    else if (id !== null && !isNewer(id, this.position)) return; // heard before
    else this.position = id ?? this.position;
    if (type === "answer") this.#settle(data.ref)?.resolve(data.result);
    else if (type === "error") this.#fail(data.ref, data);
    else if (type === "resync_required") this.#emit("#resync", data.reason);
    else if (type !== "heartbeat" && type !== "pong") {
      this.#emit(type, data, { id, type, at, data });
      if (type !== "connection.ready") this.#emit("*", { id, type, at, data });
    }
    // After the handlers: who stores it has handled what it stands for.
    if (id !== null || type === "connection.ready") this.#emit("#position", this.position);
  }

  /** @param {{ position: string }} data */
  #welcome({ position }) {
    this.#readyAt = this.#pingedAt = Date.now();
    this.#isRefreshed = false;
    // Not where resync_required is about to come: lost on the way, it has to be told again next time.
    if (!this.#isResuming) this.position = position;
    this.#tell("open");
    for (const asked of this.#asked.values()) this.#ask(asked);
    if (!this.#isResuming) this.#emit("#resync", "first");
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    const wasReady = this.#readyAt !== null;
    if (this.#readyAt !== null && Date.now() - this.#readyAt >= LASTING) this.#failures = 0;
    this.#leave();
    for (const [ref, { isSent, type }] of this.#asked) {
      const lost = { code: "disconnected", detail: "The connection was lost. Whether it was done is not known." };
      if (isSent && !REPEATABLE.has(type)) this.#fail(ref, lost);
    }
    const what = afterClose(code, reason);
    if (what === "stop") return this.#stop("stopped", code, reason);
    let delay = 0;
    if (what === "again" && wasReady) delay = Math.random() * SPREAD;
    else if (what !== "refresh" || this.#isRefreshed) delay = backoff(++this.#failures);
    this.#wait(delay, () => void (what === "refresh" ? this.#refresh() : this.#open()), code, reason);
  }

  async #refresh() {
    const turn = this.#turn;
    this.#isRefreshed = true;
    try {
      const token = await this.options.refresh?.();
      if (turn !== this.#turn) return;
      if (!token) return this.#stop("stopped", 4401, "token_expired");
      this.options.token = token;
    } catch {
      if (turn !== this.#turn) return;
      return this.#wait(backoff(++this.#failures), () => void this.#refresh(), 4401, "token_expired");
    }
    this.#open();
  }

  /** @param {number} delay @param {() => void} next @param {number} code @param {string} reason */
  #wait(delay, next, code, reason) {
    this.#next = next;
    this.#waiting = setTimeout(this.#proceed, delay);
    this.#tell("waiting", code, reason, delay);
  }

  /** @param {"closed" | "stopped"} name @param {number} code @param {string} reason */
  #stop(name, code, reason) {
    this.#turn += 1;
    this.#next = null;
    clearTimeout(this.#waiting);
    globalThis.removeEventListener?.("online", this.#proceed);
    this.#leave();
    for (const ref of this.#asked.keys()) this.#fail(ref, { code: "closed", detail: `Closed: ${reason || code}.` });
    this.#tell(name, code, reason);
  }

  #leave() {
    const socket = this.#socket;
    this.#socket = this.#readyAt = null;
    clearTimeout(this.#watching);
    socket?.close(); // not waited for: on a dead network the answer never comes
  }

  #isOver() {
    return this.state.name === "closed" || this.state.name === "stopped";
  }

  /** @param {Asked} asked */
  #ask(asked) {
    asked.isSent = true;
    this.#socket?.send(asked.text);
  }

  /** @param {string} ref */
  #settle(ref) {
    const asked = this.#asked.get(ref);
    this.#asked.delete(ref);
    clearTimeout(asked?.timer);
    return asked;
  }

  /** @param {string} ref @param {any} told */
  #fail(ref, told) {
    const asked = this.#settle(ref);
    asked?.reject(new RgmsError(told, asked.clientId));
  }

  /** @param {State["name"]} name @param {number | null} code */
  #tell(name, code = null, reason = "", delay = 0) {
    this.state = { name, code, reason, delay };
    this.#emit("#state", this.state);
  }

  /** @param {string} name @param {any[]} given */
  #emit(name, ...given) {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) {
      try {
        handler(...given);
      } catch (error) {
        setTimeout(() => { throw error; }, 0); // seen as uncaught; the next frames are not to blame
      }
    }
  }
}
