// Ann and Bob, each a device of a Ringpost, by the rules for every client: docs/sync.md, docs/gateway.md.

import { Inbox } from "./inbox.js";
import { Message, conversationOf } from "./message.js";
import { Row, make } from "./row.js";
import { choose, language, otherLanguage, t } from "./words.js";

const [SHOWN, LONGEST_WAIT_MS] = [200, 10_000]; // entries of the past on a fresh page; between two attempts
const [READ_EVERY_MS, IN_SIGHT_PX, TYPING_EVERY_MS, TYPING_SHOWN_MS] = [1000, 24, 2000, 4000];
const MARKS = { readSeq: 0, theirReadSeq: 0, cleared: 0, asked: 0 }; // each a seq of the conversation, and only rises
const kept = { // a browser may refuse to keep anything; then a reload forgets it
  get(store, key) { try { return window[store].getItem(key); } catch { return null; } },
  set(store, key, value) { try { window[store].setItem(key, value); } catch { /* as said */ } },
};
const here = (path) => new URL(path, document.baseURI);

class Device {
  constructor(user, name) {
    Object.assign(this, { user, name, turn: 0, inbox: null, token: null, link: ["wait"] });
    Object.assign(this, { rows: new Map(), ...MARKS }); // rows: by message_id
    this.pane = document.getElementById("pane").content.firstElementChild.cloneNode(true);
    this.pane.classList.add(user);
    const part = (selector) => this.pane.querySelector(selector);
    [this.log, this.list, this.switch, this.input] = [".log", ".list", ".switch", "textarea"].map(part);
    [this.note, this.cancel, this.unread, this.button] = [".note span", ".note button", ".unread", "form button"].map(part);
    [part(".face").textContent, part("h2").textContent] = [name[0], name];
    this.switch.onclick = () => (this.on ? this.leave("off") : this.come());
    part("form").onsubmit = (event) => { event.preventDefault(); this.write(); };
    this.input.onkeydown = (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.write(); }
      if (event.key === "Escape" && this.editing) this.edit(null);
    };
    this.input.oninput = () => this.typed();
    this.cancel.onclick = () => this.edit(null);
    this.list.onkeydown = (event) => this.step(event);
    this.list.addEventListener("focusin", ({ target }) => this.stop(target));
    this.log.onscroll = () => this.look();
    this.outbox = JSON.parse(kept.get("sessionStorage", `outbox-${user}`) ?? "[]").map((it) => this.pending(it));
  }

  // The connection. What belongs to an earlier turn is not listened to.

  come() { Object.assign(this, { on: true, waitMs: 0 }).connect(); }
  leave(...link) { Object.assign(this, { on: false }).drop(...link); }
  drop(...link) {
    Object.assign(this, { turn: this.turn + 1, ready: false });
    [this.silence, this.retry].forEach(clearTimeout);
    this.socket?.close();
    this.typing(false);
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
  async call(path, body, method = body ? "POST" : "GET") {
    await this.signIn();
    const headers = { Authorization: `Bearer ${this.token}` };
    return this.fetched(path, { method, headers, body: body && JSON.stringify(body) });
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
    const { me } = await this.call(`v1/conversations/${id}`);
    const { head } = await this.call("v1/sync?cursor=0&limit=1");
    if (turn !== this.turn) return;
    Object.assign(this, { conversation: id, inbox: new Inbox(Math.max(0, head - SHOWN)), fresh: true });
    Object.assign(this, MARKS, { readSeq: me.read_seq, cleared: me.cleared_seq });
    if (this.inbox.cursor) this.divide(0, "older", this.inbox.cursor);
  }

  // What comes in

  heard(frame) {
    if (frame.type === "welcome") this.welcomed(frame);
    if (frame.type === "entries") this.apply(this.inbox.take(frame.entries));
    if (frame.type === "heartbeat") this.inbox.told(frame.head);
    if (frame.type === "sent") this.settle(frame.ref, frame);
    if (frame.type === "error") this.refused(frame);
    if (frame.type === "signal") this.signalled(frame);
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
    for (const { seq, type, ...fields } of entries) { // a type that is not known yet is passed over
      const value = fields[type] ?? {};
      const about = value.conversation_id ?? conversationOf(value.message_id);
      if (about === this.conversation) this.take(type, value, seq);
      else if (about) this.elsewhere(seq);
    }
    this.pane.querySelector(".inbox b").textContent = this.inbox.cursor;
    this.count();
    this.look();
    if (!this.list.contains(document.activeElement)) this.stop([...this.list.querySelectorAll(".acts :first-child")].at(-1));
    if (this.inbox.cursor < this.until) return;
    this.log.ariaBusy = "false";
    const [state, count] = this.link;
    if (state === "catching") this.show(...(this.gap.words = ["caught", count]));
    else if (state === "caught") this.show("on");
  }
  take(type, value, entry) {
    if (type === "read") this.forward("readSeq", value.read_seq);
    if (type === "settings") this.forward("cleared", value.cleared_seq);
    if (type === "receipt") this.forward("theirReadSeq", value.read_seq);
    if (!value.message_id) return;
    if (value.sender_id === this.user) this.settle(value.client_message_id, value);
    const row = this.row(value.message_id);
    row.now.take(type, value);
    if (type === "message") row.entry = entry;
    if (type === "message" && value.sender_id !== this.user) this.typing(false);
    this.stand(row);
    this.them.render(this.them.rows.get(value.message_id));
  }
  forward(mark, seq = 0) {
    const before = this[mark];
    if (seq <= before) return;
    this[mark] = seq;
    for (const row of this.rows.values()) if (row.now.seq > before && row.now.seq <= seq) this.stand(row);
    this.count();
  }
  count() {
    const fresh = ({ now }) => now.known && now.seq > this.readSeq && now.sender !== this.user && !now.recalled && this.shows(now);
    const unread = [...this.rows.values()].filter(fresh).length;
    Object.assign(this.unread, { textContent: t("unread", unread), hidden: !unread });
  }
  look() { // the read mark follows what is in sight here, while a person looks at the page
    if (this.looked || !this.ready || document.hidden || !document.hasFocus()) return;
    const [{ asked }, end] = [this, this.log.getBoundingClientRect().bottom - IN_SIGHT_PX];
    const seen = [...this.list.querySelectorAll(".theirs")].findLast((item) => item.getBoundingClientRect().top < end);
    const seq = Number(seen?.dataset.seq ?? 0);
    if (seq <= Math.max(this.readSeq, asked)) return;
    this.asked = seq;
    this.looked = setTimeout(() => { this.looked = null; this.look(); }, READ_EVERY_MS);
    this.call(`v1/conversations/${this.conversation}/read`, { seq }, "PUT").then(
      ({ read_seq: reached }) => this.forward("readSeq", reached),
      ({ retriable }) => { if (retriable !== false) this.asked = asked; },
    );
  }
  signalled({ conversation_id: about, user_id: user, signal }) {
    if (about === this.conversation && user === this.them.user && signal === "typing") this.typing(true);
  }
  typing(on) {
    clearTimeout(this.typingEnds);
    this.typingEnds = on && setTimeout(() => this.typing(false), TYPING_SHOWN_MS);
    this.tell();
  }
  elsewhere(entry) { // one quiet line for a run of entries that are not of this conversation
    if (this.others?.words[2] !== entry - 1) this.others = this.line("other", this.last + 0.5, "elsewhere", entry, entry);
    else this.others.words = ["others", this.others.words[1], entry];
    Object.assign(this.others, { textContent: t(...this.others.words), ariaLive: "off" });
  }

  // What goes out: one after the other, each until it is answered

  write() {
    const text = this.input.value.trim();
    if (this.editing) return void (text && this.save(text));
    this.input.value = "";
    if (!text) return;
    this.outbox.push(this.pending({ id: crypto.randomUUID(), text }));
    this.log.scrollTop = 0; // the newest: the log is laid out from its end, and so stays there
    this.pump();
  }
  pump() {
    kept.set("sessionStorage", `outbox-${this.user}`, JSON.stringify(this.outbox.map(({ id, now }) => ({ id, text: now.body.text }))));
    for (const row of this.outbox) this.render(row);
    const [{ id, now } = {}] = this.outbox;
    if (!id || !this.ready || this.underWay === `${this.turn}/${id}`) return;
    this.underWay = `${this.turn}/${id}`; // on the next connection again, with the same id: stored once
    this.say({ type: "send", ref: id, client_message_id: id, to: this.them.user, kind: "text", body: now.body });
  }
  settle(id, { message_id: key, sent_at: at, reason }) {
    const row = this.outbox.find((it) => it.id === id);
    if (!row) return;
    this.outbox.splice(this.outbox.indexOf(row), 1);
    const { sender, kind, body } = row.now; // until its entry comes
    if (key) row.now = this.row(key).now.take("message", { rev: 0, sender_id: sender, kind, body, sent_at: at });
    this.rows.set(key ?? id, Object.assign(row, { reason }));
    this.stand(row);
    this.pump();
  }
  refused({ ref, error }) {
    if (ref === undefined) this.astray = error.code === "cursor_ahead";
    else if (!error.retriable) this.settle(ref, { reason: error.message });
    else setTimeout(() => { this.underWay = null; this.pump(); }, 1000);
  }
  say(frame) { if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame)); }
  typed() {
    this.fault = null;
    this.tell();
    if (!this.ready || !this.input.value.trim() || Date.now() - (this.typedAt ?? 0) < TYPING_EVERY_MS) return;
    this.typedAt = Date.now();
    this.say({ type: "signal", conversation_id: this.conversation, signal: "typing" });
  }

  // What changes. A reaction shows when its entry comes

  acted(row, what, key) {
    if (what === "edit") this.edit(row);
    if (what === "recall") this.change(row, "DELETE");
    if (what === "react") this.change(row, row.has(key) ? "DELETE" : "PUT", `/reactions/${encodeURIComponent(key)}`);
  }
  async change(row, method, path = "", body = undefined) {
    this.fault = null;
    try {
      const answer = await this.call(`v1/messages/${row.now.id}${path}`, body, method);
      if (!path) row.now.take("edit", answer);
      this.stand(row);
    } catch (error) { this.fault = error.message; }
    this.tell();
  }
  edit(row) { // in the box, and what was written there waits
    if (!this.editing) this.kept = this.input.value;
    this.input.value = row ? row.now.body.text : this.kept;
    Object.assign(this, { editing: row && { row }, fault: null }).speak();
    this.input.focus();
  }
  async save(text) {
    const { editing, editing: { row } } = this;
    if (editing.text !== text) Object.assign(editing, { text, id: crypto.randomUUID() }); // one id for every try of a text
    if (text !== row.now.body.text) await this.change(row, "PATCH", "", { client_message_id: editing.id, body: { text } });
    if (!this.fault && this.editing === editing) this.edit(null);
  }

  // What is seen

  pending({ id, text }) {
    const row = Object.assign(this.row(null), { id });
    row.now.take("message", { rev: 0, sender_id: this.user, kind: "text", body: { text } });
    this.stand(row);
    return row;
  }
  row(key) { // without key: of a message that is not stored yet
    const row = this.rows.get(key) ?? new Row(new Message(key), (...what) => this.acted(...what));
    if (key) this.rows.set(key, row);
    return row;
  }
  shows(now) { return now.known && !now.hidden && now.seq > this.cleared; }
  stand(row) {
    this.render(row);
    if (!this.shows(row.now)) { row.item.remove(); return; }
    this.place(row.item, row.now.seq);
    if (this.editing?.row === row && row.now.recalled) this.edit(null);
  }
  state({ now, reason }) {
    if (now.sender !== this.user || now.recalled) return "";
    if (reason) return "failed";
    if (!now.id) return this.ready ? "sending" : "waiting";
    if (now.seq <= this.theirReadSeq) return "read";
    return this.them.rows.get(now.id)?.now.known ? "arrived" : "stored"; // this page sees both devices; others need receipts
  }
  render(row) {
    if (row?.now.known) row.render(this.user, this.state(row), this.ready);
  }
  place(item, seq) { // by the seq of the conversation; what has none yet stands last
    item.dataset.seq = seq;
    const before = [...this.list.children].findLast((it) => it !== item && Number(it.dataset.seq) <= seq) ?? null;
    if (before) { if (before.nextElementSibling !== item) before.after(item); }
    else if (this.list.firstElementChild !== item) this.list.prepend(item);
  }
  get last() { return Math.max(0, ...[...this.rows.values()].filter((row) => row.entry).map((row) => row.now.seq)); }
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
    const label = this.editing ? t("editing", this.editing.row.now.seq) : t("write", ...names);
    Object.assign(this.input, { ariaLabel: label, placeholder: this.on ? label : t("held") });
    this.button.textContent = t(this.editing ? "save" : "send");
    this.tell();
    this.count();
    [this.pane.ariaLabel, this.log.ariaLabel] = [this.name, t("log", this.name)];
    this.pane.querySelector(".empty").replaceChildren(...t(this.user).map((line) => make("li", "", line)));
    for (const item of this.list.querySelectorAll(".gap, .other")) item.textContent = t(...item.words);
    for (const row of [...this.rows.values(), ...this.outbox]) this.render(row);
  }
  tell() { // the line above the box
    const { fault, editing } = this;
    const words = fault ? ["refused", fault] : editing ? ["editing", editing.row.now.seq] : this.typingEnds && ["typing", this.them.name];
    Object.assign(this.note, { textContent: words ? t(...words) : "" }).dataset.fault = Boolean(fault);
    this.cancel.hidden = !editing;
  }

  // The keyboard: Tab comes to one button of the log, the arrows to the others

  stop(button) {
    for (const it of [this.tabbed, button]) if (it) it.tabIndex = it === button ? 0 : -1;
    this.tabbed = button;
  }
  step(event) {
    const [by, along] = [{ ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1 }[event.key], /Up|Down/.test(event.key)];
    if (!by) return;
    event.preventDefault();
    const buttons = [...this.list.querySelectorAll(along ? ".acts :first-child" : ".acts button")];
    buttons[buttons.indexOf(along ? event.target.parentElement.firstChild : event.target) + by]?.focus();
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
for (const sign of ["focus", "visibilitychange", "resize"]) addEventListener(sign, () => devices.forEach((device) => device.look()));
if (matchMedia("(pointer: fine)").matches) devices[0].input.focus();
