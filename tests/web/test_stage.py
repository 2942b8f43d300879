"""Ann and bob side by side: what one writes arrives on the other side, once, in order, with its numbers."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.web.stage import SHOWN, fresh
from tests.web.truth import head, holds

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.same_on_all_engines]

KEEP_WHAT_BOB_IS_SAID_TO_DO = """() => {
  const link = document.querySelector(".bob .link");
  window.said = [];
  new MutationObserver(() => window.said.push(link.textContent)).observe(link, {childList: true});
}"""


async def test_message_arrives_on_the_other_side_with_the_right_numbers(stage, ask):
    await stage.ann.write(first := fresh("hello"))
    await stage.ann.write(second := fresh("again"))
    await expect(stage.ann.message(second)).to_have_attribute("data-state", "arrived")
    seq, ann_entry = await stage.ann.numbers(first)
    _, bob_entry = await stage.bob.numbers(first)
    assert await stage.ann.numbers(second) == (seq + 1, ann_entry + 1)
    assert await stage.bob.numbers(second) == (seq + 1, bob_entry + 1)
    assert (await stage.ann.inbox(), await stage.bob.inbox()) == (ann_entry + 1, bob_entry + 1)
    for user, number in (("ann", ann_entry), ("bob", bob_entry)):
        (entry,) = ask(user).get("/v1/sync", cursor=number - 1, limit=1)["entries"]
        message = entry["message"]
        assert (entry["seq"], message["seq"], message["body"]) == (number, seq, {"text": first})


async def test_both_numbers_are_told_apart_where_an_inbox_has_more_than_this_conversation(stage, ask):
    ann = ask("ann")
    group = ann.group(ask("bob"), title="Lunch")
    before = await stage.bob.inbox()
    ann.send(group, fresh("to the group"))
    await expect(stage.bob.pane.locator(".inbox b")).to_have_text(str(before + 1))
    await stage.ann.write(text := fresh("to bob"))
    _, entry = await stage.bob.numbers(text)
    assert entry == before + 2
    await expect(stage.bob.log).not_to_contain_text("to the group")


async def test_what_belongs_to_another_conversation_is_one_line_where_it_came(stage, ask):
    ann = ask("ann")
    group = ann.group(ask("bob"), title="Dinner")
    await stage.ann.write(first := fresh("before it"))
    await expect(stage.ann.message(first)).to_have_attribute("data-state", "arrived")
    _, entry = await stage.bob.numbers(first)
    line = stage.bob.message(first).locator("xpath=following-sibling::li[1]")
    ann.send(group, fresh("to the group"))
    await expect(line).to_have_text(f"Inbox {entry + 1} · in another conversation")
    ann.send(group, fresh("to the group"))
    await expect(line).to_have_text(f"Inbox {entry + 1}–{entry + 2} · in other conversations")
    await stage.ann.write(last := fresh("after it"))
    assert (await stage.bob.numbers(last))[1] == entry + 3
    await expect(line.locator("xpath=following-sibling::li[1]")).to_contain_text(last)
    await stage.page.get_by_role("button", name="中文").click()
    await expect(line).to_have_text(f"收件箱 {entry + 1}–{entry + 2} · 属于其他会话")


async def test_ten_messages_while_bob_is_offline_arrive_once_and_in_order(stage, ask):
    await stage.bob.off()
    before = await stage.bob.inbox()
    texts = [fresh(f"while you were away {number}") for number in range(10)]
    for text in texts:
        await stage.ann.write(text)
    await expect(stage.ann.message(texts[-1])).to_have_attribute("data-state", "stored")
    await expect(stage.bob.message(texts[0])).to_have_count(0)
    await holds(ask("bob"), before + 10)
    assert await stage.bob.inbox() == before
    await stage.page.evaluate(KEEP_WHAT_BOB_IS_SAID_TO_DO)
    await stage.bob.on()
    await expect(stage.bob.log.locator(".gap").last).to_have_text("Caught up 10 entries")
    assert "Catching up 10 entries…" in await stage.page.evaluate("said")
    shown = await stage.bob.messages.locator(".text").all_inner_texts()
    assert shown[-10:] == texts
    assert not set(shown[:-10]) & set(texts)
    assert [(await stage.bob.numbers(text))[1] for text in texts] == list(range(before + 1, before + 11))
    await expect(stage.ann.message(texts[0])).to_have_attribute("data-state", "arrived")


async def test_what_is_written_offline_waits_and_goes_out_on_return(stage):
    await stage.bob.off()
    texts = [fresh("from the tunnel"), fresh("still in the tunnel")]
    for text in texts:
        await stage.bob.write(text)
        await expect(stage.bob.message(text)).to_contain_text("waits for the connection")
    await stage.ann.write(meanwhile := fresh("meanwhile"))
    await expect(stage.ann.message(meanwhile)).to_have_attribute("data-state", "stored")
    await stage.bob.on()
    for text in texts:
        await expect(stage.bob.message(text)).to_have_attribute("data-state", "arrived")
    for side in (stage.ann, stage.bob):
        assert (await side.messages.locator(".text").all_inner_texts())[-3:] == [meanwhile, *texts]


async def test_a_reload_brings_the_same_messages_with_the_same_numbers(stage):
    await stage.ann.write(text := fresh("to be seen again"))
    numbers = await stage.bob.numbers(text)
    await stage.bob.off()
    await stage.bob.write(unsent := fresh("not sent before the reload"))
    await stage.page.reload()
    await stage.online()
    assert await stage.bob.numbers(text) == numbers
    await expect(stage.ann.message(text)).to_have_attribute("data-state", "arrived")
    await expect(stage.ann.message(unsent)).to_have_count(1)


async def test_a_fresh_page_shows_the_newest_of_a_long_inbox_and_says_what_is_before(open_stage, ask):
    people = ask("ann"), ask("bob")
    conversation = people[0].direct(people[1])
    count = SHOWN + 10
    await (await open_stage()).page.close()
    heads = [head(person) + count for person in people]
    for number in range(count):
        people[0].send(conversation, f"one of many, {number}")
    for person, newest in zip(people, heads, strict=True):
        await holds(person, newest)
    stage = await open_stage()
    for newest, side in zip(heads, (stage.ann, stage.bob), strict=True):
        await expect(side.pane.locator(".inbox b")).to_have_text(str(newest))
        await expect(side.log.locator(".gap").first).to_have_text(f"{newest - SHOWN} entries before this")
        assert await side.messages.count() <= SHOWN
        await expect(side.messages.last).to_be_in_viewport()


async def test_two_windows_are_two_devices_and_both_get_everything(open_stage):
    first, second = await open_stage(), await open_stage()
    await first.ann.write(text := fresh("in all windows"))
    for stage in (first, second):
        await expect(stage.ann.message(text)).to_have_attribute("data-state", "arrived")
        await expect(stage.bob.message(text)).to_have_count(1)
    assert await first.bob.numbers(text) == await second.bob.numbers(text)


async def test_text_is_shown_as_text_whatever_it_says(stage):
    text = fresh("<img src=x onerror=\"document.title='run'\"><b>bold</b>")
    await stage.ann.write(text)
    await expect(stage.bob.message(text).locator(".text")).to_have_text(text)
    assert await stage.bob.log.locator("img, .text *").count() == 0
    assert await stage.page.title() == "Ringpost"


async def test_server_names_nothing_but_itself_as_a_source_and_allows_no_inline_code(stage):
    answer = await stage.page.request.get(stage.url)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert not re.search(r"\son\w+=|style=|<style|<script(?![^>]*\ssrc=)|https?://", await answer.text())
