"""The page is a right client: it comes back, sends again under the same id, pulls, or stops."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.web.line import Line
from tests.web.stage import SHOWN, Stage, fresh
from tests.web.truth import times_stored

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.same_on_all_engines]


@pytest.fixture
def stage(wired: Stage) -> Stage:
    return wired


async def test_a_send_whose_answer_was_lost_is_repeated_with_the_same_id_and_stored_once(stage, line, ask):
    line.keep = lambda frame: frame["type"] not in {"sent", "entries"}
    await stage.bob.write(text := fresh("answer lost"))
    await expect(stage.ann.message(text)).to_have_count(1)
    await expect(stage.bob.message(text)).to_have_attribute("data-state", "sending")
    line.keep = lambda _: True
    await line.close(4000, "going away")
    await expect(stage.bob.message(text)).to_have_attribute("data-state", "arrived")
    first, second = line.sends(text)
    assert first["client_message_id"] == second["client_message_id"]
    for side in (stage.ann, stage.bob):
        await expect(side.message(text)).to_have_count(1)
    assert times_stored(ask("ann"), text) == 1


async def not_pushed(stage: Stage, line: Line) -> tuple[str, int]:
    """A message of ann's that bob's device hears nothing of, and its number in his inbox."""
    line.keep = lambda frame: frame["type"] not in {"entries", "heartbeat"}
    await stage.ann.write(text := fresh("not pushed"))
    while not (lost := [frame for frame in line.lost if frame["type"] == "entries"]):
        await stage.page.wait_for_timeout(50)
    line.keep = lambda frame: frame["type"] != "heartbeat"
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "stored")
    await expect(stage.bob.message(text)).to_have_count(0)
    return text, lost[-1]["entries"][-1]["seq"]


async def test_a_head_that_is_told_twice_with_nothing_come_in_between_is_pulled(stage, line):
    missing, seq = await not_pushed(stage, line)
    for _ in range(2):
        await expect(stage.bob.message(missing)).to_have_count(0)
        line.tell_bob({"type": "heartbeat", "head": seq})
    await expect(stage.bob.message(missing)).to_have_count(1)
    assert await stage.bob.inbox() == seq


async def test_an_entry_that_was_not_pushed_is_pulled_when_the_next_one_shows_the_hole(stage, line):
    missing, _ = await not_pushed(stage, line)
    await stage.ann.write(following := fresh("pushed"))
    await expect(stage.bob.message(following)).to_have_count(1)
    await expect(stage.bob.message(missing)).to_have_count(1)
    assert (await stage.bob.messages.locator(".text").all_inner_texts())[-2:] == [missing, following]


async def test_what_is_pushed_twice_is_shown_once(stage, line):
    await stage.ann.write(text := fresh("twice"))
    await expect(stage.bob.message(text)).to_have_count(1)
    entry = await stage.bob.inbox()
    line.tell_bob([frame for frame in line.heard if frame["type"] == "entries"][-1])
    await stage.ann.write(following := fresh("after it"))
    await expect(stage.bob.message(following)).to_have_count(1)
    await expect(stage.bob.message(text)).to_have_count(1)
    assert await stage.bob.inbox() == entry + 1


@pytest.mark.parametrize(("code", "reason"), [(4000, "going away"), (4002, "heartbeat missed"), (1011, "")])
async def test_comes_back_by_itself_after_a_close_code_below_4500(stage, line, code, reason):
    cursor = await stage.bob.inbox()
    await line.close(code, reason)
    await expect(stage.bob.link).to_have_text("Online")
    await stage.ann.write(text := fresh("still there"))
    await expect(stage.bob.message(text)).to_have_count(1)
    _, hello = line.hellos()
    assert hello["cursor"] == cursor


@pytest.mark.parametrize(
    ("code", "reason", "shown"),
    [
        (4500, "bad frame", "Stopped: bad frame"),
        (4502, "signed out", "Stopped: signed out"),
        (4503, "no hello", "Stopped: no hello"),
        (4003, "replaced by a newer connection of this device", "Open in another window"),
        (4504, "replaced by a newer connection of this device", "Open in another window"),
    ],
)
async def test_stops_after_a_close_code_that_says_so_until_a_person_switches_it_on(
    stage, line, code, reason, shown
):
    await line.close(code, reason)
    await expect(stage.bob.link).to_have_text(shown)
    await expect(stage.bob.switch).to_have_attribute("aria-checked", "false")
    await stage.ann.write(text := fresh("not for now"))
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "stored")
    assert len(line.hellos()) == 1
    await stage.bob.on()
    await expect(stage.bob.message(text)).to_have_count(1)


async def test_a_token_that_has_run_out_is_fetched_anew_and_a_second_refusal_stops(stage, line):
    line.keep = lambda frame: frame["type"] != "welcome"
    async with stage.page.expect_response("**/stage/tokens/bob/*") as minting:
        await line.close(4501, "unauthenticated")
    minted = await (await minting.value).json()
    while len(line.hellos()) == 1:
        await stage.page.wait_for_timeout(50)
    _, second = line.hellos()
    assert second["token"] == minted["token"]
    await line.close(4501, "unauthenticated")
    await expect(stage.bob.link).to_have_text("Stopped: unauthenticated")


async def test_messages_stand_by_their_number_in_the_conversation_whatever_their_order_in_the_inbox(
    stage, line
):
    await stage.ann.write(first := fresh("first"))
    await expect(stage.bob.message(first)).to_have_count(1)
    (*_, entry) = [frame for frame in line.heard if frame["type"] == "entries"][-1]["entries"]
    conversation, seq = entry["message"]["conversation_id"], entry["message"]["seq"]
    entries = [
        {
            "seq": entry["seq"] + place,
            "type": "message",
            "message": entry["message"]
            | {"seq": seq + after, "message_id": f"{conversation}:{seq + after}", "body": {"text": text}},
        }
        for place, after, text in ((1, 2, "third"), (2, 1, "second"))
    ]
    line.tell_bob({"type": "entries", "entries": entries})
    await expect(stage.bob.messages.last.locator(".text")).to_have_text("third")
    assert (await stage.bob.messages.locator(".text").all_inner_texts())[-3:] == [first, "second", "third"]
    assert await stage.bob.inbox() == entry["seq"] + 2


async def test_a_cursor_that_is_ahead_of_the_inbox_is_forgotten_and_the_inbox_read_anew(stage, line):
    await stage.ann.write(text := fresh("in the other inbox"))
    numbers = await stage.bob.numbers(text)
    error = {"code": "cursor_ahead", "message": "The inbox ends at 0.", "field": "cursor", "retriable": False}
    line.tell_bob({"type": "error", "error": error})
    await line.close(4500, "bad frame")
    while len(line.hellos()) == 1:
        await stage.page.wait_for_timeout(50)
    assert line.hellos()[1]["cursor"] == max(0, numbers[1] - SHOWN)
    await stage.bob.is_on()
    await expect(stage.bob.message(text)).to_have_count(1)
    assert await stage.bob.numbers(text) == numbers
    assert len(line.hellos()) == 2


@pytest.mark.faults
async def test_after_a_restart_of_the_server_both_come_back_and_what_was_not_sent_goes_out_once(
    stage, server, ask
):
    server.kill()
    for side in (stage.ann, stage.bob):
        await expect(side.link).to_have_text("The server is away. Trying again…")
    await stage.bob.write(text := fresh("while the server was away"))
    await expect(stage.bob.message(text)).to_have_attribute("data-state", "waiting")
    server.start()
    await stage.online()
    await expect(stage.bob.message(text)).to_have_attribute("data-state", "arrived")
    await expect(stage.ann.message(text)).to_have_count(1)
    assert times_stored(ask("ann"), text) == 1
