"""The catalogue of metrics. Names, units and meaning stand here and nowhere else."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

SENT = Counter(
    "ringpost_sent",
    "Sends that were answered, by outcome: `new`, `again` for a repetition, or the error code.",
    ["outcome"],
)
STORED = Counter("ringpost_stored", "Messages that were written to MongoDB.")
SPREAD = Counter("ringpost_spread", "Records that Kafka confirmed, by topic.", ["topic"])
APPENDED = Counter("ringpost_appended", "Entries that were written to timelines.")
REPEATED = Counter(
    "ringpost_repeated", "Deliveries that changed nothing, because the timeline had the message already."
)
PUSHED = Counter(
    "ringpost_pushed", "Entries that were handed to gateways, counted once for each user and gateway."
)
SOCKET_ENTRIES = Counter("ringpost_socket_entries", "Entries that were written to sockets.")
PULLED = Counter(
    "ringpost_pulled",
    "Entries that devices pulled, by source: `ring` (Redis) or `store` (MongoDB).",
    ["source"],
)
RING_FILLS = Counter("ringpost_ring_fills", "Rings that were rebuilt from a timeline.")
RELAYED = Counter("ringpost_relayed", "Outbox rows that the relay published to Kafka.")
RESPREAD = Counter(
    "ringpost_respread", "Outbox rows that go to Kafka again, because Kafka may have lost their records."
)
DEAD_LETTERS = Counter(
    "ringpost_dead_letters", "Records that were put on a dead letter topic, by topic.", ["topic"]
)
RETRIES = Counter(
    "ringpost_retries",
    "Times that a worker tried again after a fault of an engine, by consumer group.",
    ["part"],
)
REQUESTS = Counter(
    "ringpost_requests",
    "HTTP requests that were answered, by route and status. Status 499: the client left too early.",
    ["route", "status"],
)
REFUSED = Counter(
    "ringpost_refused",
    "Connections that were refused because file descriptors ran out, by kind: `socket`, `request`, or "
    "`connection` if it was closed without an answer.",
    ["kind"],
)
CLOSED = Counter("ringpost_sockets_closed", "Sockets that the gateway closed, by close code.", ["code"])
SIGNALS = Counter(
    "ringpost_signals",
    "Signals of clients, by outcome: `passed` on, `too_soon` after another, to `too_many` members, or `lost` "
    "because an engine did not answer.",
    ["outcome"],
)

UP = Gauge(
    "ringpost_up", "1 for each part that runs in the process: `api`, `inbox`, `push`, `relay`.", ["part"]
)
READY = Gauge("ringpost_ready", "1 while the part can do its job, else 0. The part is its label.", ["part"])
DEGRADED = Gauge(
    "ringpost_degraded",
    "1 while the engine does not answer the part, else 0. Engines: `mongo`, `kafka`, `redis`.",
    ["part", "engine"],
)
BREAKER_OPEN = Gauge(
    "ringpost_breaker_open",
    "1 while the process waits for no answer of the engine, because it does not answer, else 0. "
    "Engines: `mongo`, `redis`.",
    ["engine"],
)
LAG = Gauge(
    "ringpost_lag",
    "Records in Kafka that the consumer group has not finished, as the relay sees it, by group.",
    ["group"],
)
WORKER_LAG = Gauge(
    "ringpost_worker_lag",
    "Records in the worker's own partitions that it has not finished, by group.",
    ["group"],
)
SOCKETS = Gauge("ringpost_sockets", "Sockets that are open now.")
QUEUE = Gauge(
    "ringpost_queue",
    "Items that wait inside the process, by queue: `commit`, `spread`, `barrier`.",
    ["queue"],
)
OUTBOX_ROWS = Gauge("ringpost_outbox_rows", "Rows in the outbox, as the relay counted them last.")

SEND_S = Histogram(
    "ringpost_send_seconds", "Seconds from the arrival of a send to its answer.", buckets=_LATENCY_S
)
STORE_S = Histogram("ringpost_store_seconds", "Seconds that one group commit took.", buckets=_LATENCY_S)
SPREAD_S = Histogram(
    "ringpost_spread_seconds",
    "Seconds from the store of a message to its confirmation by Kafka.",
    buckets=_LATENCY_S,
)
INBOX_S = Histogram(
    "ringpost_inbox_seconds", "Seconds that one step of the worker `inbox` took.", buckets=_LATENCY_S
)
PUSH_S = Histogram(
    "ringpost_push_seconds", "Seconds that one step of the worker `push` took.", buckets=_LATENCY_S
)
PULL_S = Histogram(
    "ringpost_pull_seconds",
    "Seconds that one pull took, without the time that it waited for entries.",
    buckets=_LATENCY_S,
)

CATALOGUE = {
    name: value for name, value in globals().items() if isinstance(value, Counter | Gauge | Histogram)
}
