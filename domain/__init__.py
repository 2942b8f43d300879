"""The words of Ringpost: messages, conversations, ids, events, errors and pure rules. No I/O."""
