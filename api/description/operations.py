"""The text of each call, by its route: what it does, and what each of its answers means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from api.description.reasons import (
    BUSY,
    BUSY_NOW,
    GROUP_FULL,
    LEFT,
    NO_ADMIN,
    NO_CONVERSATION,
    NO_KEY,
    NO_MEMBER,
    NO_MESSAGE,
    NO_OWNER,
    NO_SUCH_ME,
    NO_VISITOR,
    RECALLED,
)
from api.description.refusals import REFUSALS, Refusal, Refusals
from domain.errors import (
    Conflict,
    CursorAhead,
    Forbidden,
    HeadTooLarge,
    NotFound,
    Overloaded,
    TooLarge,
)

ACCOUNTS = "Users and tokens"
MESSAGES = "Messages"
CHANGES = "Changes"
INBOX = "Inbox"
PEOPLE = "People"
CONVERSATIONS = "Conversations"

TAGS = {
    ACCOUNTS: "For your application's server, which holds the admin key.",
    MESSAGES: "Send a message, and read what was said in a conversation.",
    CHANGES: "Edit, recall, hide, pin and react.",
    INBOX: "What arrived for a user, in one order, and how far each device is.",
    PEOPLE: "You yourself, and who is online.",
    CONVERSATIONS: "Open conversations, list them, and change groups.",
}
"""Tag → its description, in the order of the page."""

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
        NO_KEY,
    ),
    "POST /v1/tokens": Operation(
        ACCOUNTS,
        "Your server calls this when a person has signed in to your application, and hands the token to the "
        "person's device. The token says who calls: one user, on one device. It cannot be taken back before "
        "it expires.\n\nTo go on here, copy `token` from the answer. Press the button Authorize and paste it "
        "into `device_token`.",
        {200: "The token, and when it expires."},
        {**NO_KEY, NotFound: Refusal("There is no such user.", "There is no user ann.", "user_id")},
    ),
    "POST /v1/messages": Operation(
        MESSAGES,
        "Give either `to`, a user, or `conversation_id`. Once this is answered, the message is durable.\n\n"
        "No answer? Send the same again, with the same `client_message_id`: it is stored once. Another "
        "message needs another `client_message_id`.\n\nA message may answer another one (`reply_to`), "
        "mention members (`mentions`), or forward another one (`forward_of`, in place of `kind` and `body`).",
        {
            201: "The message is stored.",
            200: "You had sent this message before. This is the answer of that time.",
        },
        {
            NotFound: Refusal(
                "There is no such user or conversation, or no such message to answer or to forward.",
                "There is no user bob.",
                "to",
            ),
            Forbidden: NO_MEMBER._replace(when="You are not a member of the conversation."),
            Conflict: REFUSALS[Conflict]._replace(
                when="You gave another message of this conversation the same `client_message_id`, or the "
                "message to forward was recalled."
            ),
            Overloaded: REFUSALS[Overloaded],
        },
    ),
    "GET /v1/conversations/{conversation_id}/messages": Operation(
        MESSAGES,
        "Messages come in rising order of `seq`. Without `after` you get the newest that fit, and `more` "
        "says that there are older ones: ask again with `before` set to the smallest `seq` that you have. "
        "Who has left a group still reads what was sent during their stay.\n\nEach message is as it is now. "
        "`referenced` holds the messages that these answer.",
        {200: "A page of messages."},
        {NotFound: NO_CONVERSATION, Forbidden: NO_MEMBER},
    ),
    "POST /v1/messages:batch": Operation(
        MESSAGES,
        "Each message is as for `POST /v1/messages`, and is stored or refused by itself. Messages to one "
        "conversation are sent in the order given. Send the same batch again if no answer comes.",
        {200: "The answer or the error of each message, in order."},
    ),
    "GET /v1/messages/{message_id}": Operation(
        MESSAGES,
        "What the message says now, with its reactions and whether it is pinned.",
        {200: "The message."},
        {NotFound: NO_MESSAGE},
    ),
    "PATCH /v1/messages/{message_id}": Operation(
        CHANGES,
        "The sender edits a message within a day, at most 100 times. Whoever got the message and is a member "
        "gets an `edit` entry. Use a new `client_message_id` for each edit, and the same one for each try.",
        {200: "The message as it is now."},
        {
            NotFound: NO_MESSAGE,
            Forbidden: Refusal(
                "You did not send the message, it was sent too long ago, it is a forward, or you have left.",
                "Only the sender edits a message.",
                "message_id",
            ),
            Conflict: RECALLED._replace(
                when="The message was recalled or edited 100 times, or this `client_message_id` names "
                "another edit."
            ),
            **BUSY_NOW,
        },
    ),
    "GET /v1/messages/{message_id}/versions": Operation(
        MESSAGES,
        "What the message said at first, and after each edit. Whoever can read the message sees them, until "
        "it is recalled. With the admin key they are always there.",
        {200: "The versions, the oldest first."},
        {NotFound: NO_MESSAGE, Conflict: RECALLED},
    ),
    "DELETE /v1/messages/{message_id}": Operation(
        CHANGES,
        "Takes the message back, for all and for ever: its body is empty from now on, its reactions and its "
        "pin are gone, and it counts as unread no more. Whoever got the message and is a member gets a "
        "`recall` entry. The sender does this within a day; the owner and admins of a group at any time, an "
        "admin not with the messages of other admins and of the owner.",
        {200: "The message, recalled."},
        {
            NotFound: NO_MESSAGE,
            Forbidden: Refusal(
                "You may not recall this message, or not any more.",
                "You may not recall this message, or not any more.",
                "message_id",
            ),
            **BUSY_NOW,
        },
    ),
    "DELETE /v1/messages/{message_id}/mine": Operation(
        CHANGES,
        "Only you do not see the message any more, on all of your devices. They get a `hidden` entry. This "
        "cannot be undone.",
        {200: "The message is hidden from you."},
        {NotFound: NO_MESSAGE, **BUSY_NOW},
    ),
    "PUT /v1/messages/{message_id}/reactions/{key}": Operation(
        CHANGES,
        "`key` is one emoji or `:name:`. You may give a message three reactions, and it may bear 20 "
        "different ones. The members get a `reactions` entry with all of them: one for many changes, if many "
        "come at the same time.",
        {200: "All reactions to the message."},
        {
            NotFound: NO_MESSAGE,
            Forbidden: LEFT,
            Conflict: RECALLED._replace(when="The message was recalled, or has as many reactions as it may."),
            **BUSY_NOW,
        },
    ),
    "DELETE /v1/messages/{message_id}/reactions/{key}": Operation(
        CHANGES,
        "Changes nothing if you have not reacted so.",
        {200: "All reactions to the message."},
        {NotFound: NO_MESSAGE, Forbidden: LEFT, Conflict: RECALLED, **BUSY_NOW},
    ),
    "PUT /v1/messages/{message_id}/pin": Operation(
        CHANGES,
        "In a group, its owner and admins pin messages; in a direct conversation, both people. A "
        "conversation has 100 pinned messages at the most. The members get a `pin` entry.",
        {200: "The message is pinned."},
        {
            NotFound: NO_MESSAGE,
            Forbidden: NO_ADMIN,
            Conflict: RECALLED._replace(when="The message was recalled, or 100 messages are pinned."),
            **BUSY_NOW,
        },
    ),
    "DELETE /v1/messages/{message_id}/pin": Operation(
        CHANGES,
        "Whoever may pin may take a pin away. The members get a `pin` entry.",
        {200: "The message is not pinned."},
        {NotFound: NO_MESSAGE, Forbidden: NO_ADMIN, Conflict: RECALLED, **BUSY_NOW},
    ),
    "GET /v1/messages/{message_id}/readers": Operation(
        MESSAGES,
        "The members whose read mark has reached the message. Its sender may ask, in groups of up to 100 "
        "members.",
        {200: "Who has read it."},
        {
            NotFound: NO_MESSAGE,
            Forbidden: Refusal(
                "You did not send the message.", "Only the sender sees who has read a message.", "message_id"
            ),
            TooLarge: Refusal(
                "The group has more than 100 members.",
                "Readers are told in groups of up to 100 members.",
                "message_id",
            ),
        },
    ),
    "GET /v1/sync": Operation(
        INBOX,
        "Every message that reaches a user has a number in their inbox: 1, 2, 3 and so on, without a gap. "
        "Your own messages are among them, so that your other devices get them, and so are changes of "
        "messages and of your own state: the `type` of an entry says what it carries. Begin with cursor 0. "
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
        {NotFound: NO_SUCH_ME},
    ),
    "PATCH /v1/me": Operation(
        PEOPLE,
        "`last_seen` says who sees whether you are online, and when you last were: `everyone`, `contacts` or "
        "`nobody`. Contacts are people with whom you have a direct conversation. It holds both ways. "
        "You see of others no more than they see of you. What you leave out stays as it is.",
        {200: "Your name and settings as they are now."},
        {NotFound: NO_SUCH_ME},
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
            TooLarge: GROUP_FULL._replace(
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
    "GET /v1/snapshot": Operation(
        CONVERSATIONS,
        "Each page of the list with the newest messages of each conversation: what a new device shows before "
        "it has the whole history. Then it syncs from `head` of the first page. A conversation that existed "
        "at the first page is on exactly one page.",
        {200: "A page of the snapshot."},
    ),
    "GET /v1/conversations/{conversation_id}": Operation(
        CONVERSATIONS,
        "The id of a direct conversation is `d:`, then both user ids in the order of the alphabet with a "
        "colon between them. The id of a group begins with `g:`.",
        {200: "The conversation."},
        {NotFound: NO_CONVERSATION, Forbidden: NO_MEMBER},
    ),
    "PUT /v1/conversations/{conversation_id}/read": Operation(
        CONVERSATIONS,
        "The mark only moves forward. Your other devices get a `read` entry, and the other one of a direct "
        "conversation a `receipt`. A `seq` behind the mark leaves it, and still ends the mark as unread.",
        {200: "Where your read mark stands, and what is unread."},
        {**NO_VISITOR, **BUSY_NOW},
    ),
    "PUT /v1/conversations/{conversation_id}/unread": Operation(
        CONVERSATIONS,
        "Reminds you to come back: `marked_unread` is true until you read again, on all of your devices.",
        {200: "Where your read mark stands, and what is unread."},
        {**NO_VISITOR, **BUSY_NOW},
    ),
    "PATCH /v1/conversations/{conversation_id}/me": Operation(
        CONVERSATIONS,
        "What you give is changed, and the rest stays. Your other devices get a `settings` entry. Null ends "
        "a mute and removes a draft.",
        {200: "Your own part in the conversation."},
        {
            **NO_VISITOR,
            TooLarge: Refusal(
                "The request or the draft is too large.", "A draft may have 4000 bytes of UTF-8.", "draft"
            ),
            **BUSY_NOW,
        },
    ),
    "GET /v1/conversations/{conversation_id}/pins": Operation(
        CONVERSATIONS,
        "The message that was pinned last comes first.",
        {200: "The pinned messages that you can read."},
        NO_VISITOR,
    ),
    "PATCH /v1/conversations/{conversation_id}": Operation(
        CONVERSATIONS,
        "Only the owner of a group may do this." + _YOUR_GROUP,
        {200: "The conversation with its new title."},
        {NotFound: NO_CONVERSATION, Forbidden: NO_OWNER},
    ),
    "PUT /v1/conversations/{conversation_id}/members/{user_id}": Operation(
        CONVERSATIONS,
        "Only the owner of a group may do this. The new member receives every message that is sent after "
        "the answer. A repetition changes nothing." + _YOUR_GROUP,
        {200: "The conversation with its present members."},
        {
            NotFound: Refusal("There is no such conversation or user.", "There is no user bob.", "user_id"),
            Forbidden: NO_OWNER,
            Conflict: BUSY,
            TooLarge: GROUP_FULL,
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
            Forbidden: NO_OWNER._replace(
                when="You are neither the owner nor the member, or the conversation is a direct one."
            ),
            Conflict: BUSY,
        },
    ),
}
"""By `Route.name`."""
