"""Read marks and typing on the page: what one person sees of the other's attention."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Request, expect

from tests.web.line import Line
from tests.web.stage import Stage, fresh

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.same_on_all_engines]

READ_EVERY_MS, TYPING_EVERY_MS, TYPING_SHOWN_MS = 1000, 2000, 4000


def marks(ask: Any) -> Any:
    """Bob's own part in the conversation."""
    bob = ask("bob")
    return bob.get(f"/v1/conversations/{bob.direct(ask('ann'))}")["me"]


async def all_read(stage: Stage) -> None:
    """A person looks at both sides, and away when everything is read."""
    await stage.look()
    for side in (stage.ann, stage.bob):
        await expect(side.unread).to_be_hidden()
    await stage.look(looked=False)


async def test_a_message_is_read_when_somebody_looks_at_the_page_and_its_sender_sees_that(stage, ask):
    await all_read(stage)
    for text in (fresh("first"), last := fresh("second")):
        await stage.ann.write(text)
    seq, _ = await stage.bob.numbers(last)
    await expect(stage.ann.message(last)).to_contain_text("✓✓ arrived")
    await expect(stage.bob.unread).to_have_text("2 unread")
    assert marks(ask)["unread"] == 2
    await stage.look()
    await expect(stage.ann.message(last)).to_contain_text("✓✓ read")
    await expect(stage.ann.message(last)).to_have_attribute("data-state", "read")
    await expect(stage.bob.unread).to_be_hidden()
    me = marks(ask)
    assert (me["read_seq"], me["unread"]) == (seq, 0)


async def test_a_recalled_message_is_not_unread(stage, ask):
    await all_read(stage)
    await stage.ann.write(text := fresh("never mind"))
    await expect(stage.bob.unread).to_have_text("1 unread")
    await stage.ann.message(text).get_by_role("button", name="recall").click()
    await expect(stage.bob.unread).to_be_hidden()
    assert marks(ask)["unread"] == 0


async def test_a_reload_knows_what_was_read(stage):
    await all_read(stage)
    await stage.ann.write(text := fresh("not read before the reload"))
    await expect(stage.bob.unread).to_have_text("1 unread")
    await stage.page.reload()
    await stage.online()
    await expect(stage.bob.message(text)).to_have_count(1)
    await expect(stage.bob.unread).to_have_text("1 unread")
    await expect(stage.ann.unread).to_be_hidden()


async def test_what_is_read_on_another_device_counts_here(stage, ask):
    await all_read(stage)
    await stage.ann.write(text := fresh("read on the phone"))
    seq, _ = await stage.bob.numbers(text)
    bob = ask("bob")
    path = f"/v1/conversations/{bob.direct(ask('ann'))}/read"
    assert bob.ask("PUT", path, json={"seq": seq}).status_code == 200
    await expect(stage.bob.unread).to_be_hidden()
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "read")


async def test_the_mark_moves_at_most_once_a_second_and_ends_at_the_newest(stage):
    await all_read(stage)
    puts: list[Request] = []
    stage.page.on(
        "requestfinished", lambda request: puts.append(request) if request.method == "PUT" else None
    )
    await stage.look()
    for number in range(20):
        await stage.ann.write(text := fresh(f"{number} of many"))
        await expect(stage.bob.message(text)).to_have_count(1)
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "read")
    starts = [put.timing["startTime"] for put in puts]
    assert all(put.url.endswith("/read") for put in puts)
    assert len(starts) > 1
    # The browser may send one late, which brings it near to the next; over all of them that does not count.
    assert len(starts) - 1 <= (starts[-1] - starts[0]) / READ_EVERY_MS + 1


async def test_what_is_out_of_sight_is_not_read_until_it_is_scrolled_to(stage, ask):
    for number in range(12):
        await stage.ann.write(text := fresh(f"{number}: " + "long enough for two lines or more " * 6))
    await expect(stage.bob.message(text)).to_have_count(1)
    await all_read(stage)
    await stage.bob.messages.nth(-8).scroll_into_view_if_needed()
    await stage.look()
    await stage.ann.write(text := fresh("below"))
    await expect(stage.bob.unread).to_have_text("1 unread")
    assert marks(ask)["unread"] == 1
    await stage.bob.message(text).scroll_into_view_if_needed()
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "read")


async def test_a_device_that_is_off_reads_nothing(stage):
    await all_read(stage)
    await stage.bob.off()
    await stage.look()
    await stage.ann.write(text := fresh("while off"))
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "stored")
    await expect(stage.bob.unread).to_be_hidden()
    await stage.bob.on()
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "read")


async def stop_the_clock(stage: Stage) -> None:
    """From now on, time on the page goes by `run_for` alone."""
    await stage.page.clock.install()
    await stage.page.clock.pause_at(await stage.page.evaluate("Date.now()") + 1000)


def typed(line: Line) -> list[Any]:
    return [frame for user, frame in line.said if user == "bob" and frame["type"] == "signal"]


async def test_who_types_is_shown_to_the_other_until_they_pause(wired, line):
    await stop_the_clock(wired)
    await wired.bob.box.press_sequentially("Hi")
    await expect(wired.ann.note).to_have_text("Bob is typing…")
    await expect(wired.bob.note).to_have_text("")
    await wired.page.clock.run_for(TYPING_SHOWN_MS - 100)
    await expect(wired.ann.note).to_have_text("Bob is typing…")
    await wired.page.clock.run_for(200)
    await expect(wired.ann.note).to_have_text("")
    (signal,) = typed(line)
    assert signal["signal"] == "typing"


async def test_typing_is_said_at_most_once_in_two_seconds(wired, line):
    await stop_the_clock(wired)
    await wired.bob.box.press_sequentially("no matter how fast")
    await wired.page.clock.run_for(TYPING_EVERY_MS - 100)
    await wired.bob.box.press_sequentially(" one types")
    await expect(wired.ann.note).to_have_text("Bob is typing…")
    assert len(typed(line)) == 1
    await wired.page.clock.run_for(200)
    await wired.bob.box.press_sequentially(", or how long")
    await wired.bob.box.fill("")
    await expect(wired.ann.note).to_have_text("Bob is typing…")
    await wired.bob.write(text := fresh("done"))
    await expect(wired.ann.message(text)).to_have_count(1)
    assert len(typed(line)) == 2


async def test_a_message_ends_the_typing_of_its_sender(wired):
    await stop_the_clock(wired)
    await wired.bob.box.press_sequentially("Hi")
    await expect(wired.ann.note).to_have_text("Bob is typing…")
    await wired.bob.write(text := fresh("Hi"))
    await expect(wired.ann.message(text)).to_have_count(1)
    await expect(wired.ann.note).to_have_text("")


async def test_other_signals_and_other_conversations_show_nothing(wired, line):
    await wired.ann.write(text := fresh("which conversation"))
    await wired.bob.numbers(text)
    (*_, entry) = [frame for frame in line.heard if frame["type"] == "entries"][-1]["entries"]
    here = {"type": "signal", "conversation_id": entry["message"]["conversation_id"], "user_id": "ann"}
    for change in ({"signal": "recording"}, {"conversation_id": "g:other"}, {"user_id": "bob"}):
        line.tell_bob({**here, "signal": "typing", **change})
    line.tell_bob({"type": "unheard", "of": True})
    await wired.ann.write(text := fresh("after them"))
    await expect(wired.bob.message(text)).to_have_count(1)
    await expect(wired.bob.note).to_have_text("")
    line.tell_bob({**here, "signal": "typing"})
    await expect(wired.bob.note).to_have_text(re.compile("Ann is typing"))
