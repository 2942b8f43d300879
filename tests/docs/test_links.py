"""Every link in every page leads somewhere."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.docs.tables import ROOT

CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*)$", re.MULTILINE)


def pages():
    """Every Markdown file that git knows, or would know."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def links(path):
    return LINK.findall(CODE.sub("", path.read_text()))


def anchors(path):
    """What GitHub makes of the headings: small letters, digits, dashes, and a number if it repeats."""
    made: list[str] = []
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for heading in HEADING.findall(text):
        words = LINK.sub("]", heading).replace("`", "").lower().strip()
        kept = [c for c in words if c in " -_" or unicodedata.category(c)[0] in "LN"]
        slug = "".join(kept).replace(" ", "-")
        again = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", one) is not None for one in made)
        made.append(f"{slug}-{again}" if again else slug)
    return set(made)


def is_broken(path: Path, link: str) -> bool:
    if "://" in link:
        return False
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors(target)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_exist(path):
    assert [link for link in links(path) if is_broken(path, link)] == []


def test_readme_leads_to_the_index():
    assert "docs/README.md" in links(ROOT / "README.md")
