"""MongoDB, the truth: messages, timelines, conversations, accounts, outbox."""
