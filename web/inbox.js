// One inbox out of two sources, pushes and pulls: the two rules of docs/sync.md. No I/O.

const AHEAD = 1000;

/** Gives out each entry once, in order of seq, whatever brings it; `hole` calls for a pull from `cursor`. */
export class Inbox {
  constructor(cursor) {
    this.cursor = this.missed = cursor;
    this.ahead = new Map();
    this.toldAt = -1;
  }
  get hole() { return this.missed > this.cursor; }
  take(entries) {
    for (const entry of entries) if (entry.seq > this.cursor) this.ahead.set(entry.seq, entry);
    const following = [];
    for (let entry; (entry = this.ahead.get(this.cursor + 1));) {
      following.push(entry);
      this.ahead.delete(++this.cursor);
    }
    this.missed = Math.max(this.missed, ...this.ahead.keys());
    if (this.ahead.size > AHEAD) this.ahead.clear(); // the pull brings them again
    return following;
  }
  pulled(page) {
    this.missed = Math.max(this.missed, page.head);
    return this.take(page.entries);
  }
  /** A head beyond the cursor may be on its way. Told again with nothing come in between, it is not. */
  told(head) {
    if (head <= this.cursor) return;
    if (this.toldAt === this.cursor) this.missed = Math.max(this.missed, head);
    this.toldAt = this.cursor;
  }
}
