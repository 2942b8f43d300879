"""The catalogue of metrics. Names, units and meaning stand here and nowhere else."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

SENT = Counter(
    "ringpost_sent", "Sends answered, by outcome: new, again (a repetition), or the error code.", ["outcome"]
)
STORED = Counter("ringpost_stored", "Messages written to the message store.")
SPREAD = Counter("ringpost_spread", "Records that Kafka confirmed, by topic.", ["topic"])
APPENDED = Counter("ringpost_appended", "Entries written to timelines.")
REPEATED = Counter("ringpost_repeated", "Deliveries that a timeline had already.")
PUSHED = Counter("ringpost_pushed", "Entries handed to gateways, one for each user and gateway.")
SOCKET_ENTRIES = Counter("ringpost_socket_entries", "Entries written to sockets.")
PULLED = Counter("ringpost_pulled", "Entries pulled, by source: ring or store.", ["source"])
RING_FILLS = Counter("ringpost_ring_fills", "Rings rebuilt from the timeline.")
RELAYED = Counter("ringpost_relayed", "Outbox rows that the relay spread.")
RESPREAD = Counter("ringpost_respread", "Outbox rows spread anew, because Kafka may have lost records.")
DEAD_LETTERS = Counter("ringpost_dead_letters", "Records put on a dead letter topic, by topic.", ["topic"])
RETRIES = Counter("ringpost_retries", "Transient faults met and retried, by part.", ["part"])
REQUESTS = Counter("ringpost_requests", "HTTP requests answered, by route and status.", ["route", "status"])
CLOSED = Counter("ringpost_sockets_closed", "Sockets closed by the gateway, by close code.", ["code"])

LAG = Gauge("ringpost_lag", "Records read from Kafka's view but not finished, by group.", ["group"])
SOCKETS = Gauge("ringpost_sockets", "Sockets open now.")
QUEUE = Gauge("ringpost_queue", "Things waiting, by queue: commit, spread, barrier.", ["queue"])
OUTBOX_ROWS = Gauge("ringpost_outbox_rows", "Rows in the outbox, seen by the relay.")

SEND_S = Histogram("ringpost_send_seconds", "Send received to answered.", buckets=_LATENCY_S)
STORE_S = Histogram("ringpost_store_seconds", "One group commit.", buckets=_LATENCY_S)
SPREAD_S = Histogram("ringpost_spread_seconds", "Stored to confirmed by Kafka.", buckets=_LATENCY_S)
INBOX_S = Histogram("ringpost_inbox_seconds", "One step of the inbox consumer.", buckets=_LATENCY_S)
PUSH_S = Histogram("ringpost_push_seconds", "One step of the push consumer.", buckets=_LATENCY_S)
PULL_S = Histogram("ringpost_pull_seconds", "One pull, without the time it waited.", buckets=_LATENCY_S)

CATALOGUE = {
    name: value for name, value in globals().items() if isinstance(value, Counter | Gauge | Histogram)
}
