"""The page for everybody: in two languages, without a mouse, on a phone, in the dark."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.web.stage import Stage, fresh

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.same_on_all_engines]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
FOCUS = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const visible = style.outlineStyle !== "none" && style.outlineWidth !== "0px";
  return [element.ariaLabel || element.textContent, visible];
}"""


async def tab(stage: Stage) -> str:
    """Press Tab; the name of what has the focus now, which must be visible there."""
    await stage.page.keyboard.press("Tab")
    name, visible = await stage.page.evaluate(FOCUS)
    assert visible, f"{name} has the focus, and nothing shows it"
    return str(name)


async def test_speaks_the_language_of_the_browser_and_the_one_that_was_chosen_after_a_reload(open_stage):
    stage = await open_stage(locale="zh-CN")
    html = stage.page.locator("html")
    await expect(html).to_have_attribute("lang", "zh-CN")
    await expect(stage.ann.link).to_have_text("在线")
    await expect(stage.ann.box).to_have_attribute("placeholder", "Ann 写给 Bob")
    await stage.ann.write(text := fresh("你好"))
    await expect(stage.ann.message(text)).to_contain_text("✓✓ 已送达")
    await stage.page.get_by_role("button", name="English").click()
    await expect(html).to_have_attribute("lang", "en")
    await expect(stage.ann.message(text)).to_contain_text("✓✓ arrived")
    await stage.page.reload()
    await expect(html).to_have_attribute("lang", "en")
    await expect(stage.ann.link).to_have_text("Online")


@pytest.mark.parametrize(("locale", "language"), [("zh-TW", "zh-CN"), ("en-GB", "en"), ("de-DE", "en")])
async def test_other_languages_get_the_nearest(open_stage, locale, language):
    stage = await open_stage(locale=locale)
    await expect(stage.page.locator("html")).to_have_attribute("lang", language)


async def test_every_word_stands_in_both_languages(stage):
    words = await stage.page.evaluate("""async () => {
      const {choose, t} = await import("./stage/words.js");
      const source = await (await fetch("./stage/words.js")).text();
      const keys = [...source.matchAll(/^  (\\w+): \\[/gm)].map((match) => match[1]);
      return keys.map((key) => [key, ...["en", "zh-CN"].map((code) => (choose(code), String(t(key, 1, 2))))]);
    }""")
    assert len(words) > 25
    assert [key for key, english, chinese in words if not english or english == chinese] == []


async def test_everything_is_done_with_the_keyboard_alone_in_the_order_of_the_page(stage):
    await expect(stage.ann.box).to_be_focused()
    await stage.page.keyboard.type(first := fresh("typed"))
    await stage.page.keyboard.press("Enter")
    await expect(stage.bob.message(first)).to_have_count(1)
    assert await tab(stage) == "Send"
    assert await tab(stage) == "Bob’s device is online"
    await stage.page.keyboard.press("Space")
    await expect(stage.bob.link).to_have_text("Offline")
    await expect(stage.bob.switch).to_have_attribute("aria-checked", "false")
    await stage.page.keyboard.press("Enter")
    await expect(stage.bob.link).to_have_text("Online")
    assert await tab(stage) == "Messages on Bob’s device"
    seq, _ = await stage.bob.numbers(first)
    assert await tab(stage) == f"👍 on #{seq}: 0"
    assert await tab(stage) == "Bob writes to Ann"
    await stage.page.keyboard.type("one")
    await stage.page.keyboard.press("Shift+Enter")
    await stage.page.keyboard.type(second := fresh("two lines"))
    assert await tab(stage) == "Send"
    await stage.page.keyboard.press("Enter")
    await expect(stage.ann.message(second).locator(".text")).to_have_text(f"one\n{second}")
    await stage.page.evaluate("document.activeElement.blur(); document.body.focus()")
    await stage.page.locator("h1").click()
    names = [await tab(stage) for _ in range(4)]
    assert names == ["API", "中文", "Ann’s device is online", "Messages on Ann’s device"]


async def test_a_screen_reader_is_told_what_arrives_and_whether_a_device_is_online(stage):
    for side, name in ((stage.ann, "Ann"), (stage.bob, "Bob")):
        await expect(stage.page.get_by_role("region", name=name)).to_have_count(1)
        await expect(side.pane.get_by_role("log", name=f"Messages on {name}’s device")).to_have_count(1)
        await expect(side.pane.get_by_role("status")).to_have_text("Online")
        await expect(side.pane.get_by_role("switch", name=f"{name}’s device is online")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_both_sides_are_in_sight_and_nothing_scrolls_sideways(open_stage, scheme):
    stage = await open_stage(**PHONE, color_scheme=scheme)
    await stage.ann.write(text := fresh("x" * 300))
    await expect(stage.bob.message(text)).to_have_count(1)
    await stage.bob.write(fresh("to be seen"))
    width, inner = await stage.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner == 390
    for side in (stage.ann, stage.bob):
        assert await side.log.evaluate("log => log.scrollWidth <= log.clientWidth")
        await expect(side.box).to_be_in_viewport(ratio=1)
        await expect(side.switch).to_be_in_viewport(ratio=1)
        await expect(side.messages.last).to_be_in_viewport()
    await stage.page.set_viewport_size({"width": 320, "height": 568})
    assert await stage.page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_the_newest_stays_in_sight_when_the_window_changes_its_size(stage):
    for number in range(12):
        await stage.ann.write(text := fresh(f"{number}: " + "long enough for several lines on a phone " * 3))
    await expect(stage.bob.message(text)).to_have_count(1)
    for size in ((390, 844), (1280, 800), (900, 500)):
        await stage.page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        for side in (stage.ann, stage.bob):
            await expect(side.messages.last).to_be_in_viewport(ratio=0.99)


async def test_who_reads_what_is_older_stays_there_when_something_arrives(stage):
    for number in range(12):
        await stage.ann.write(text := fresh(f"{number}: " + "long enough for two lines or more " * 6))
    await expect(stage.bob.message(text)).to_have_count(1)
    older = stage.bob.message(await stage.bob.messages.nth(-8).locator(".text").inner_text())
    await older.scroll_into_view_if_needed()
    place = await older.bounding_box()
    await stage.ann.write(text := fresh("arrives"))
    await expect(stage.bob.message(text)).to_have_count(1)
    assert await older.bounding_box() == place
    await expect(stage.bob.message(text)).not_to_be_in_viewport()


async def test_colours_follow_the_system(open_stage):
    grounds = []
    for scheme in ("light", "dark"):
        stage = await open_stage(color_scheme=scheme)
        grounds.append(await stage.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]
