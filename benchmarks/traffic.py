"""Load: messages that are due at fixed moments, and senders that send again as soon as they are answered."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from benchmarks.book import Book
from benchmarks.world import Post, World

LOOK_S = 0.05


class Traffic:
    """Sends over the sockets of a world, and keeps the book of it."""

    def __init__(self, world: World, book: Book) -> None:
        self._world = world
        self._book = book

    def send(self, post: Post, due: float) -> None:
        """Send a message that was due at this moment."""
        ref = self._book.begin(post.conversation, post.device.user, due)
        if post.device.ready:
            post.device.send(post.frame % (ref, ref))
        else:
            self._book.failed(ref, "not connected")

    def at_rate(self, posts: Sequence[Post], rate: float, seconds: float) -> None:
        """So many a second, one after the other from `posts`, whether or not earlier ones are answered."""
        self.run(seconds, paced=posts, rate=rate)

    def in_flight(self, posts: Sequence[Post], count: int, seconds: float) -> None:
        """Always so many unanswered ones, one after the other from `posts`."""
        began = time.perf_counter()
        sent = 0
        self._book.done.clear()
        free = count
        while (now := time.perf_counter()) < began + seconds:
            for _ in range(free):
                self.send(posts[sent % len(posts)], now)
                sent += 1
            self._world.turn(LOOK_S)
            free = len(self._book.done)
            self._book.done.clear()

    def run(
        self, seconds: float, paced: Sequence[Post], rate: float, again: Mapping[int, Post] | None = None
    ) -> None:
        """Paced messages, and beside them senders that never pause: `again` has the message of each user.

        A late message is sent at once. Its latency counts from when it was due.
        """
        began = time.perf_counter()
        total, sent = round(rate * seconds), 0
        self._book.done.clear()
        for post in (again or {}).values():
            self.send(post, began)
        while (now := time.perf_counter()) < began + seconds or sent < total:
            while sent < total and began + sent / rate <= now:
                self.send(paced[sent % len(paced)], began + sent / rate)
                sent += 1
            due = began + (sent / rate if sent < total else seconds)
            self._world.turn(min(LOOK_S, max(0.0, due - time.perf_counter())), exact=True)
            if again:
                self._again(again)

    def _again(self, again: Mapping[int, Post]) -> None:
        """Each of the senders whose message was answered sends its next one."""
        now = time.perf_counter()
        answered, self._book.done = self._book.done, []
        for number in answered:
            post = again.get(self._book.sender[number])
            if post is not None and post.conversation == self._book.conversation[number]:
                self.send(post, now)

    def settle(self, within_s: float) -> float:
        """Wait until all is answered and has arrived, or for as long as allowed; how many seconds it took."""
        began = time.perf_counter()
        while not self._book.settled() and time.perf_counter() < began + within_s:
            self._world.turn(LOOK_S)
        return time.perf_counter() - began
