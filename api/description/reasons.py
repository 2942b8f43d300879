"""Why calls are refused, in words that several of them share."""

from __future__ import annotations

from api.description.refusals import REFUSALS, Refusal, Refusals
from domain.errors import Forbidden, NotFound, Overloaded, Unauthenticated

NO_KEY = {
    Unauthenticated: Refusal("There is no admin key, or it is wrong.", "The admin key is wrong."),
    Forbidden: Refusal(
        "A device's token was given; this call needs the admin key.",
        "This call needs the admin key, not a device's token.",
    ),
}
NO_CONVERSATION = Refusal(
    "There is no such conversation.", "There is no such conversation.", "conversation_id"
)
NO_MEMBER = Refusal(
    "You were never a member of the conversation.",
    "You are not a member of this conversation.",
    "conversation_id",
)
NO_OWNER = Refusal(
    "You are not the owner of the group, or the conversation is a direct one.",
    "Only the owner of a group may change it.",
    "conversation_id",
)
NO_ADMIN = Refusal(
    "You are neither the owner nor an admin of the group, or have left.",
    "Only admins and the owner of a group pin messages.",
    "message_id",
)
NO_SUCH_ME = Refusal("The user of the token does not exist.", "There is no user ann.", "user_id")
BUSY = Refusal(
    "Others changed the members at the same moment. Send the request again.",
    "Others are changing the members of this conversation. Send the request again.",
    "user_id",
)
GROUP_FULL = Refusal(
    "The group would have more members than it may.", "A group may have 1000 members.", "user_id"
)
NO_MESSAGE = Refusal(
    "There is no such message, or you cannot read it.", "There is no such message.", "message_id"
)
RECALLED = Refusal("The message was recalled.", "The message was recalled.", "message_id")
LEFT = Refusal(
    "You are no longer a member of the conversation.",
    "You are no longer a member of this conversation.",
    "conversation_id",
)
NO_VISITOR: Refusals = {NotFound: NO_CONVERSATION, Forbidden: NO_MEMBER}
BUSY_NOW: Refusals = {Overloaded: REFUSALS[Overloaded]}
