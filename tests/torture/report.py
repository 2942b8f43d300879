"""What a run says of itself: as one JSON object, and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tests.torture.facts import Violation
from tests.torture.ledger import Latency
from tests.torture.run import Run

NEAR_S = 5.0
"""Faults that were under way so shortly before or after count as near."""
MOST_VIOLATIONS = 50
COUNTS = (
    "acknowledged",
    "unacknowledged",
    "unacknowledged_but_stored",
    "refused",
    "stored",
    "entries",
    "entries_received",
    "connections",
    "changes_of_members",
    "done_beside_sends",
    "not_done",
    "recalled",
    "outbox_rows_left",
    "settled_after_s",
    "replayed",
    "errors",
    "closed",
    "send_to_answer_s",
    "send_to_received_s",
    "longest_without_a_send_s",
)
"""What is shown on the terminal besides faults and violations."""


def report_of(run: Run) -> dict[str, Any]:
    """Seed, faults, counts, what clients saw, and what is wrong. Times in seconds since the traffic began."""
    facts, ledger = run.facts, run.ledger
    options = run.options
    return {
        "ok": not run.violations,
        "seed": options.seed,
        "modes": list(options.modes) or ["none"],
        "seconds": options.seconds,
        "rate": options.rate,
        "users": options.users,
        "acknowledged": sum(bool(sending.answers) for sending in facts.sendings),
        "unacknowledged": sum(not sending.answers for sending in facts.sendings),
        "unacknowledged_but_stored": _unacknowledged_but_stored(run),
        "refused": sum(bool(sending.refused) for sending in facts.sendings),
        "stored": len(facts.messages),
        "entries": sum(map(len, facts.timelines.values())),
        "entries_received": sum(len(connection.entries) for connection in facts.connections),
        "devices": len(facts.devices),
        "connections": len(facts.connections),
        "changes_of_members": sum(not change.maybe for change in facts.changings),
        "done_beside_sends": dict(Counter(act.kind for act in facts.acts if act.done)),
        "not_done": dict(Counter(act.refused for act in facts.acts if act.refused)),
        "recalled": sum(message.recalled for message in facts.messages.values()),
        "outbox_rows_left": len(facts.outbox),
        "settled_after_s": _rounded(run.settled_after_s),
        "replayed": run.replayed,
        "errors": dict(ledger.errors.most_common()),
        "closed": dict(ledger.closed.most_common()),
        "send_to_answer_s": quantiles(ledger.answers),
        "send_to_received_s": quantiles(ledger.receipts),
        "longest_without_a_send_s": _rounded(longest_gap(ledger.answers, options.seconds)),
        "fault_count": dict(Counter(broken.fault.mode for broken in run.faults)),
        "faults": [
            {
                "fault": str(broken.fault),
                "began_s": _rounded(broken.began_at),
                "mended_s": _rounded(broken.mended_at),
            }
            for broken in run.faults
        ],
        "notes": [{"at_s": _rounded(at), "said": said} for at, said in ledger.notes],
        "violation_count": dict(Counter(violation.rule for violation in run.violations)),
        "violations": [_violation(run, one) for one in run.violations[:MOST_VIOLATIONS]],
        "evidence": run.evidence,
    }


def _unacknowledged_but_stored(run: Run) -> int:
    stored = {message.client_message_id for message in run.facts.messages.values()}
    return sum(not sending.answers and sending.name in stored for sending in run.facts.sendings)


def _violation(run: Run, violation: Violation) -> dict[str, Any]:
    return {
        "rule": violation.rule,
        "said": violation.said,
        "at_s": _rounded(violation.at),
        "near": near(run, violation.at),
    }


def near(run: Run, at: float | None) -> list[str]:
    """The faults around a moment."""
    if at is None:
        return []
    return [
        str(broken.fault)
        for broken in run.faults
        if broken.began_at - NEAR_S <= at <= (broken.mended_at or float("inf")) + NEAR_S
    ]


def quantiles(latencies: Sequence[Latency]) -> dict[str, float]:
    """p50, p99 and the largest; empty for none."""
    if not latencies:
        return {}
    ordered = sorted(latency.seconds for latency in latencies)
    last = len(ordered) - 1
    points = {"p50": ordered[round(last * 0.5)], "p99": ordered[round(last * 0.99)], "max": ordered[-1]}
    return {name: round(seconds, 4) for name, seconds in points.items()}


def longest_gap(answers: Sequence[Latency], end_s: float) -> float:
    """The longest time without an answered send, from the beginning to the end of the traffic."""
    moments = [0.0, *sorted(answer.at for answer in answers if answer.at < end_s), end_s]
    return max(later - earlier for earlier, later in pairwise(moments))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def text_of(report: dict[str, Any]) -> str:
    """For the terminal."""
    what = f"{report['seconds']:g} s at {report['rate']:g} sends/s"
    who = f"{report['users']} users with {report['devices']} devices"
    lines = [
        f"seed {report['seed']}, modes {','.join(report['modes'])}: {what}, {who}",
        "",
        *(
            f"  {fault['began_s']:7.1f} s  {fault['fault']}, mended at {fault['mended_s']} s"
            for fault in report["faults"]
        ),
        *(f"  {note['at_s']:7.1f} s  {note['said']}" for note in report["notes"]),
        "",
    ]
    lines += [f"  {name.replace('_', ' '):28} {_plain(report[name])}" for name in COUNTS]
    lines += ["", *_verdict(report)]
    return "\n".join(lines)


def _verdict(report: dict[str, Any]) -> list[str]:
    if report["ok"]:
        return ["Nothing lost, nothing twice."]
    lines = [f"NOT SO: {_plain(report['violation_count'])}"]
    for one in report["violations"]:
        near_by = f"  (near: {'; '.join(one['near'])})" if one["near"] else ""
        lines.append(f"  {one['rule']}: {one['said']}{near_by}")
    return [*lines, *report["evidence"]]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
    return str(value)
