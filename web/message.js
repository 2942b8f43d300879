// A message as it is now, out of all that comes about it, in whatever order. No I/O.

/** The conversation that the message of this id belongs to. */
export const conversationOf = (id) => id?.slice(0, id.lastIndexOf(":"));

/** Content, reactions and pin each have a `rev`; the higher one wins. A recall is final. What is repeated changes nothing. */
export class Message {
  constructor(id) {
    Object.assign(this, { id, rev: -1, reactions: {}, reactionsRev: 0, pinned: false, pinnedRev: 0, hidden: false });
    this.seq = id ? Number(id.slice(id.lastIndexOf(":") + 1)) : Infinity; // without id: not stored yet, and so last
  }
  get known() { return this.rev >= 0; } // or has only come what changes it?
  take(type, value) {
    if (type === "hidden") this.hidden = true;
    else if (type === "reactions") this.set("reactions", value);
    else if (type === "pin") this.set("pinned", value);
    else if (["message", "edit", "recall"].includes(type)) this.become(value);
    return this;
  }
  become({ rev, seq, sender_id: sender, kind, body, sent_at: at, edited_at: edited, recalled, ...more }) {
    const now = rev ?? seq;
    if (this.recalled || (now <= this.rev && !recalled)) return;
    const { reply_to: reply, mentions = [], reactions = {}, pinned = false } = more;
    Object.assign(this, { rev: now, sender, kind, body, at, edited, recalled, reply, mentions });
    if (recalled || !this.reactionsRev) this.reactions = reactions;
    if (recalled || !this.pinnedRev) this.pinned = pinned;
  }
  set(name, { rev, [name]: value }) {
    const mark = `${name}Rev`;
    if (!this.recalled && rev > this[mark]) Object.assign(this, { [name]: value, [mark]: rev });
  }
}
