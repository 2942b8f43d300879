"""The driver, behind the few verbs that the stores use. The only file of the product that names it.

Motor and PyMongo's own asyncio client have the same methods; a setting chooses one. None of their exceptions
leaves this file.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from pymongo import AsyncMongoClient, DeleteMany, ReadPreference, UpdateMany, UpdateOne, WriteConcern
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern

from domain.errors import Internal, Unavailable
from infra.breaker import Breaker
from infra.mongo.terms import Change, Document, Duplicate, Filter, Refused, Write
from infra.mongo.url import refusal
from infra.settings import MongoSettings, SettingsError
from infra.tasks import ended

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIONS_AT_ONCE = 128
"""Far below what MongoDB allows in one read."""

SHARDED = "sharded cluster"
_READ_ENDED = {43, 237, 11601}  # a restart ends the cursor of a read that has begun
_NOT_YET = {133, 134}  # right after a start there is no server to read from, or no majority
_STOPPING = {11600, 11602, 10107, 13435, 13436, 189, 91, 7, 6, 89, 9001, 262, 50, 64, 112}
_TRANSIENT_CODES = _STOPPING | _READ_ENDED | _NOT_YET

SIGN_IN_REFUSED = 18
CUT_OFF_S = 0.1
_REFUSED = {
    13: "MongoDB does not allow this to the user of Ringpost. `ringpost doctor` says which right is missing.",
    SIGN_IN_REFUSED: "MongoDB refuses the user or the password in RINGPOST_MONGO_URL.",
}


def _by_id(details: Mapping[str, Any] | None) -> bool:
    return list((details or {}).get("keyPattern", {})) == ["_id"]


def _unavailable(error: PyMongoError) -> bool:
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WTimeoutError | WriteConcernError):
        return True
    transient = getattr(error, "code", None) in _TRANSIENT_CODES
    return error.timeout or transient or error.has_error_label("RetryableWriteError")


@contextmanager
def _translated(breaker: Breaker, *, at_once: bool = True) -> Iterator[None]:
    """Driver errors become Duplicate, Unavailable (may work later) or Internal (a fault of the product).

    `at_once`: Unavailable without a try while the breaker is open.
    """
    if at_once:
        breaker.check()
    try:
        yield
    except DuplicateKeyError as error:
        raise Duplicate(_by_id(error.details)) from None
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code in _REFUSED:
            # A refused sign-in cuts off all connections. The driver then tries again what was on its way, so
            # what ends with this error may have been done at the first try.
            signing_in = error.code == SIGN_IN_REFUSED
            refused = Unavailable(_REFUSED[error.code], nothing_done=not signing_in)
            if signing_in:
                breaker.open(refused)
            raise refused from error
        if isinstance(error, ConfigurationError):  # `mongodb+srv` asks DNS when it connects
            raise Unavailable(
                "RINGPOST_MONGO_URL cannot be used: DNS does not have its host, or has a wrong answer."
            ) from error
        if _unavailable(error):
            unavailable = Unavailable("The message store does not answer.")
            if isinstance(error, ConnectionFailure):
                breaker.open(unavailable)
            raise unavailable from error
        raise Internal(f"The message store refused an operation: {type(error).__name__}.") from error


class Collection:
    """One collection. Writes are acknowledged by a majority and journaled, reads see only such writes.

    Every verb raises Unavailable within the timeout of the settings when the store does not answer, and at
    once while it is known not to (see `Breaker`). A write may then have happened or not, unless the error
    says `nothing_done`.
    """

    def __init__(self, handle: Any, breaker: Breaker) -> None:
        self._handle = handle
        self._breaker = breaker

    async def insert(self, document: Document) -> None:
        """Raises Duplicate when a unique index refuses it."""
        with _translated(self._breaker):
            await self._handle.insert_one(document)

    async def insert_many(self, documents: Sequence[Document], *, ordered: bool) -> list[Refused]:
        """Returns what unique indexes refused. Ordered: it stops there. All documents before it are in, none
        after it.
        """
        with _translated(self._breaker):
            try:
                await self._handle.insert_many(documents, ordered=ordered)
            except BulkWriteError as error:
                return self._refused(error.details)
        return []

    @staticmethod
    def _refused(details: Mapping[str, Any]) -> list[Refused]:
        failures = details["writeErrors"]
        if any(failure["code"] != 11000 for failure in failures):
            codes = {failure["code"] for failure in failures}
            if codes - {11000} <= _TRANSIENT_CODES:
                raise Unavailable("The message store did not take a write.")
            raise Internal(f"The message store refused a write: codes {sorted(codes)}.")
        if details.get("writeConcernErrors"):
            raise Unavailable("The message store could not make a write durable in time.")
        return [Refused(failure["index"], _by_id(failure)) for failure in failures]

    async def find(
        self, where: Filter, fields: Sequence[str] | None = None, *, descending: bool = False, limit: int = 0
    ) -> list[Document]:
        """Matching documents by `_id`; all of them when `limit` is 0."""
        cursor = self._handle.find(where, fields, batch_size=limit or 0).sort("_id", -1 if descending else 1)
        with _translated(self._breaker):
            found: list[Document] = await cursor.limit(limit).to_list(None)
        return found

    async def find_any_order(
        self, where: Filter, fields: Sequence[str] | None = None, limit: int = 0
    ) -> list[Document]:
        """Matching documents, in no particular order; all of them when `limit` is 0."""
        with _translated(self._breaker):
            found: list[Document] = await self._handle.find(where, fields).limit(limit).to_list(None)
        return found

    async def find_each(self, ids: Sequence[Any], fields: Sequence[str]) -> list[Document]:
        """The documents with these ids, in any order, each looked up on its own.

        For a clustered collection: there MongoDB answers `{_id: {$in: …}}` by reading the whole collection.
        """
        each = {"from": self._handle.name, "localField": "_id", "foreignField": "_id", "as": "found"}
        pipeline = [
            {"$documents": [{"_id": {"$literal": one}} for one in ids]},
            {"$lookup": each},
            {"$unwind": "$found"},
            {"$replaceWith": "$found"},
            {"$project": dict.fromkeys(fields, 1)},
        ]
        return await self._aggregated(self._handle.database, pipeline)

    async def aggregate(self, pipeline: Sequence[Any]) -> list[Document]:
        """What the pipeline makes of the collection."""
        return await self._aggregated(self._handle, pipeline)

    async def aggregate_each(self, pipelines: Sequence[Sequence[Any]]) -> list[Document]:
        """What all of these pipelines give, one after the other, in few reads."""
        found: list[Document] = []
        for start in range(0, len(pipelines), UNIONS_AT_ONCE):
            first, *others = pipelines[start : start + UNIONS_AT_ONCE]
            unions = [{"$unionWith": {"coll": self._handle.name, "pipeline": one}} for one in others]
            found += await self._aggregated(self._handle, [*first, *unions])
        return found

    async def _aggregated(self, source: Any, pipeline: Sequence[Any]) -> list[Document]:
        with _translated(self._breaker):
            cursor = source.aggregate(pipeline)
            if isawaitable(cursor):  # Motor has it at once
                cursor = await cursor
            found: list[Document] = await cursor.to_list(None)
        return found

    async def find_one(self, where: Filter, fields: Sequence[str] | None = None) -> Document | None:
        with _translated(self._breaker):
            found: Document | None = await self._handle.find_one(where, fields)
        return found

    async def count(self, where: Filter, limit: int = 0) -> int:
        """How many match. Stops counting at `limit` unless it is 0."""
        options = {"limit": limit} if limit else {}
        with _translated(self._breaker):
            counted: int = await self._handle.count_documents(where, **options)
        return counted

    async def estimate(self) -> int:
        """How many documents there are, by the collection's own count. This may be off after a crash."""
        with _translated(self._breaker):
            counted: int = await self._handle.estimated_document_count()
        return counted

    async def update(self, where: Filter, change: Change, *, upsert: bool = False) -> int:
        """Change the first match. Returns how many matched or were put in. Raises Duplicate."""
        with _translated(self._breaker):
            result = await self._handle.update_one(where, change, upsert=upsert)
        return int(result.matched_count) + (result.upserted_id is not None)

    async def update_many(self, where: Filter, change: Filter) -> int:
        """Change all matches. Returns how many were changed."""
        with _translated(self._breaker):
            result = await self._handle.update_many(where, change)
        return int(result.modified_count)

    async def change_each(self, writes: Sequence[Write]) -> None:
        """Do all of them, in order and in few round trips. Each is durable when it returns."""
        if not writes:
            return
        operations: list[Any] = []
        for where, change, upsert in writes:
            if change is None:
                operations.append(DeleteMany(where))
            elif upsert:
                operations.append(UpdateOne(where, change, upsert=True))
            else:
                operations.append(UpdateMany(where, change))
        with _translated(self._breaker):
            try:
                await self._handle.bulk_write(operations)
            except BulkWriteError as error:
                self._refused(error.details)
                raise

    async def find_and_update(
        self, where: Filter, change: Filter, *, upsert: bool = False
    ) -> Document | None:
        """Change the first match. Returns it as it is afterwards."""
        with _translated(self._breaker):
            found: Document | None = await self._handle.find_one_and_update(
                where, change, upsert=upsert, return_document=True
            )
        return found

    async def delete_many(self, where: Filter) -> int:
        with _translated(self._breaker):
            result = await self._handle.delete_many(where)
        return int(result.deleted_count)

    async def indexes(self) -> dict[str, Document]:
        """Index name → its description."""
        with _translated(self._breaker):
            found: dict[str, Document] = await self._handle.index_information()
        return found

    async def create_index(self, name: str, keys: Sequence[tuple[str, int]], **options: Any) -> None:
        with _translated(self._breaker):
            await self._handle.create_index(list(keys), name=name, **options)


class Database:
    """One database of one client."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.breaker = Breaker("mongo", self.ping)
        self._sharded: bool | None = None
        self._pinging: asyncio.Task[str] | None = None
        self._handle = client[name].with_options(
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    def collection(self, name: str) -> Collection:
        return Collection(self._handle.get_collection(name), self.breaker)

    async def collection_names(self) -> list[str]:
        with _translated(self.breaker, at_once=False):
            names: list[str] = await self._handle.list_collection_names()
        return names

    async def create_collection(self, name: str, *, clustered: bool) -> None:
        """Does nothing if it exists already. Clustered: stored in the order of `_id`."""
        options = {"clusteredIndex": {"key": {"_id": 1}, "unique": True}} if clustered else {}
        with _translated(self.breaker, at_once=False):
            try:
                await self._handle.command({"create": name, **options})
            except PyMongoError as error:
                if getattr(error, "code", None) != 48:  # NamespaceExists
                    raise

    async def ping(self) -> str:
        """The server's version. Unavailable when it does not answer. Callers at the same time share a try."""
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.create_task(self._ping())
        return await asyncio.shield(self._pinging)

    async def _ping(self) -> str:
        with _translated(self.breaker, at_once=False):
            try:
                await self._client.admin.command("ping")
            except ServerSelectionTimeoutError:
                raise
            except AutoReconnect:  # perhaps the server refused the user of another call: then all are cut off
                await asyncio.sleep(CUT_OFF_S)
                self.breaker.check()
                await self._client.admin.command("ping")
            info = await self._client.admin.command("buildInfo")
        return str(info["version"])

    async def aclose(self) -> None:
        """Close the client. Nothing may run any more."""
        await self.breaker.aclose()
        if self._pinging is not None:
            await ended([self._pinging])
        closing = self._client.close()
        if closing is not None:
            await closing

    async def is_sharded(self) -> bool:
        """Whether one insert may be split. It asks once."""
        if self._sharded is None:
            self._sharded = await self.topology() == SHARDED
        return self._sharded

    async def topology(self) -> str:
        """`replica set NAME`, `sharded cluster` or `standalone` (which cannot keep the promises)."""
        with _translated(self.breaker, at_once=False):
            hello = await self._client.admin.command("hello")
        if hello.get("msg") == "isdbgrid":
            return SHARDED
        return f"replica set {hello['setName']}" if "setName" in hello else "standalone"

    async def privileges(self) -> list[Document] | None:
        """What the user may do, as MongoDB lists it; None if this server asks nobody for a user."""
        with _translated(self.breaker, at_once=False):
            status = await self._client.admin.command("connectionStatus", showPrivileges=True)
        auth = status["authInfo"]
        if not auth["authenticatedUsers"] and await self._open_to_all():
            return None
        return list(auth["authenticatedUserPrivileges"])

    async def _open_to_all(self) -> bool:
        try:
            await self.collection_names()
        except Unavailable:
            return False
        return True

    async def drop(self) -> None:
        """Remove the database and all it holds."""
        with _translated(self.breaker, at_once=False):
            await self._client.drop_database(self._handle.name)


@asynccontextmanager
async def open_database(settings: MongoSettings) -> AsyncIterator[Database]:
    """A client for the length of the block. It connects on first use. SettingsError for a bad URL."""
    milliseconds = round(settings.timeout_s * 1000)
    options: dict[str, Any] = {
        "timeoutMS": milliseconds,
        "serverSelectionTimeoutMS": milliseconds,
        "appname": "ringpost",
        "retryWrites": True,
    }
    try:
        with warnings.catch_warnings():  # the driver only warns of an option that it then leaves out
            warnings.simplefilter("error", UserWarning)
            client = _client(settings, options)
    except (ConfigurationError, InvalidURI, ValueError, OSError, UserWarning) as error:
        raise SettingsError(f"RINGPOST_MONGO_URL {refusal(settings.url, error)}.") from None
    database = Database(client, settings.database)
    try:
        yield database
    finally:
        await database.aclose()


def _client(settings: MongoSettings, options: dict[str, Any]) -> Any:
    if settings.driver == "pymongo":
        return AsyncMongoClient(settings.url, **options)
    from motor.motor_asyncio import AsyncIOMotorClient

    return AsyncIOMotorClient(settings.url, **options)
