"""What is printed as a command works as it is typed."""

from __future__ import annotations

import pytest

from ringpost.name import command_name


@pytest.fixture
def called(tmp_path, monkeypatch):
    """The command of a checkout, called by its path, in the folder of the checkout."""
    program = tmp_path / ".venv/bin/ringpost"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", [str(program), "up"])
    return program


def test_command_off_the_path_is_its_path_from_here(called, monkeypatch):
    assert command_name() == ".venv/bin/ringpost"
    monkeypatch.chdir("/usr")
    assert command_name() == str(called)


def test_command_on_the_path_is_its_name(called, monkeypatch):
    monkeypatch.setenv("PATH", str(called.parent))
    assert command_name() == "ringpost"


def test_command_called_as_a_module_is_its_name(called, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(called.parent / "__main__.py"), "up"])
    assert command_name() == "ringpost"
