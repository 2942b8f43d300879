"""What every test may ask for: the engines of this run, and names that no other test uses."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.engines import GIVEN_URLS, WAYS, Engines

# How long an example takes says nothing where other work goes on beside it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
# For who wants to know only whether a model test fails, not the shortest plan by which it does.
settings.register_profile("unshrunk", phases=[Phase.explicit, Phase.reuse, Phase.generate])

LONG = ("tests/ringpost/", "tests/web/", "tests/infra/deploy/", "tests/api/test_description.py")
OF_ALL_WORKERS = pytest.StashKey[Engines]()
GIVEN = {name: value for name, value in os.environ.items() if name.startswith("RINGPOST_")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines",
        choices=sorted(WAYS),
        default=os.environ.get("RINGPOST_TEST_ENGINES") or "embedded",
        help="where the real MongoDB, Kafka and Redis come from (RINGPOST_TEST_ENGINES)",
    )


def pytest_configure(config: pytest.Config) -> None:
    _hear_ctrl_c()
    _close_what_does_not_connect(config)


def _hear_ctrl_c() -> None:
    """A shell that runs the tests in the background makes them, and all that they start, deaf for Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _close_what_does_not_connect(config: pytest.Config) -> None:
    """PyMongo's asyncio client forgets its socket if it is closed while its monitor connects.

    The socket would be found unclosed at some later moment, in whichever test runs then. The process that
    hands out the tests starts the engines, so this holds there too.
    """
    connect = BaseSelectorEventLoop.sock_connect

    async def sock_connect(loop: BaseSelectorEventLoop, sock: socket.socket, address: Any) -> None:
        try:
            await connect(loop, sock, address)
        except BaseException:  # cancelled, or never awaited to its end
            sock.close()
            raise

    patch = pytest.MonkeyPatch()
    patch.setattr(BaseSelectorEventLoop, "sock_connect", sock_connect)
    config.add_cleanup(patch.undo)


def pytest_report_header(config: pytest.Config) -> str:
    return f"engines: {config.getoption('--engines')}"


@pytest.hookimpl(tryfirst=True)  # before marks are asked for
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what the way to the engines cannot change.

    The files that take minutes come first, so that no worker is left alone with one of them at the end.
    """
    for item in items:
        if "engines" not in item.fixturenames:  # type: ignore[attr-defined]
            item.add_marker("no_engines")
    items.sort(
        key=lambda item: (
            item.get_closest_marker("system") is None,
            item.get_closest_marker("own_engines") is None,
            not item.nodeid.startswith(LONG),
        )
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where workers run the tests, the process that hands them out owns the engines of all."""
    if session.config.getoption("numprocesses", None):
        running = ExitStack()
        session.config.add_cleanup(running.close)
        way = WAYS[session.config.getoption("--engines")]
        session.config.stash[OF_ALL_WORKERS] = running.enter_context(way())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["engines"] = tuple(node.config.stash[OF_ALL_WORKERS])


def says_goodbye(loop: BaseSelectorEventLoop, end: Any) -> bool:
    """Whether a connection with TLS was closed, and waits for the other side to say the same. Cuts it off."""
    inner = getattr(end.get_protocol(), "_app_transport", None)
    if inner is None or not inner.is_closing():
        return False
    end.abort()
    loop.run_until_complete(asyncio.sleep(0))
    return True


@pytest.fixture(scope="session", autouse=True)
def no_connection_outlives_its_event_loop() -> Iterator[None]:
    """What a test leaves open is an error of that test; the garbage collector would blame a later one."""
    close = BaseSelectorEventLoop.close

    def close_empty(loop: BaseSelectorEventLoop) -> None:
        transports = loop._transports  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio's own list
        ends = [] if loop.is_closed() else list(transports.values())
        ends = [end for end in ends if not end.is_closing() and not says_goodbye(loop, end)]
        left = [(end.get_extra_info("peername"), end.get_protocol()) for end in ends]
        close(loop)
        assert not left, f"connections were left open: {left}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseSelectorEventLoop, "close", close_empty)
        yield


@pytest.fixture(autouse=True)
def no_setting_of_another_test() -> None:
    """A fixture that many tests share gives its settings to the processes that it starts, not to all.

    This runs before what one test sets for itself.
    """
    set_now = {name: value for name, value in os.environ.items() if name.startswith("RINGPOST_")}
    assert set_now.items() <= GIVEN.items(), "an earlier fixture set them for every process to come"


@pytest.fixture(autouse=True)
def no_engines_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of the environment comes before what a test gives, and `--engines=urls` has some there."""
    for name in GIVEN_URLS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def engines(request: pytest.FixtureRequest) -> Iterator[Engines]:
    """One set of real engines for the whole run; without workers, started when the first test asks for it."""
    if of_all_workers := getattr(request.config, "workerinput", {}).get("engines"):
        yield Engines(*of_all_workers)
        return
    with WAYS[request.config.getoption("--engines")]() as engines:
        yield engines


@pytest.fixture
def unique() -> str:
    """A fresh prefix: for a database's name, topics, keys. Instead of emptying anything between tests."""
    return f"t{secrets.token_hex(5)}"
