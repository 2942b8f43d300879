"""The text of each call, by its route: what it does, and what each of its answers means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from api.description.refusals import REFUSALS, Refusal, Refusals
from domain.errors import (
    Conflict,
    CursorAhead,
    Forbidden,
    HeadTooLarge,
    NotFound,
    Overloaded,
    TooLarge,
    Unauthenticated,
)

ACCOUNTS = "Users and tokens"
MESSAGES = "Messages"
INBOX = "Inbox"
PEOPLE = "People"
CONVERSATIONS = "Conversations"

TAGS = {
    ACCOUNTS: "For your application's server, which holds the admin key.",
    MESSAGES: "Send a message, and read what was said in a conversation.",
    INBOX: "What arrived for a user, in one order, and how far each device is.",
    PEOPLE: "You yourself, and who is online.",
    CONVERSATIONS: "Open conversations, list them, and change groups.",
}
"""Tag → its description, in the order of the page."""

_NO_KEY = {
    Unauthenticated: Refusal("There is no admin key, or it is wrong.", "The admin key is wrong."),
    Forbidden: Refusal(
        "A device's token was given; this call needs the admin key.",
        "This call needs the admin key, not a device's token.",
    ),
}
_NO_CONVERSATION = Refusal(
    "There is no such conversation.", "There is no such conversation.", "conversation_id"
)
_NO_MEMBER = Refusal(
    "You were never a member of the conversation.",
    "You are not a member of this conversation.",
    "conversation_id",
)
_NO_OWNER = Refusal(
    "You are not the owner of the group, or the conversation is a direct one.",
    "Only the owner of a group may change it.",
    "conversation_id",
)
_NO_SUCH_ME = Refusal("The user of the token does not exist.", "There is no user ann.", "user_id")
_BUSY = Refusal(
    "Others changed the members at the same moment. Send the request again.",
    "Others are changing the members of this conversation. Send the request again.",
    "user_id",
)
_GROUP_FULL = Refusal(
    "The group would have more members than it may.", "A group may have 1000 members.", "user_id"
)
_YOUR_GROUP = (
    "\n\n`conversation_id` must be a group that you own. On this page, first execute "
    "`POST /v1/conversations`: the id of your new group is then filled in here. Elsewhere, put in the id of "
    "a group of yours."
)


class Operation(NamedTuple):
    """`done` is by status. `refused` has this call's own errors, and may say more of those of every call."""

    tag: str
    description: str
    done: Mapping[int, str]
    refused: Refusals = MappingProxyType({})


OPERATIONS = {
    "PUT /v1/users/{user_id}": Operation(
        ACCOUNTS,
        "Your application decides who is a user and what their id is. A repetition changes nothing, "
        "apart from the name.\n\nThe examples make bob and ann; the calls below need both.",
        {200: "The user as they are now."},
        _NO_KEY,
    ),
    "POST /v1/tokens": Operation(
        ACCOUNTS,
        "Your server calls this when a person has signed in to your application, and hands the token to the "
        "person's device. The token says who calls: one user, on one device. It cannot be taken back before "
        "it expires.\n\nTo go on here, copy `token` from the answer. Press the button Authorize and paste it "
        "into `device_token`.",
        {200: "The token, and when it expires."},
        {**_NO_KEY, NotFound: Refusal("There is no such user.", "There is no user ann.", "user_id")},
    ),
    "POST /v1/messages": Operation(
        MESSAGES,
        "Give either `to`, a user, or `conversation_id`. Once this is answered, the message is durable.\n\n"
        "No answer? Send the same again, with the same `client_message_id`: it is stored once. Another "
        "message needs another `client_message_id`.",
        {
            201: "The message is stored.",
            200: "You had sent this message before. This is the answer of that time.",
        },
        {
            NotFound: Refusal("There is no such user or conversation.", "There is no user bob.", "to"),
            Forbidden: _NO_MEMBER._replace(when="You are not a member of the conversation."),
            Conflict: REFUSALS[Conflict]._replace(
                when="You gave another message of this conversation the same `client_message_id`."
            ),
            Overloaded: REFUSALS[Overloaded],
        },
    ),
    "GET /v1/conversations/{conversation_id}/messages": Operation(
        MESSAGES,
        "Messages come in rising order of `seq`. Without `after` you get the newest that fit, and `more` "
        "says that there are older ones: ask again with `before` set to the smallest `seq` that you have. "
        "Who has left a group still reads what was sent during their stay.",
        {200: "A page of messages."},
        {NotFound: _NO_CONVERSATION, Forbidden: _NO_MEMBER},
    ),
    "GET /v1/sync": Operation(
        INBOX,
        "Every message that reaches a user has a number in their inbox: 1, 2, 3 and so on, without a gap. "
        "Your own messages are among them, so that your other devices get them. Begin with cursor 0. "
        "Store the entries and the new `cursor` together, and ask again with it.",
        {200: "The entries after the cursor; none if nothing came within `wait_s`."},
        {error: REFUSALS[error] for error in (CursorAhead, Overloaded)},
    ),
    "POST /v1/sync/ack": Operation(
        INBOX,
        "Tells the server how far this device is. The cursor only moves forward. Nothing is deleted. "
        "A socket that names no cursor begins here.",
        {200: "Where the cursor of this device stands now."},
        {CursorAhead: REFUSALS[CursorAhead]},
    ),
    "GET /v1/sync/ack": Operation(
        INBOX,
        "Each device of a user has a cursor of its own. It is 0 until the device acknowledges something.",
        {200: "Where the cursor of this device stands."},
    ),
    "GET /v1/me": Operation(
        PEOPLE,
        "The user whom the token names.",
        {200: "Your name and settings."},
        {NotFound: _NO_SUCH_ME},
    ),
    "PATCH /v1/me": Operation(
        PEOPLE,
        "`last_seen` says who sees whether you are online, and when you last were: `everyone`, `contacts` or "
        "`nobody`. Contacts are people with whom you have a direct conversation. It holds both ways. "
        "You see of others no more than they see of you. What you leave out stays as it is.",
        {200: "Your name and settings as they are now."},
        {NotFound: _NO_SUCH_ME},
    ),
    "GET /v1/presence": Operation(
        PEOPLE,
        "Who hides from you is shown as offline, without `last_seen`. So is an id that no user has. A socket "
        "that sends `watch` is told of changes as well.",
        {200: "The users, as far as you may see them."},
        {HeadTooLarge: REFUSALS[HeadTooLarge]},
    ),
    "POST /v1/conversations": Operation(
        CONVERSATIONS,
        "A group is new each time, and you are its owner. The direct conversation of two users is always the "
        "same one, whoever opens it; with your own id it holds your notes. You need not open a direct "
        "conversation before you send: `POST /v1/messages` with `to` does it.",
        {201: "The conversation was created.", 200: "The direct conversation was there already."},
        {
            NotFound: Refusal("One of the users does not exist.", "There is no user bob.", "members"),
            TooLarge: _GROUP_FULL._replace(
                when="The request is too large, or the group would have more members than it may.",
                field="members",
            ),
        },
    ),
    "GET /v1/conversations": Operation(
        CONVERSATIONS,
        "The conversation with the newest message comes first. For the next page, give the `cursor` of the "
        "page before. Groups that you have left are in the list, too.",
        {200: "A page of the list."},
    ),
    "GET /v1/conversations/{conversation_id}": Operation(
        CONVERSATIONS,
        "The id of a direct conversation is `d:`, then both user ids in the order of the alphabet with a "
        "colon between them. The id of a group begins with `g:`.",
        {200: "The conversation."},
        {NotFound: _NO_CONVERSATION, Forbidden: _NO_MEMBER},
    ),
    "PATCH /v1/conversations/{conversation_id}": Operation(
        CONVERSATIONS,
        "Only the owner of a group may do this." + _YOUR_GROUP,
        {200: "The conversation with its new title."},
        {NotFound: _NO_CONVERSATION, Forbidden: _NO_OWNER},
    ),
    "PUT /v1/conversations/{conversation_id}/members/{user_id}": Operation(
        CONVERSATIONS,
        "Only the owner of a group may do this. The new member receives every message that is sent after "
        "the answer. A repetition changes nothing." + _YOUR_GROUP,
        {200: "The conversation with its present members."},
        {
            NotFound: Refusal("There is no such conversation or user.", "There is no user bob.", "user_id"),
            Forbidden: _NO_OWNER,
            Conflict: _BUSY,
            TooLarge: _GROUP_FULL,
        },
    ),
    "DELETE /v1/conversations/{conversation_id}/members/{user_id}": Operation(
        CONVERSATIONS,
        "The owner of a group removes anybody; everybody may remove themselves. An owner who leaves hands "
        "the group to the member who has been there longest. A repetition changes nothing." + _YOUR_GROUP,
        {200: "The conversation with its present members; without them if you have left."},
        {
            NotFound: Refusal(
                "There is no such conversation, or the user was never a member.",
                "They are not a member of this conversation.",
                "user_id",
            ),
            Forbidden: _NO_OWNER._replace(
                when="You are neither the owner nor the member, or the conversation is a direct one."
            ),
            Conflict: _BUSY,
        },
    ),
}
"""By `Route.name`."""
