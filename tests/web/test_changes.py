"""Edits, recalls, reactions and pins: the page shows each message as it is now, however its entries come."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.web.line import Line
from tests.web.stage import Pane, Stage, fresh

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.same_on_all_engines]


async def told(stage: Stage, text: str) -> int:
    """Ann has written this, and bob has it. The place in the conversation."""
    await stage.ann.write(text)
    seq, _ = await stage.bob.numbers(text)
    await expect(stage.ann.numbered(seq)).to_have_attribute("data-state", "arrived")
    return seq


def button(side: Pane, seq: int, name: str) -> Locator:
    return side.numbered(seq).get_by_role("button", name=name)


async def edit(side: Pane, seq: int, text: str) -> None:
    await button(side, seq, "edit").click()
    await side.write(text)


def both(stage: Stage, seq: int) -> list[Locator]:
    return [side.numbered(seq) for side in (stage.ann, stage.bob)]


def message_path(ask: Any, seq: int) -> str:
    return f"/v1/messages/{ask('ann').direct(ask('bob'))}:{seq}"


async def test_an_edit_shows_on_both_sides_and_says_so(stage, ask):
    seq = await told(stage, text := fresh("helo"))
    await stage.ann.box.fill("half a thought")
    await button(stage.ann, seq, "edit").click()
    await expect(stage.ann.note).to_contain_text(f"Editing #{seq}")
    await expect(stage.ann.box).to_be_focused()
    await expect(stage.ann.box).to_have_value(text)
    await stage.ann.write(edited := fresh("hello"))
    for item in both(stage, seq):
        await expect(item.locator(".text")).to_have_text(edited)
        await expect(item.locator(".meta")).to_contain_text("edited")
    await expect(stage.ann.box).to_have_value("half a thought")
    assert ask("bob").get(message_path(ask, seq))["body"] == {"text": edited}
    await expect(stage.bob.numbered(seq).get_by_role("button", name="edit")).to_have_count(0)


async def test_an_edit_that_is_given_up_changes_nothing(stage, ask):
    seq = await told(stage, text := fresh("stays"))
    cancel = stage.ann.pane.get_by_role("button", name="Cancel")
    for give_up in (lambda: stage.ann.box.press("Escape"), cancel.click):
        await button(stage.ann, seq, "edit").click()
        await stage.ann.box.fill("other")
        await give_up()
        await expect(cancel).to_be_hidden()
        await expect(stage.ann.box).to_have_value("")
    await expect(stage.bob.numbered(seq).locator(".text")).to_have_text(text)
    assert "edited_at" not in ask("bob").get(message_path(ask, seq))


async def test_a_recalled_message_shows_no_text_and_no_buttons(stage, ask):
    seq = await told(stage, text := fresh("secret"))
    await button(stage.ann, seq, "recall").click()
    for item in both(stage, seq):
        await expect(item.locator(".text")).to_have_text("recalled")
        await expect(item.get_by_role("button")).to_have_count(0)
    assert text not in await stage.page.content()
    assert ask("bob").get(message_path(ask, seq))["body"] == {}


async def test_reactions_are_counted_and_ones_own_are_marked(stage):
    seq = await told(stage, fresh("good news"))
    counted = re.compile("👍.* 1$")
    await button(stage.bob, seq, "👍").click()
    await expect(button(stage.ann, seq, "👍")).to_have_text(counted)
    await expect(button(stage.ann, seq, "👍")).to_have_attribute("aria-pressed", "false")
    await expect(button(stage.bob, seq, "👍")).to_have_attribute("aria-pressed", "true")
    await button(stage.ann, seq, "👍").click()
    for side in (stage.ann, stage.bob):
        await expect(
            side.numbered(seq).get_by_role("button", name=f"👍 on #{seq}: 2", pressed=True)
        ).to_have_count(1)
    await button(stage.bob, seq, "👍").click()
    for side in (stage.ann, stage.bob):
        await expect(button(side, seq, "👍")).to_have_text(counted)
    await expect(button(stage.bob, seq, "👍")).to_have_attribute("aria-pressed", "false")


async def test_reactions_of_other_clients_and_pins_show_too(stage, ask):
    seq = await told(stage, fresh("party"))
    bob, path = ask("bob"), message_path(ask, seq)
    assert bob.ask("PUT", f"{path}/reactions/:tada:").status_code == 200
    assert bob.ask("PUT", f"{path}/pin").status_code == 200
    for item in both(stage, seq):
        await expect(item.get_by_role("button", name=":tada:")).to_have_text(":tada: 1")
        await expect(item.locator(".meta")).to_contain_text("pinned")
    assert bob.ask("DELETE", f"{path}/reactions/:tada:").status_code == 200
    assert bob.ask("DELETE", f"{path}/pin").status_code == 200
    for item in both(stage, seq):
        await expect(item.get_by_role("button", name=":tada:")).to_have_count(0)
        await expect(item.locator(".meta")).not_to_contain_text("pinned")


async def test_the_buttons_of_all_messages_are_one_stop_of_the_keyboard_and_the_arrows_go_on(stage):
    above, seq = [await told(stage, fresh(text)) for text in ("above", "below")]
    await stage.bob.log.focus()
    await stage.page.keyboard.press("Tab")
    await expect(button(stage.bob, seq, "👍")).to_be_focused()
    await stage.page.keyboard.press("ArrowRight")
    await expect(button(stage.bob, seq, "❤️")).to_be_focused()
    await stage.page.keyboard.press("Enter")
    await expect(button(stage.ann, seq, "❤️")).to_have_text(re.compile(" 1$"))
    await expect(button(stage.bob, seq, "❤️")).to_be_focused()
    await stage.page.keyboard.press("ArrowUp")
    await expect(button(stage.bob, above, "👍")).to_be_focused()
    await stage.page.keyboard.press("Tab")
    await expect(stage.bob.box).to_be_focused()
    await stage.page.keyboard.press("Shift+Tab")
    await expect(button(stage.bob, above, "👍")).to_be_focused()


async def test_who_recalls_with_the_keyboard_stays_in_the_log(stage):
    seq = await told(stage, fresh("by keyboard"))
    await button(stage.ann, seq, "recall").focus()
    await stage.page.keyboard.press("Enter")
    await expect(stage.bob.numbered(seq).locator(".text")).to_have_text("recalled")
    await expect(stage.ann.log).to_be_focused()


async def test_what_the_server_refuses_is_said(stage, ask):
    seq = await told(stage, fresh("too much"))
    for key in ("🎉", "🎈", "🎂"):
        assert ask("bob").ask("PUT", f"{message_path(ask, seq)}/reactions/{key}").status_code == 200
    await expect(button(stage.bob, seq, "🎂")).to_have_attribute("aria-pressed", "true")
    await button(stage.bob, seq, "👍").click()
    await expect(stage.bob.note).to_have_text(re.compile("Not done: A user gives 3 reactions"))
    stage.faults.remove(next(fault for fault in stage.faults if "409" in fault))


async def test_a_device_that_was_away_and_a_fresh_page_show_the_final_state(stage, open_stage):
    await stage.bob.off()
    texts = [fresh(text) for text in ("edited later", "recalled later", "reacted to")]
    for text in texts:
        await stage.ann.write(text)
        await stage.ann.numbers(text)
    edited, recalled, reacted = [(await stage.ann.numbers(text))[0] for text in texts]
    for text in (fresh("once"), final := fresh("twice")):
        await edit(stage.ann, edited, text)
        await expect(stage.ann.numbered(edited).locator(".text")).to_have_text(text)
    await button(stage.ann, recalled, "recall").click()
    await button(stage.ann, reacted, "😂").click()
    await expect(button(stage.ann, reacted, "😂")).to_have_attribute("aria-pressed", "true")
    await expect(stage.bob.message(texts[0])).to_have_count(0)
    await stage.bob.on()
    for page in (stage, await open_stage()):
        for side in (page.ann, page.bob):
            await expect(side.numbered(edited).locator(".text")).to_have_text(final)
            await expect(side.numbered(edited).locator(".meta")).to_contain_text("edited")
            await expect(side.numbered(recalled).locator(".text")).to_have_text("recalled")
            await expect(button(side, reacted, "😂")).to_have_text(re.compile(" 1$"))
    for text in texts[:2]:
        assert text not in await stage.bob.log.inner_text()


async def test_what_one_hides_or_clears_is_gone_on_ones_own_side_only(stage, ask):
    cleared, hidden, kept = [await told(stage, fresh(text)) for text in ("cleared", "hidden", "kept")]
    bob = ask("bob")
    assert bob.ask("DELETE", f"{message_path(ask, hidden)}/mine").status_code == 200
    own = f"/v1/conversations/{bob.direct(ask('ann'))}/me"
    assert bob.ask("PATCH", own, json={"cleared_seq": cleared}).status_code == 200
    for seq in (cleared, hidden):
        await expect(stage.bob.numbered(seq)).to_have_count(0)
        await expect(stage.ann.numbered(seq)).to_have_count(1)
    await expect(stage.bob.numbered(kept)).to_have_count(1)


class Pen:
    """Tells bob's device entries about one message, as if the server had."""

    def __init__(self, line: Line, message: dict[str, Any], head: int) -> None:
        self._line = line
        self.message = message
        self.head = head

    def edit(self, after: int, text: str) -> None:
        self.tell(
            "edit",
            self.message
            | {"rev": self.rev(after), "body": {"text": text}, "edited_at": "2026-01-01T00:00:00.000Z"},
        )

    def recall(self, after: int) -> None:
        by = {"by": "ann", "at": "2026-01-01T00:00:00.000Z"}
        self.tell("recall", self.message | {"rev": self.rev(after), "body": {}, "recalled": by})

    def register(self, type_: str, after: int, **fields: Any) -> None:
        self.tell(type_, {"message_id": self.message["message_id"], "rev": self.rev(after), **fields})

    def rev(self, after: int) -> int:
        return int(self.message["seq"]) + after

    def tell(self, type_: str, value: Any) -> None:
        self.head += 1
        self._line.tell_bob({"type": "entries", "entries": [{"seq": self.head, "type": type_, type_: value}]})


@pytest.fixture
def thumbs() -> dict[str, Any]:
    return {"👍": {"count": 1, "by": ["ann"]}}


async def begun(wired: Stage, line: Line) -> tuple[Locator, Pen]:
    """A message of ann's on bob's side, and the pen for what his inbox says about it."""
    seq = await told(wired, fresh("first"))
    (*_, entry) = [frame for frame in line.heard if frame["type"] == "entries"][-1]["entries"]
    return wired.bob.numbered(seq), Pen(line, entry["message"], entry["seq"])


async def test_an_older_rev_after_a_newer_one_changes_nothing(wired, line, thumbs):
    item, pen = await begun(wired, line)
    pen.edit(9, "newer")
    pen.edit(5, "older")
    pen.register("reactions", 12, reactions=thumbs)
    pen.register("reactions", 11, reactions={})
    pen.register("pin", 14, pinned=True, by="ann")
    pen.register("pin", 13, pinned=False, by="ann")
    await expect(wired.bob.pane.locator(".inbox b")).to_have_text(str(pen.head))
    await expect(item.locator(".text")).to_have_text("newer")
    await expect(item.get_by_role("button", name="👍")).to_have_text(re.compile(" 1$"))
    await expect(item.locator(".meta")).to_contain_text("pinned")


async def test_a_recall_is_final(wired, line, thumbs):
    item, pen = await begun(wired, line)
    pen.register("reactions", 2, reactions=thumbs)
    pen.edit(9, "newer")
    pen.recall(5)
    pen.edit(12, "newest")
    pen.register("reactions", 13, reactions=thumbs)
    pen.register("pin", 14, pinned=True, by="ann")
    await expect(wired.bob.pane.locator(".inbox b")).to_have_text(str(pen.head))
    await expect(item.locator(".text")).to_have_text("recalled")
    await expect(item.get_by_role("button")).to_have_count(0)
    await expect(item.locator(".meta")).not_to_contain_text("pinned")


async def test_what_changes_a_message_may_come_before_it(wired, line, thumbs):
    _, pen = await begun(wired, line)
    pen.message |= {"seq": pen.message["seq"] + 100, "message_id": f"{pen.message['message_id']}00"}
    seq = int(pen.message["message_id"].rpartition(":")[2])
    pen.message["seq"] = seq
    pen.register("reactions", 2, reactions=thumbs)
    pen.register("pin", 3, pinned=True, by="ann")
    pen.tell("hidden", {"message_id": f"{pen.message['message_id']}0"})
    pen.tell("message", pen.message | {"body": {"text": "late"}})
    pen.tell("message", pen.message | {"seq": seq * 10, "message_id": f"{pen.message['message_id']}0"})
    item = wired.bob.numbered(seq)
    await expect(item.locator(".text")).to_have_text("late")
    await expect(item.get_by_role("button", name="👍")).to_have_text(re.compile(" 1$"))
    await expect(item.locator(".meta")).to_contain_text("pinned")
    await expect(wired.bob.pane.locator(".inbox b")).to_have_text(str(pen.head))
    await expect(wired.bob.numbered(seq * 10)).to_have_count(0)


async def test_types_that_are_not_known_yet_are_passed_over(wired, line):
    item, pen = await begun(wired, line)
    count = await wired.bob.log.locator("li").count()
    pen.tell("poll", {"conversation_id": pen.message["conversation_id"], "question": "?"})
    pen.tell("weather", None)
    pen.tell("poke", {"message_id": pen.message["message_id"]})
    await expect(wired.bob.pane.locator(".inbox b")).to_have_text(str(pen.head))
    await expect(item.locator(".text")).to_have_text(pen.message["body"]["text"])
    assert await wired.bob.log.locator("li").count() == count


async def test_replies_and_mentions_show_whom_they_mean(wired, line):
    _, pen = await begun(wired, line)
    conversation, seq = pen.message["conversation_id"], pen.message["seq"]
    named = {"seq": seq + 1, "message_id": f"{conversation}:{seq + 1}", "mentions": ["bob"]}
    pen.tell("message", pen.message | named | {"reply_to": pen.message["message_id"]})
    meta = wired.bob.numbered(seq + 1).locator(".meta")
    await expect(meta).to_contain_text(f"↩ #{seq}")
    await expect(meta).to_contain_text("@bob")
