"""The picture at the top of the README: `python -m tests.web.picture` starts a Ringpost and takes it.

The engines come from where `RINGPOST_TEST_ENGINES` says: embedded, containers or urls.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright, expect

from tests.docs.running import ROOT, running
from tests.engines import WAYS
from tests.web.conftest import NAMES
from tests.web.server import StageServer
from tests.web.stage import Stage, named, opened

PICTURE = ROOT / "docs" / "images" / "stage.png"


async def play(stage: Stage) -> None:
    """A talk in which Bob is offline for a while."""
    await stage.ann.write("Morning Bob! Are we still on for lunch?")
    await expect(stage.bob.messages).to_have_count(1)
    await stage.bob.write("Yes. Noon, at the usual plaice?")
    await stage.bob.messages.last.get_by_role("button", name="edit").click()
    await stage.bob.write("Yes. Noon, at the usual place?")
    await expect(stage.ann.messages.last).to_contain_text("edited")
    await stage.ann.messages.last.get_by_role("button", name="👍").click()
    await stage.bob.messages.first.get_by_role("button", name="❤️").click()
    await expect(stage.ann.messages.first.get_by_role("button", name="❤️")).to_have_text(re.compile(" 1$"))
    await expect(stage.bob.messages.last).to_have_attribute("data-state", "read")
    await stage.bob.off()
    for text in ("Perfect. I’ll bring the drawings.", "Take an umbrella!"):
        await stage.ann.write(text)
    await expect(stage.ann.messages.last).to_have_attribute("data-state", "stored")
    await stage.bob.write("I’m in a tunnel. See you at noon")
    await stage.page.mouse.move(0, 0)


async def take(url: str) -> None:
    program = next(path for path in map(shutil.which, NAMES) if path)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        size = {"width": 1120, "height": 640}
        stage = await opened(await browser.new_context(**named({"viewport": size})), url, looked=True)
        await play(stage)
        await stage.page.screenshot(path=PICTURE)
        await browser.close()


def main() -> None:
    way = WAYS[os.environ.get("RINGPOST_TEST_ENGINES") or "embedded"]
    with (
        way() as engines,
        tempfile.TemporaryDirectory() as folder,
        running(engines, f"t{secrets.token_hex(5)}", Path(folder)) as ringpost,
    ):
        server = StageServer(ringpost, Path(folder))
        try:
            server.start()
            asyncio.run(take(server.url))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
