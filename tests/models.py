"""Runs a model test: random plans, tried on the product and on a model of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.builders import examples

Run = Callable[..., Any]


def run_model(
    opening: AbstractAsyncContextManager[Any],
    count: int,
    machine: Callable[[Any, Run], RuleBasedStateMachine],
) -> None:
    """Try `count` plans. `machine` makes a machine of what was opened, and of what runs a coroutine."""
    plans = settings(
        max_examples=examples(count),
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with asyncio.Runner() as runner:
        opened = runner.run(opening.__aenter__())
        try:
            run_state_machine_as_test(lambda: machine(opened, runner.run), settings=plans)
        finally:
            runner.run(opening.__aexit__(None, None, None))
