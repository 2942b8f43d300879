// Ann and Bob, each a device of a Ringpost, by the rules for every client: docs/sync.md, docs/gateway.md.

import { Inbox } from "./inbox.js";
import { choose, language, otherLanguage, t } from "./words.js";

const [SHOWN, LONGEST_WAIT_MS] = [200, 10_000]; // entries of the past on a fresh page; between two attempts
const kept = { // a browser may refuse to keep anything; then a reload forgets it
  get(store, key) { try { return window[store].getItem(key); } catch { return null; } },
  set(store, key, value) { try { window[store].setItem(key, value); } catch { /* as said */ } },
};
const here = (path) => new URL(path, document.baseURI);
const make = (tag, name, text) => Object.assign(document.createElement(tag), { className: name, textContent: text });

class Device {
  constructor(user, name) {
    Object.assign(this, { user, name, turn: 0, inbox: null, token: null, link: ["wait"] });
    this.rows = new Map(); // what is stored, by message_id
    this.pane = document.getElementById("pane").content.firstElementChild.cloneNode(true);
    this.pane.classList.add(user);
    const part = (selector) => this.pane.querySelector(selector);
    [this.log, this.list, this.switch, this.input] = [".log", ".list", ".switch", "textarea"].map(part);
    [part(".face").textContent, part("h2").textContent] = [name[0], name];
    this.switch.onclick = () => (this.on ? this.leave("off") : this.come());
    part("form").onsubmit = (event) => { event.preventDefault(); this.write(); };
    this.input.onkeydown = (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.write(); }
    };
    this.outbox = JSON.parse(kept.get("sessionStorage", `outbox-${user}`) ?? "[]").map((it) => this.pending(it));
  }

  // The connection. What belongs to an earlier turn is not listened to.

  come() { Object.assign(this, { on: true, waitMs: 0 }).connect(); }
  leave(...link) { Object.assign(this, { on: false }).drop(...link); }
  drop(...link) {
    Object.assign(this, { turn: this.turn + 1, ready: false });
    [this.silence, this.retry].forEach(clearTimeout);
    this.socket?.close();
    this.show(...link);
  }
  async connect() {
    this.drop(this.link[0] === "away" ? "away" : "wait");
    const { turn } = this;
    try {
      await this.signIn();
      if (!this.inbox) await this.begin();
    } catch (error) {
      const final = error.retriable === false && error.code !== "unauthenticated";
      if (turn === this.turn) this.lost(final ? 4500 : 1006, error.message);
    }
    if (turn !== this.turn) return;
    const url = here("v1/connect");
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.onopen = () => this.say({ type: "hello", token: this.token, cursor: this.inbox.cursor });
    this.socket.onmessage = ({ data }) => { if (turn === this.turn) this.heard(JSON.parse(data)); };
    this.socket.onclose = ({ code, reason }) => { if (turn === this.turn) this.lost(code, reason); };
    this.listen(20);
  }
  listen(beatS) { // silent for two heartbeats: dead
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lost(1006), 2000 * beatS);
  }
  lost(code, reason) { // below 4500: come back. Above: only if what was wrong can be put right
    if (code === 4003 || code === 4504) return this.leave("taken");
    if (code >= 4500 && !this.mended(code)) return this.leave("bad", reason || code);
    this.drop("away");
    this.retry = setTimeout(() => this.connect(), Math.random() * this.waitMs);
    this.waitMs = Math.min(Math.max(1000, 2 * this.waitMs), LONGEST_WAIT_MS);
  }
  mended(code) {
    if (code === 4501 && !this.denied) { // a token that ran out: once more, with a fresh one
      Object.assign(this, { token: null, denied: true });
      return true;
    }
    if (code !== 4500 || !this.astray) return false;
    this.inbox = this.astray = this.others = null; // another server, or one that was set back: its inbox from the beginning
    this.rows.clear();
    this.list.replaceChildren(...this.outbox.map((row) => row.item));
    return true;
  }
  async signIn() {
    if (this.token && this.expires - Date.now() > 60_000) return;
    const device = kept.get("sessionStorage", "device") ?? `stage-${crypto.randomUUID()}`;
    kept.set("sessionStorage", "device", device); // a reload is the same device, another window another
    const minted = await this.fetched(`stage/tokens/${this.user}/${device}`, { method: "POST" });
    [this.token, this.expires] = [minted.token, Date.parse(minted.expires_at)];
  }
  async call(path, body) {
    await this.signIn();
    const headers = { Authorization: `Bearer ${this.token}` };
    return this.fetched(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  }
  async fetched(path, request) {
    const answer = await fetch(here(path), request);
    if (answer.status === 401) this.token = null;
    const value = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(), value.error);
    return value;
  }
  async begin() { // a fresh page: the newest of the inbox, not years of it
    const { turn } = this;
    const { conversation_id: id } = await this.call("v1/conversations", { kind: "direct", with: this.them.user });
    const { head } = await this.call("v1/sync?cursor=0&limit=1");
    if (turn !== this.turn) return;
    Object.assign(this, { conversation: id, inbox: new Inbox(Math.max(0, head - SHOWN)), fresh: true });
    if (this.inbox.cursor) this.divide(0, "older", this.inbox.cursor);
  }

  // What comes in

  heard(frame) {
    if (frame.type === "welcome") this.welcomed(frame);
    if (frame.type === "entries") this.apply(this.inbox.take(frame.entries));
    if (frame.type === "heartbeat") this.inbox.told(frame.head);
    if (frame.type === "sent") this.settle(frame.ref, frame);
    if (frame.type === "error") this.refused(frame);
    this.listen(this.beatS ?? 20);
    if (this.inbox.hole) this.pull();
  }
  welcomed({ head, heartbeat_s: beatS }) {
    const count = head - this.inbox.cursor;
    Object.assign(this, { beatS, waitMs: 0, ready: true, denied: false, until: head });
    this.inbox.told(head);
    this.log.ariaBusy = String(count > 0);
    if (count && !this.fresh) this.divide(this.last + 0.5, "catching", count);
    this.show(...(count && !this.fresh ? ["catching", count] : ["on"]));
    this.fresh = false;
    this.apply([]);
    this.pump();
  }
  async pull() {
    if (this.pulling) return;
    this.pulling = true;
    try {
      for (const { turn } = this; turn === this.turn && this.inbox.hole;) {
        const page = await this.call(`v1/sync?cursor=${this.inbox.cursor}&limit=200`);
        if (turn === this.turn) this.apply(this.inbox.pulled(page));
        if (page.more && !page.entries.length) await new Promise((done) => { setTimeout(done, 1000); });
      }
    } catch { /* the next frame asks again */ } finally { this.pulling = false; }
  }
  apply(entries) {
    for (const { seq, type, message } of entries) {
      if (type === "message" && message.conversation_id === this.conversation) this.arrived(message, seq);
      else this.elsewhere(seq);
    }
    this.pane.querySelector(".inbox b").textContent = this.inbox.cursor;
    if (this.inbox.cursor < this.until) return;
    this.log.ariaBusy = "false";
    const [state, count] = this.link;
    if (state === "catching") this.show(...(this.gap.words = ["caught", count]));
    else if (state === "caught") this.show("on");
  }
  arrived(message, entry) {
    if (message.sender_id === this.user) this.settle(message.client_message_id, message);
    const row = this.rows.get(message.message_id) ?? this.row(message);
    this.stand(Object.assign(row, { entry, seq: message.seq }));
    if (this.them.rows.has(message.message_id)) this.them.render(this.them.rows.get(message.message_id));
  }
  elsewhere(entry) { // one quiet line for a run of entries that are not of this conversation
    if (this.others?.words[2] !== entry - 1) this.others = this.line("other", this.last + 0.5, "elsewhere", entry, entry);
    else this.others.words = ["others", this.others.words[1], entry];
    Object.assign(this.others, { textContent: t(...this.others.words), ariaLive: "off" });
  }

  // What goes out: one after the other, each until it is answered

  write() {
    const text = this.input.value.trim();
    this.input.value = "";
    if (!text) return;
    this.outbox.push(this.pending({ id: crypto.randomUUID(), text }));
    this.log.scrollTop = 0; // the newest: the log is laid out from its end, and so stays there
    this.pump();
  }
  pump() {
    kept.set("sessionStorage", `outbox-${this.user}`, JSON.stringify(this.outbox.map(({ id, text }) => ({ id, text }))));
    for (const row of this.outbox) this.render(row);
    const [{ id, text } = {}] = this.outbox;
    if (!id || !this.ready || this.underWay === `${this.turn}/${id}`) return;
    this.underWay = `${this.turn}/${id}`; // on the next connection again, with the same id: stored once
    this.say({ type: "send", ref: id, client_message_id: id, to: this.them.user, kind: "text", body: { text } });
  }
  settle(id, { message_id: key, seq, sent_at: at, reason }) {
    const row = this.outbox.find((it) => it.id === id);
    if (!row) return;
    this.outbox.splice(this.outbox.indexOf(row), 1);
    this.stand(Object.assign(row, { key, seq, at, reason }));
    this.pump();
  }
  refused({ ref, error }) {
    if (ref === undefined) this.astray = error.code === "cursor_ahead";
    else if (!error.retriable) this.settle(ref, { reason: error.message });
    else setTimeout(() => { this.underWay = null; this.pump(); }, 1000);
  }
  say(frame) { if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame)); }

  // What is seen

  pending({ id, text }) {
    const row = this.row({ client_message_id: id, sender_id: this.user, kind: "text", body: { text } });
    this.render(row);
    this.place(row.item, Infinity);
    return row;
  }
  row({ message_id: key, client_message_id: id, sender_id: sender, kind, body, sent_at: at }) {
    const [mine, text] = [sender === this.user, kind === "text" ? body.text : `[${kind}]`];
    const [item, meta] = [make("li", mine ? "mine" : "theirs"), Object.assign(make("p", "meta"), { ariaLive: "off" })];
    item.append(make("p", "text", text), meta);
    return { key, id, text, at, item, meta, mine };
  }
  stand(row) {
    this.rows.set(row.key ?? row.id, row);
    this.render(row);
    this.place(row.item, row.seq ?? Infinity);
  }
  state(row) {
    if (row.reason) return "failed";
    if (!row.key) return this.ready ? "sending" : "waiting";
    return this.them.rows.has(row.key) ? "arrived" : "stored"; // this page sees both devices; others need receipts
  }
  render(row) {
    const time = row.at && new Date(row.at).toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit" });
    const state = row.mine ? this.state(row) : "";
    row.item.dataset.state = state;
    row.meta.replaceChildren(...[
      row.key && make("b", "", `#${row.seq}`), row.entry && make("span", "", `${t("inbox")} ${row.entry}`),
      time && make("time", "", time), state && make("span", "state", t(state, row.reason)),
    ].filter(Boolean));
  }
  place(item, seq) { // by the seq of the conversation; what has none yet stands last
    item.dataset.seq = seq;
    const before = [...this.list.children].findLast((it) => it !== item && Number(it.dataset.seq) <= seq) ?? null;
    if (before) { if (before.nextElementSibling !== item) before.after(item); }
    else if (this.list.firstElementChild !== item) this.list.prepend(item);
  }
  get last() { return Math.max(0, ...[...this.rows.values()].filter((row) => row.entry).map((row) => row.seq)); }
  line(name, seq, ...words) {
    const item = Object.assign(make("li", name), { words });
    this.place(item, seq);
    return item;
  }
  divide(...words) { [this.gap, this.others] = [this.line("gap", ...words), null]; }
  show(...link) { Object.assign(this, { link }).speak(); }
  speak() {
    const [names, [state]] = [[this.name, this.them.name], this.link];
    this.pane.dataset.link = { catching: "on", caught: "on", away: "wait", taken: "bad" }[state] ?? state;
    this.pane.querySelector(".link").textContent = t(...this.link);
    Object.assign(this.switch, { ariaLabel: t("switch", this.name), ariaChecked: String(this.on) });
    Object.assign(this.input, { ariaLabel: t("write", ...names), placeholder: t(this.on ? "write" : "held", ...names) });
    [this.pane.ariaLabel, this.log.ariaLabel] = [this.name, t("log", this.name)];
    this.pane.querySelector(".empty").replaceChildren(...t(this.user).map((line) => make("li", "", line)));
    for (const item of this.list.querySelectorAll(".gap, .other")) item.textContent = t(...item.words);
    for (const row of [...this.rows.values(), ...this.outbox]) this.render(row);
  }
}

const devices = [new Device("ann", "Ann"), new Device("bob", "Bob")];
[devices[0].them, devices[1].them] = [devices[1], devices[0]];
document.getElementById("panes").replaceChildren(...devices.map((device) => device.pane));
const button = document.getElementById("language");
function speak(code) {
  choose(code);
  document.documentElement.lang = language();
  for (const part of document.querySelectorAll("[data-t]")) part.textContent = t(part.dataset.t);
  Object.assign(button, { textContent: t("other"), lang: otherLanguage() });
  for (const device of devices) device.speak();
}
button.onclick = () => { speak(otherLanguage()); kept.set("localStorage", "language", language()); };
speak(kept.get("localStorage", "language") ?? navigator.language);
for (const device of devices) device.come();
if (matchMedia("(pointer: fine)").matches) devices[0].input.focus();
