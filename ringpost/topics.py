"""`ringpost topics`: the Kafka topics, and the records that could not be processed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from domain.errors import NotFound
from ringpost.output import Json, example, progress, show, table_of, write
from ringpost.running import settings_with_engines

if TYPE_CHECKING:
    from infra.kafka.clients import Log
    from infra.kafka.dead_letters import Letter
    from infra.kafka.topics import TopicState, TopicTool

topics = typer.Typer(no_args_is_help=True, help="The Kafka topics of Ringpost.")
dlq = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be processed.")
topics.add_typer(dlq, name="dlq")

Origin = Annotated[str, typer.Argument(help="The topic they came from: deliveries or arrivals.")]

Partition = Annotated[int, typer.Argument(help="The partition, as `list` shows it.")]
Offset = Annotated[int, typer.Argument(help="The offset, as `list` shows it.")]


@topics.command(epilog=example("ringpost topics create"))
def create(as_json: Json = False) -> None:
    """Create what is missing."""
    with progress("Asking Kafka"):
        created = asyncio.run(_tool().create())
    show(created, as_json, "created " + ", ".join(created) if created else "nothing was missing")


@topics.command("list", epilog=example("ringpost topics list"))
def list_topics(as_json: Json = False) -> None:
    """The topics that exist."""
    with progress("Asking Kafka"):
        names = [state.name for state in asyncio.run(_tool().describe())]
    show(names, as_json, "\n".join(names))


@topics.command(epilog=example("ringpost topics describe", "ringpost topics describe --json"))
def describe(as_json: Json = False) -> None:
    """Each topic with its size, and how far each consumer group is behind."""
    with progress("Asking Kafka"):
        states = asyncio.run(_tool().describe())
    rows = []
    for one in states:
        behind = ", ".join(f"{lag.group} {lag.behind}" for lag in one.lags)
        rows.append((one.name, one.partitions, one.replication, one.records, behind))
    table = table_of(("topic", "partitions", "copies", "records", "behind"), rows)
    show([_state(state) for state in states], as_json, table)


@dlq.command("list", epilog=example("ringpost topics dlq list"))
def list_letters(as_json: Json = False) -> None:
    """All dead letters, the oldest of each partition first."""
    with progress("Reading the dead letters"):
        letters = asyncio.run(_letters())
    columns = ("topic", "partition", "offset", "group", "error", "message")
    summaries = [_summary(letter) for letter in letters]
    show(summaries, as_json, table_of(columns, ([one[name] for name in columns] for one in summaries)))
    if not as_json:
        by_topic = Counter(letter.topic for letter in letters)
        write(", ".join(f"{topic}: {count}" for topic, count in by_topic.items()) or "no dead letters")


@dlq.command("show", epilog=example("ringpost topics dlq show deliveries 3 17"))
def show_letter(topic: Origin, partition: Partition, offset: Offset) -> None:
    """One dead letter with the whole record, as JSON. It may hold the text of a message."""
    with progress("Reading the dead letters"):
        letters = asyncio.run(_letters())
    for letter in letters:
        if (letter.topic, letter.partition, letter.offset) == (topic, partition, offset):
            whole = {
                "key": letter.key.decode(errors="replace"),
                "value": letter.value.decode(errors="replace"),
            }
            show(_summary(letter) | whole, True, "")
            return
    raise NotFound(f"There is no dead letter of {topic} at {partition}, {offset}; see `topics dlq list`.")


@dlq.command(epilog=example("ringpost topics dlq replay deliveries"))
def replay(topic: Origin, as_json: Json = False) -> None:
    """Put the dead letters of a topic back. You may repeat it: nothing is done twice."""
    from infra.kafka.dead_letters import DeadLetterTool, origins

    if topic not in origins():
        raise NotFound(f"There are no dead letters of {topic}; there may be of {', '.join(origins())}.")
    with progress(f"Putting back the dead letters of {topic}"):
        count = asyncio.run(DeadLetterTool(_log()).replay(topic))
    show({"replayed": count}, as_json, f"{count} replayed")


async def _letters() -> list[Letter]:
    from infra.kafka.dead_letters import DeadLetterTool

    return [letter async for letter in DeadLetterTool(_log()).letters()]


def _tool() -> TopicTool:
    from infra.kafka.topics import TopicTool

    return TopicTool(_log())


def _log() -> Log:
    from infra.kafka.clients import Log

    return Log(settings_with_engines("kafka").kafka)


def _state(state: TopicState) -> dict[str, Any]:
    return {
        "name": state.name,
        "partitions": state.partitions,
        "replication": state.replication,
        "records": state.records,
        "behind": {lag.group: lag.behind for lag in state.lags},
    }


def _summary(letter: Letter) -> dict[str, Any]:
    """Without the record, which may hold the text of a message."""
    return {name: value for name, value in letter._asdict().items() if name not in ("key", "value")}
