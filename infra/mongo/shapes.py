"""The shape of the documents of each collection, for a check of a database that may be damaged.

`docs/data-model.md` says what the fields mean.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from domain.conversations import ConversationKind, Role
from domain.entries import OwnType, RecordType
from domain.presence import Audience
from infra.mongo.terms import Document


class _Place(Struct):
    c: str
    q: int


class _Edit(Struct, rename={"revs": "l"}):
    r: int
    b: bytes
    at: str
    revs: list[int]
    n: list[str]


class _Recall(Struct):
    r: int
    by: str
    at: str


class _Reactions(Struct):
    v: int = 0
    r: int = 0
    k: list[tuple[str, list[str]]] = []


class _Pin(Struct):
    r: int
    on: bool
    by: str


class _Message(Struct, rename={"id": "_id"}):
    id: _Place
    f: str
    k: bytes
    h: bytes
    m: bytes
    t: Literal[RecordType, OwnType] | None = None
    g: int = 0
    v: bytes | None = None
    e: _Edit | None = None
    x: _Recall | None = None
    a: _Reactions | None = None
    p: _Pin | None = None
    n: list[str] | None = None
    hid: list[str] | None = None
    ad: int | None = None


class _Number(Struct):
    u: str
    s: int


class _Line(Struct, rename={"id": "_id"}):
    id: _Number
    c: str
    q: int


class _User(Struct, rename={"id": "_id"}):
    id: str
    name: str | None
    at: int
    told: int | None = None
    last_seen: Audience | None = None
    seen: int | None = None


class _DeviceId(Struct):
    u: str
    d: str


class _Device(Struct, rename={"id": "_id", "device_class": "class"}):
    id: _DeviceId
    cursor: int
    at: int | None = None
    device_class: str | None = None


class _Conversation(Struct, rename={"id": "_id"}):
    id: str
    kind: ConversationKind
    title: str | None
    at: int
    ver: int
    floor: int
    owner: str | None = None


class _MemberId(Struct):
    c: str
    u: str


class _Field(Struct):
    v: str | int | bool | None
    r: int


class _Member(Struct, rename={"id": "_id"}):
    id: _MemberId
    r: Role
    w: list[tuple[int, int | None]]
    read: int
    rat: int | None = None
    own: dict[str, _Field] | None = None
    sv: int | None = None


class _Row(Struct, rename={"id": "_id"}):
    id: _Place
    k: bytes
    at: int
    r: list[tuple[str, int]]
    o: str | None = None
    s: Literal[1] | None = None


SHAPES: dict[str, Any] = {
    "users": _User,
    "devices": _Device,
    "conversations": _Conversation,
    "members": _Member,
    "messages": _Message,
    "timelines": _Line,
    "outbox": _Row,
}


def misfit(collection: str, document: Document) -> str | None:
    """What is wrong with the shape of a document, as text behind a colon. None if nothing is.

    Fields that no version knows are no fault.
    """
    try:
        msgspec.convert(document, SHAPES[collection], builtin_types=(bytes,))
    except (msgspec.ValidationError, TypeError) as error:
        said = str(error).replace("Object missing required field", "it lacks the field").rstrip(".")
        return said[:1].lower() + said[1:]
    return None
