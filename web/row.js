// One message on a device's side of the page: its text, its numbers, its buttons.

import { conversationOf } from "./message.js";
import { language, t } from "./words.js";

const QUICK = ["👍", "❤️", "😂"];
export const make = (tag, name, text) => Object.assign(document.createElement(tag), { className: name, textContent: text });
const place = (id) => `#${id.slice(conversationOf(id).length + 1)}`;

/** `act(row, what, key)` is called when somebody presses a button: what is edit, recall or react. */
export class Row {
  constructor(now, act) {
    Object.assign(this, { now, act, buttons: new Map(), item: make("li"), text: make("p", "text") });
    [this.meta, this.acts] = [make("p", "meta"), make("div", "acts")].map((part) => Object.assign(part, { ariaLive: "off" }));
    const foot = make("div", "foot");
    foot.append(this.meta, this.acts);
    this.item.append(this.text, foot);
  }
  render(user, state, ready) {
    const { now } = this;
    const mine = now.sender === user;
    this.item.className = mine ? "mine" : "theirs";
    Object.assign(this.item.dataset, { state, recalled: Boolean(now.recalled) });
    const text = now.recalled ? t("recalled") : now.kind === "text" ? now.body.text : `[${now.kind}]`;
    if (this.text.textContent !== text) this.text.textContent = text; // a screen reader says what is new
    const time = now.at && new Date(now.at).toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit" });
    this.meta.replaceChildren(...[
      now.id && make("b", "", place(now.id)), this.entry && make("span", "", `${t("inbox")} ${this.entry}`),
      now.reply && make("span", "", `↩ ${place(now.reply)}`), ...now.mentions.map((name) => make("span", "", `@${name}`)),
      time && make("time", "", time), now.edited && !now.recalled && make("span", "", t("edited")),
      now.pinned && make("span", "", t("pinned")), state && make("span", "state", t(state, this.reason)),
    ].filter(Boolean));
    const open = now.id && !now.recalled;
    const keys = open ? [...new Set([...QUICK, ...Object.keys(now.reactions)])] : [];
    const verbs = open && mine ? [now.kind === "text" && "edit", "recall"].filter(Boolean) : [];
    const focused = this.acts.contains(document.activeElement);
    for (const [key, button] of this.buttons) if (![...keys, ...verbs].includes(key)) button.remove();
    for (const verb of verbs) Object.assign(this.button(verb, verb), { textContent: t(verb), ariaLabel: `${t(verb)} ${place(now.id)}` });
    for (const key of keys) this.reaction(key, now.reactions[key], user);
    for (const button of this.buttons.values()) button.disabled = !ready;
    if (focused && !this.acts.contains(document.activeElement)) this.item.closest(".log")?.focus();
  }
  has(key) { return this.buttons.get(key)?.ariaPressed === "true"; }
  reaction(key, { count = 0, by = [] } = {}, user) {
    const [button, face] = [this.button(key, "react", key), [...key].length === 1 ? `${key}\uFE0F` : key]; // in colour
    const [textContent, ariaLabel] = [count ? `${face} ${count}` : face, t("react", key, count, place(this.now.id))];
    Object.assign(button, { textContent, ariaLabel, ariaPressed: String(by.includes(user)) }).dataset.count = count;
  }
  button(name, what, key) { // the same one each time, so that it keeps the focus
    const more = { type: "button", tabIndex: -1, onclick: () => this.act(this, what, key) };
    const button = this.buttons.get(name) ?? Object.assign(make("button", what), more);
    this.buttons.set(name, button);
    if (button.parentElement !== this.acts) this.acts.append(button);
    return button;
  }
}
