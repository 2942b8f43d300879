// Every word of the page, in English and in Chinese.

const entries = (n) => (n === 1 ? "1 entry" : `${n} entries`);
const WORDS = {
  other: ["中文", "English"],
  docs: ["API", "接口文档"],
  lead: ["Two devices in one window. Write on one side, and it arrives on the other.", "一个窗口，两台设备：在一边写，在另一边看它送达。"],
  place: ["is a message’s place in the conversation, the same for both. These numbers rise, and may skip some.", "是消息在会话中的序号，双方看到的相同；序号递增，可能跳号。"],
  order: ["is its place in the reader’s own inbox, among edits and read marks. By it a device knows what it missed.", "是消息在读者自己收件箱中的序号；编辑、已读标记等也各占一个。设备据此知道自己漏收了什么。"],
  sample: ["Inbox 7", "收件箱 7"],
  inbox: ["Inbox", "收件箱"],
  ann: [["Write to Bob below and press Enter.", "Take Bob offline with the switch, and write a few more.", "Switch Bob on again: all of it arrives, once and in order."],
  ["在下方写给 Bob，按回车键发送。", "用开关让 Bob 离线，再多写几条。", "让 Bob 重新上线：全部送达，不重不乱。"]],
  bob: [["What Ann writes arrives here."], ["Ann 写的消息会出现在这里。"]],
  log: [(me) => `Messages on ${me}’s device`, (me) => `${me} 设备上的消息`],
  switch: [(me) => `${me}’s device is online`, (me) => `${me} 的设备在线`],
  write: [(me, them) => `${me} writes to ${them}`, (me, them) => `${me} 写给 ${them}`],
  held: ["Offline: what you write waits here", "已离线：写下的消息先留在这里"],
  send: ["Send", "发送"],
  wait: ["Connecting…", "正在连接…"],
  on: ["Online", "在线"],
  off: ["Offline", "离线"],
  away: ["The server is away. Trying again…", "连不上服务器，正在重试…"],
  taken: ["Open in another window", "已在另一个窗口中打开"],
  bad: [(reason) => `Stopped: ${reason}`, (reason) => `已停止：${reason}`],
  catching: [(n) => `Catching up ${entries(n)}…`, (n) => `正在补收 ${n} 条…`],
  caught: [(n) => `Caught up ${entries(n)}`, (n) => `已补收 ${n} 条`],
  elsewhere: [(n) => `Inbox ${n} · in another conversation`, (n) => `收件箱 ${n} · 属于另一个会话`],
  others: [(n, m) => `Inbox ${n}–${m} · in other conversations`, (n, m) => `收件箱 ${n}–${m} · 属于其他会话`],
  older: [(n) => `${entries(n)} before this`, (n) => `此前还有 ${n} 条`],
  waiting: ["waits for the connection", "等待连接"],
  sending: ["sending…", "发送中…"],
  stored: ["✓ stored", "✓ 已存储"],
  arrived: ["✓✓ arrived", "✓✓ 已送达"],
  read: ["✓✓ read", "✓✓ 已读"],
  recalled: ["recalled", "已撤回"],
  edited: ["edited", "已编辑"],
  pinned: ["pinned", "已置顶"],
  unread: [(n) => `${n} unread`, (n) => `${n} 条未读`],
  edit: ["edit", "编辑"],
  recall: ["recall", "撤回"],
  react: [(key, n, place) => `${key} on ${place}: ${n}`, (key, n, place) => `${key}，${place}：${n}`],
  editing: [(place) => `Editing #${place}`, (place) => `正在编辑 #${place}`],
  save: ["Save", "保存"],
  cancel: ["Cancel", "取消"],
  typing: [(them) => `${them} is typing…`, (them) => `${them} 正在输入…`],
  refused: [(reason) => `Not done: ${reason}`, (reason) => `未完成：${reason}`],
  failed: [(reason) => `not sent: ${reason}`, (reason) => `未发送：${reason}`],
};
const LANGUAGES = ["en", "zh-CN"];
let chosen = 0;

export const choose = (code) => { chosen = code.startsWith("zh") ? 1 : 0; };
export const language = () => LANGUAGES[chosen];
export const otherLanguage = () => LANGUAGES[1 - chosen];
export function t(key, ...values) {
  const words = WORDS[key][chosen];
  return typeof words === "function" ? words(...values) : words;
}
