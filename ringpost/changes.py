"""`ringpost edit`, `recall`, `react`, `pin`, `hide` and `read`: what a person does to messages.

What is no id or no key is refused before anything is asked. In a path, such a text could turn one call into
another: `DELETE /v1/messages/ID/reactions/..` is `DELETE /v1/messages/ID`, which recalls the message.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Any

import typer

from domain.ids import CONVERSATION_ID_PATTERN, MAX_SEQ, MESSAGE_ID_PATTERN, place_of
from ringpost.failure import UsageError
from ringpost.http import NOTHING, TIMEOUT_S, Api, Needs, segment
from ringpost.options import Timeout, Token, Url
from ringpost.output import example, json_line, progress, write
from ringpost.running import api_url

changes = typer.Typer()

MessageName = Annotated[str, typer.Argument(help="The id of the message, as `listen` and `pull` show it.")]
ConversationName = Annotated[str, typer.Argument(help="The id of the conversation.")]

_message = re.compile(MESSAGE_ID_PATTERN)
_conversation = re.compile(CONVERSATION_ID_PATTERN)
_named = re.compile(r":[A-Za-z0-9_+-]+:")


def message_path(message_id: str) -> str:
    """The path of a message. UsageError if this is no message id."""
    if not _message.match(message_id):
        raise UsageError(f"{message_id!r} is not the id of a message, such as d:ann:bob:3.")
    return "/v1/messages/" + segment(message_id)


def conversation_path(conversation_id: str) -> str:
    """The path of a conversation. UsageError if this is no conversation id."""
    if not _conversation.match(conversation_id):
        raise UsageError(f"{conversation_id!r} is not the id of a conversation, such as d:ann:bob.")
    return "/v1/conversations/" + segment(conversation_id)


def reaction_path(message_id: str, key: str) -> str:
    """The path of a reaction. UsageError if the key cannot be one; the API knows which emoji there are."""
    named = _named.fullmatch(key) is not None
    if not named and (key.isascii() or "/" in key or "\\" in key):
        raise UsageError(f"{key!r} is not a reaction: give one emoji, or a name such as :agreed:.")
    return f"{message_path(message_id)}/reactions/{segment(key)}"


def conversation_of(message_id: str) -> str:
    """The conversation of a message. UsageError if this is no message id."""
    message_path(message_id)
    return place_of(message_id)[0]


def _asked(
    client: Api, method: str, path: str, body: dict[str, Any] | None = None, needs: Needs = NOTHING
) -> None:
    """Ask, and print the answer as JSON."""
    with progress(f"Asking {client.url}"):
        answer = client.call(method, path, body, needs=needs)
    write(json_line(answer))


@changes.command(epilog=example("ringpost edit d:ann:bob:3 'Hello, Bob'"))
def edit(
    message_id: MessageName,
    text: Annotated[str, typer.Argument(help="The new text. Put -- in front of one that begins with -.")],
    token: Token,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """Give a message of yours a new text; print the message as JSON."""
    body = {"client_message_id": secrets.token_hex(8), "body": {"text": text}}
    path = message_path(message_id)
    _asked(Api(api_url(url), token, timeout_s), "PATCH", path, body, {"message_id": str, "rev": int})


@changes.command(epilog=example("ringpost recall d:ann:bob:3"))
def recall(message_id: MessageName, token: Token, url: Url = None, timeout_s: Timeout = TIMEOUT_S) -> None:
    """Recall a message for everybody; print what is left of it as JSON. Nothing brings the text back."""
    path = message_path(message_id)
    needs: Needs = {"message_id": str, "recalled": dict}
    _asked(Api(api_url(url), token, timeout_s), "DELETE", path, needs=needs)


@changes.command(
    epilog=example("ringpost react d:ann:bob:3 👍", "ringpost react d:ann:bob:3 :agreed: --remove")
)
def react(
    message_id: MessageName,
    key: Annotated[str, typer.Argument(help="One emoji, or a name such as :agreed:.")],
    token: Token,
    remove: Annotated[bool, typer.Option("--remove", help="Take your reaction back.")] = False,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """React to a message; print all reactions to it as JSON."""
    path = reaction_path(message_id, key)
    client = Api(api_url(url), token, timeout_s)
    _asked(client, "DELETE" if remove else "PUT", path, needs={"reactions": dict})


@changes.command(epilog=example("ringpost pin d:ann:bob:3", "ringpost pin d:ann:bob:3 --remove"))
def pin(
    message_id: MessageName,
    token: Token,
    remove: Annotated[bool, typer.Option("--remove", help="Take the pin away.")] = False,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """Pin a message for all members of its conversation; print the answer as JSON."""
    path = message_path(message_id) + "/pin"
    client = Api(api_url(url), token, timeout_s)
    _asked(client, "DELETE" if remove else "PUT", path, needs={"pinned": bool})


@changes.command(epilog=example("ringpost hide d:ann:bob:3"))
def hide(message_id: MessageName, token: Token, url: Url = None, timeout_s: Timeout = TIMEOUT_S) -> None:
    """Delete a message for yourself, on all your devices. The others keep it. Prints {} when it is done."""
    path = message_path(message_id) + "/mine"
    _asked(Api(api_url(url), token, timeout_s), "DELETE", path)


@changes.command(epilog=example("ringpost read d:ann:bob", "ringpost read d:ann:bob 3"))
def read(
    conversation_id: ConversationName,
    token: Token,
    seq: Annotated[
        int | None,
        typer.Argument(min=0, max=MAX_SEQ, help="Up to this `seq`; by default up to the newest message."),
    ] = None,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """Move your read mark in a conversation; print it, and what is unread behind it, as JSON."""
    path = conversation_path(conversation_id)
    client = Api(api_url(url), token, timeout_s)
    if seq is None:
        with progress(f"Asking {client.url}"):
            seq = client.call("GET", path, needs={"head_seq": int})["head_seq"]
    _asked(client, "PUT", path + "/read", {"seq": seq}, {"read_seq": int, "unread": int})
