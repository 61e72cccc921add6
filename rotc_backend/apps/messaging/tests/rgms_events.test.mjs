// Run by test_client_module.py: node --test rgms_events.test.mjs, with the module's address in RGMS_EVENTS.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

const { RgmsError, RgmsEvents, afterClose, backoff, isNewer } = await import(process.env.RGMS_EVENTS);
const EPOCH = "11111111-1111-4111-8111-111111111111";
const at = "2026-08-22T01:15:00.000Z";

class FakeSocket {
  static opened = [];
  sent = [];
  isClosed = false;

  constructor(url, protocols) {
    Object.assign(this, { url: new URL(url), protocols });
    FakeSocket.opened.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.isClosed = true;
  }
  says(type, data = {}, position = null) {
    this.onmessage({ data: JSON.stringify({ id: position === null ? null : `${EPOCH}:${position}`, type, at, data }) });
  }
  welcomes(position, resumed = false) {
    this.says("connection.ready", { position: `${EPOCH}:${position}`, resumed });
  }
  ends(code, reason = "") {
    this.onclose({ code, reason });
  }
}

function client(options = {}) {
  const events = new RgmsEvents({ url: "ws://x/ws/updates/", token: "t1", WebSocket: FakeSocket, ...options });
  const seen = { frames: [], resyncs: [], positions: [], states: [] };
  events.on("*", (frame) => seen.frames.push(frame.data.n));
  events.onResync((reason) => seen.resyncs.push(reason));
  events.onPosition((position) => seen.positions.push(position));
  events.onState(({ name, code, reason }) => seen.states.push([name, code, reason]));
  return { events, seen };
}

const newest = () => FakeSocket.opened.at(-1);
const resumesFrom = () => newest().url.searchParams.get("last_event_id");
const settled = async () => { for (let turn = 0; turn < 10; turn += 1) await Promise.resolve(); };

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  FakeSocket.opened = [];
});

test("a wait is half certain and half chance, doubles, and ends at 30 s", () => {
  const longest = [1, 2, 3, 4, 5, 6, 60].map((failures) => backoff(failures, () => 1) / 1000);
  assert.deepEqual(longest, [1, 2, 4, 8, 16, 30, 30]);
  assert.equal(backoff(1, () => 0), 500);
  for (let turn = 0; turn < 100; turn += 1) assert.ok(backoff(3) >= 2000 && backoff(3) <= 4000);
});

test("every close code has its consequence", () => {
  const codes = {
    again: [[1012, "service_restart"]],
    later: [[1000, ""], [1001, ""], [1005, ""], [1006, ""], [1011, ""], [1013, "unavailable"], [1013, "slow_reader"],
      [4408, "idle"]],
    refresh: [[4401, "token_expired"]],
    stop: [[4401, "token_revoked"], [4401, "token_missing"], [4400, "frame_malformed"], [4403, "not_a_member"],
      [4404, "room_unknown"], [4413, "frame_too_large"], [4429, "too_many_sockets"]],
  };
  for (const [what, ends] of Object.entries(codes)) for (const end of ends) assert.equal(afterClose(...end), what, end);
});

test("positions are compared as numbers, and only within an epoch", () => {
  assert.equal(isNewer(`${EPOCH}:10`, `${EPOCH}:9`), true);
  assert.equal(isNewer(`${EPOCH}:9`, `${EPOCH}:9`), false);
  assert.equal(isNewer("other:1", `${EPOCH}:9`), true);
  assert.equal(isNewer(`${EPOCH}:1`, null), true);
});

test("the token travels as a subprotocol, or in the address where that is wanted", () => {
  client().events.connect();
  assert.deepEqual(newest().protocols, ["rgms.bearer", "t1"]);
  assert.equal(newest().url.search, "");
  client({ tokenInQuery: true }).events.connect();
  assert.equal(newest().protocols, undefined);
  assert.equal(newest().url.searchParams.get("token"), "t1");
});

test("what was heard before is not heard again, and a heartbeat moves the position", () => {
  const { events, seen } = client();
  events.connect();
  newest().welcomes(4);
  newest().says("cadet.changed", { n: 5 }, 5);
  newest().says("cadet.changed", { n: 5 }, 5);
  newest().says("cadet.changed", { n: 3 }, 3);
  newest().says("typing", { n: "typing" });
  newest().says("heartbeat", {}, 9);
  newest().says("heartbeat", {}, 8);
  assert.deepEqual(seen.frames, [5, "typing"]);
  assert.deepEqual(seen.resyncs, ["first"]);
  assert.equal(events.position, `${EPOCH}:9`);
  newest().ends(1006);
  mock.timers.tick(1000);
  assert.equal(resumesFrom(), `${EPOCH}:9`);
  newest().welcomes(9, true);
  assert.deepEqual(seen.resyncs, ["first"]);
});

test("a page begins where the one before it stood", () => {
  const { events, seen } = client({ lastEventId: `${EPOCH}:7` });
  events.connect();
  assert.equal(resumesFrom(), `${EPOCH}:7`);
  newest().welcomes(7, true);
  newest().says("cadet.changed", { n: 8 }, 8);
  assert.deepEqual(seen.frames, [8]);
  assert.deepEqual(seen.resyncs, []);
});

test("a resync that is lost on the way is told again", () => {
  const { events, seen } = client({ lastEventId: `${EPOCH}:7` });
  events.connect();
  newest().welcomes(900); // not resumed; the connection ends before resync_required
  newest().ends(1006);
  mock.timers.tick(1000);
  assert.equal(resumesFrom(), `${EPOCH}:7`);
  newest().welcomes(901);
  newest().says("resync_required", { reason: "expired" }, 901);
  newest().ends(1006);
  mock.timers.tick(2000);
  assert.equal(resumesFrom(), `${EPOCH}:901`);
  assert.deepEqual(seen.resyncs, ["expired"]);
});

test("the position is told after the handlers, even if one of them fails", () => {
  const { events, seen } = client();
  let told;
  events.on("cadet.changed", () => {
    told = seen.positions.length;
    throw new Error("of the page");
  });
  events.on("cadet.changed", (data, frame) => seen.frames.push(frame.type));
  events.connect();
  newest().welcomes(4);
  newest().says("cadet.changed", { n: 5 }, 5);
  assert.equal(told, 1);
  assert.deepEqual(seen.positions, [`${EPOCH}:4`, `${EPOCH}:5`]);
  assert.deepEqual(seen.frames, ["cadet.changed", 5]);
  assert.throws(() => mock.timers.tick(1), /of the page/);
});

test("a handler that was taken off hears nothing more", () => {
  const { events } = client();
  const heard = [];
  const off = events.on("cadet.changed", ({ n }) => heard.push(n));
  events.connect();
  newest().welcomes(4);
  newest().says("cadet.changed", { n: 5 }, 5);
  off();
  newest().says("cadet.changed", { n: 6 }, 6);
  assert.deepEqual(heard, [5]);
});

test("failures in a row wait longer, and a connection that lasted forgets them", () => {
  const { events } = client();
  const delays = [];
  events.onState(({ name, delay }) => name === "waiting" && delays.push(delay));
  events.connect();
  for (let turn = 0; turn < 7; turn += 1) {
    newest().ends(1006);
    mock.timers.tick(30_000);
  }
  [1, 2, 4, 8, 16, 30, 30].forEach((s, turn) => assert.ok(delays[turn] >= s * 500 && delays[turn] <= s * 1000, delays));
  newest().welcomes(1);
  newest().ends(1013, "slow_reader"); // at once: a connection that does not last
  assert.ok(delays.at(-1) >= 15_000);
  mock.timers.tick(30_000);
  newest().welcomes(1);
  mock.timers.tick(10_000);
  newest().ends(1013, "unavailable");
  assert.ok(delays.at(-1) <= 1000);
});

test("a restart is followed at once, a restart that goes on is not hammered", () => {
  const { events } = client();
  events.connect();
  newest().welcomes(1);
  newest().ends(1012, "service_restart");
  assert.ok(events.state.delay < 1000);
  for (let turn = 0; turn < 6; turn += 1) {
    mock.timers.tick(30_000);
    newest().ends(1012, "service_restart");
  }
  assert.ok(events.state.delay >= 15_000);
});

test("a peer that says nothing is left, and what it says later is not heard", () => {
  const { events, seen } = client();
  events.connect();
  const dead = newest();
  dead.welcomes(1);
  mock.timers.tick(25_000);
  assert.deepEqual(dead.sent, [{ type: "ping" }]);
  dead.says("pong");
  mock.timers.tick(55_000);
  assert.equal(events.state.name, "open");
  mock.timers.tick(5_000);
  assert.deepEqual(seen.states.at(-1), ["waiting", 1006, "silent"]);
  assert.equal(dead.isClosed, true);
  dead.says("cadet.changed", { n: 2 }, 2);
  dead.ends(4403, "not_a_member");
  assert.deepEqual(seen.frames, []);
  mock.timers.tick(1000);
  assert.equal(FakeSocket.opened.length, 2);
  mock.timers.tick(20_000); // no welcome
  assert.equal(events.state.name, "waiting");
});

test("a token that has expired is exchanged at once, and with care if the new one has expired too", async () => {
  const tokens = ["t2", "t3"];
  const { events, seen } = client({ refresh: async () => tokens.shift() ?? null });
  events.connect();
  newest().ends(4401, "token_expired"); // before any welcome: the page was opened after a night
  assert.equal(events.state.delay, 0);
  mock.timers.tick(0);
  await settled();
  assert.deepEqual(newest().protocols, ["rgms.bearer", "t2"]);
  newest().ends(4401, "token_expired");
  assert.ok(events.state.delay >= 500);
  mock.timers.tick(1000);
  await settled();
  assert.deepEqual(newest().protocols, ["rgms.bearer", "t3"]);
  newest().welcomes(1);
  newest().ends(4401, "token_expired");
  mock.timers.tick(0);
  await settled();
  assert.deepEqual(seen.states.at(-1), ["stopped", 4401, "token_expired"]);
});

test("a refresh that fails is tried again, without the old token in between", async () => {
  let calls = 0;
  const refresh = async () => { if (++calls === 1) throw new Error("tunnel"); return "t2"; };
  const { events } = client({ refresh });
  events.connect();
  newest().ends(4401, "token_expired");
  mock.timers.tick(0);
  await settled();
  assert.equal(events.state.name, "waiting");
  mock.timers.tick(1000);
  await settled();
  assert.equal(FakeSocket.opened.length, 2);
  assert.deepEqual(newest().protocols, ["rgms.bearer", "t2"]);
});

test("a token that arrives after close opens nothing", async () => {
  let give;
  const { events } = client({ refresh: () => new Promise((resolve) => { give = resolve; }) });
  events.connect();
  newest().ends(4401, "token_expired");
  mock.timers.tick(0);
  events.close();
  give("t2");
  await settled();
  assert.equal(FakeSocket.opened.length, 1);
  assert.equal(events.state.name, "closed");
});

test("whoever closes while the client waits has closed it", () => {
  const { events } = client();
  events.connect();
  newest().ends(1006);
  events.close();
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.opened.length, 1);
  assert.equal(events.state.name, "closed");
});

test("whoever connects again begins without the failures of before", async () => {
  const { events } = client({ refresh: () => null });
  events.connect();
  for (let turn = 0; turn < 6; turn += 1) {
    newest().ends(1006);
    mock.timers.tick(30_000);
  }
  newest().ends(4401, "token_expired");
  mock.timers.tick(0);
  await settled();
  assert.equal(events.state.name, "stopped");
  events.connect("t2");
  newest().ends(1006);
  assert.ok(events.state.delay <= 1000);
  mock.timers.tick(1000);
  newest().ends(4401, "token_expired");
  assert.equal(events.state.delay, 0);
});

test("a network that is back is used at once", () => {
  const listeners = new Set();
  globalThis.addEventListener = (name, listener) => name === "online" && listeners.add(listener);
  globalThis.removeEventListener = (name, listener) => name === "online" && listeners.delete(listener);
  try {
    const { events } = client();
    events.connect();
    newest().ends(1006);
    for (const listener of listeners) listener();
    assert.equal(FakeSocket.opened.length, 2);
    for (const listener of listeners) listener(); // nothing waits
    mock.timers.tick(1000);
    assert.equal(FakeSocket.opened.length, 2);
    events.close();
    assert.equal(listeners.size, 0);
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

test("a final refusal stops and tells why, and connect goes on from there with another token", () => {
  const { events, seen } = client();
  events.connect();
  newest().welcomes(5);
  newest().ends(4401, "token_revoked");
  mock.timers.tick(120_000);
  assert.equal(FakeSocket.opened.length, 1);
  assert.deepEqual(seen.states.at(-1), ["stopped", 4401, "token_revoked"]);
  events.connect("t9");
  assert.deepEqual(newest().protocols, ["rgms.bearer", "t9"]);
  assert.equal(resumesFrom(), `${EPOCH}:5`);
});

test("an answer and a refusal reach the one who asked", async () => {
  const { events } = client();
  events.connect();
  const early = events.request("history", { limit: 1 });
  newest().welcomes(1);
  const late = events.request("message.send", { body: "x", client_id: "c1" });
  const [first, second] = newest().sent;
  assert.deepEqual([first.type, first.data, second.data], ["history", { limit: 1 }, { body: "x", client_id: "c1" }]);
  newest().says("error", { ref: second.ref, code: "sending_too_fast", detail: "Wait.", errors: [], retry_after: 7 });
  newest().says("answer", { ref: first.ref, request: "history", result: { messages: [] } });
  assert.deepEqual(await early, { messages: [] });
  const words = { code: "sending_too_fast", retryAfter: 7, clientId: "c1", message: "Wait." };
  await assert.rejects(late, { name: "RgmsError", ...words });
  assert.ok((await late.catch((error) => error)) instanceof RgmsError);
});

test("what can be sent twice is sent again with the same client_id, the rest is told as lost", async () => {
  const { events } = client();
  events.connect();
  newest().welcomes(1);
  const send = events.request("message.send", { body: "x" });
  const type = events.request("typing");
  const { ref, data } = newest().sent[0];
  assert.match(data.client_id, /^[A-Za-z0-9._:-]{1,64}$/);
  newest().ends(1006);
  await assert.rejects(type, { code: "disconnected" });
  const unsent = events.request("typing");
  mock.timers.tick(1000);
  newest().ends(1006);
  mock.timers.tick(2000);
  newest().welcomes(1, true);
  assert.deepEqual(newest().sent.map(({ type }) => type), ["message.send", "typing"]);
  assert.deepEqual(newest().sent[0], { type: "message.send", data, ref });
  newest().says("answer", { ref: newest().sent[1].ref, request: "typing", result: { told: true } });
  assert.deepEqual(await unsent, { told: true });
  newest().says("answer", { ref, request: "message.send", result: { is_new: false } });
  assert.deepEqual(await send, { is_new: false });
});

test("a request that is not answered fails in time, and none is asked of a closed client", async () => {
  const { events } = client();
  await assert.rejects(events.request("history"), { code: "closed" });
  events.connect();
  newest().welcomes(1);
  const slow = events.request("message.send", { body: "x", client_id: "c1" }, { timeout: 500 });
  mock.timers.tick(500);
  await assert.rejects(slow, { code: "timeout", clientId: "c1" });
  const open = events.request("history");
  events.close();
  await assert.rejects(open, { code: "closed" });
});

test("what would end the socket is not sent", async () => {
  const { events } = client();
  events.connect();
  newest().welcomes(1);
  await assert.rejects(events.request("message.send", { body: "é".repeat(33_000) }), { code: "too_large" });
  const asked = Array.from({ length: 51 }, () => events.request("history"));
  await assert.rejects(asked.at(-1), { code: "too_many" });
  assert.equal(newest().sent.length, 50);
  events.close();
  await Promise.allSettled(asked);
});
