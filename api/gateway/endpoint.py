"""`GET /v1/connect`: hello, welcome, then frames in both directions until one side leaves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from api.caller import Callers
from api.drafts import draft_of
from api.gateway.connection import Connection
from api.gateway.frames import (
    Ack,
    ClientFrame,
    Close,
    Hello,
    Ping,
    Say,
    Send,
    Watch,
    error_frame,
    frame,
    may_be_lost,
    ref_of_send,
    sent_frame,
)
from api.gateway.hub import Hub
from api.gateway.session import PAGE, Session
from api.gateway.signalling import Signalling
from api.gateway.watches import Watches
from api.socket import SOCKET, SocketProtocol
from api.strict import read_json
from api.sync import Sync
from domain.devices import Device
from domain.errors import BadRequest, CursorAhead, Overloaded, RingpostError, TooLarge, Unauthenticated
from domain.limits import FRAME_BYTES
from infra.mongo.accounts import AccountStore
from infra.telemetry.names import CLOSED
from producers.delivered import Delivered
from producers.send import Sender

PATH = "/v1/connect"
OVERLOADED_PAUSE_S = 0.1
"""A device that was told `overloaded` is heard again after this, so one that does not wait takes no time from
others.
"""


class _Ended(Exception):
    """Closes the connection with this code."""

    def __init__(self, code: Close) -> None:
        super().__init__(code)
        self.code = code


class _Gone(Exception):
    """The device left."""


@dataclass(frozen=True)
class Gateway:
    """Accepts sockets. It stores nothing: a device finds what it missed in its inbox.

    It stands in front of the application with the routes, which gets all requests but those of sockets here.
    """

    _callers: Callers
    _hub: Hub
    _sync: Sync
    _sender: Sender
    _accounts: AccountStore
    _delivered: Delivered
    _signalling: Signalling
    _watches: Watches

    def before(self, app: Any) -> Any:
        """The application, with the gateway in front of it."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket" and scope["path"] == PATH:
                await self.connect(scope, receive, send)
            else:
                await app(scope, receive, send)

        return serve

    async def connect(self, scope: Any, receive: Any, send: Any) -> None:
        """Accept a socket and welcome its device. It returns then, and the socket stays."""
        socket: SocketProtocol = scope["extensions"][SOCKET]
        await receive()
        await send({"type": "websocket.accept"})
        try:
            device, cursor = await self._hello(socket, receive, dict(scope["headers"]))
        except _Gone:
            return
        except _Ended as ended:
            CLOSED.labels(str(int(ended.code))).inc()
            socket.close(ended.code)
            return
        session = Session(device, self._sync, socket, self._hub.settings.queue_bytes)
        connection = Connection(session, socket, self._hub, self._on_frame)
        socket.take_over(connection)
        await self._open(session, cursor)
        connection.opened()

    async def _hello(
        self, socket: SocketProtocol, receive: Any, headers: dict[bytes, bytes]
    ) -> tuple[Device, int | None]:
        try:
            async with asyncio.timeout(self._hub.settings.hello_timeout_s):
                message = await receive()
        except TimeoutError:
            raise _Ended(Close.NO_HELLO) from None
        if message["type"] == "websocket.disconnect":
            raise _Gone
        text = message.get("text")
        if text is None:
            raise _Ended(Close.BAD_FRAME)
        try:
            hello: object = read_json(text, ClientFrame)
        except BadRequest as error:
            socket.write([error_frame(error)])
            raise _Ended(Close.BAD_FRAME) from None
        if not isinstance(hello, Hello):
            raise _Ended(Close.NO_HELLO)
        try:
            if hello.token is not None:
                return self._callers.device_of_token(hello.token), hello.cursor
            authorization = headers.get(b"authorization", b"").decode("latin-1")
            return self._callers.device(authorization), hello.cursor
        except Unauthenticated as error:
            socket.write([error_frame(error)])
            raise _Ended(Close.UNAUTHENTICATED) from None

    async def _open(self, session: Session, cursor: int | None) -> None:
        try:
            if not session.over:
                await self._hub.join(session)
                await self._welcome(session, cursor)
        except RingpostError as error:
            session.put(error_frame(error))
            session.close(Close.BAD_FRAME if isinstance(error, CursorAhead) else Close.GOING_AWAY)
        finally:
            if session.over:
                self._hub.leave(session)

    async def _welcome(self, session: Session, cursor: int | None) -> None:
        """Sends `welcome`. Entries beyond its head are pushed to us, as `Hub.join` explains.

        One read of the ring brings the head and the first entries.
        """
        device = session.device
        if cursor is None:
            cursor = await self._accounts.cursor(device.user_id, device.device_id)
        head, entries = await self._sync.first_page(device.user_id, cursor, PAGE)
        if cursor > head:
            raise CursorAhead(f"The cursor is ahead of the inbox, which ends at {head}.", "cursor")
        session.put(
            frame(
                "welcome",
                session_id=session.session_id,
                user_id=device.user_id,
                device_id=device.device_id,
                cursor=cursor,
                head=head,
                heartbeat_s=self._hub.settings.heartbeat_s,
            )
        )
        session.start(cursor, head, entries)

    async def _on_frame(self, session: Session, data: bytes | None) -> None:
        """Handle one frame of the device. None is a binary frame, which is a bad one."""
        if data is None:
            session.close(Close.BAD_FRAME)
            return
        ref = None
        try:
            if len(data) > FRAME_BYTES:
                ref = ref_of_send(data)
                raise TooLarge(f"A frame may have {FRAME_BYTES} bytes.")
            got: object = read_json(data, ClientFrame)
            ref = got.ref if isinstance(got, Send) else None
            await self._handle(session, got)
        except BadRequest as error:
            ref = ref if ref is not None else ref_of_send(data)
            session.put(error_frame(error, ref))
            if ref is None and not may_be_lost(data):
                session.close(Close.BAD_FRAME)
        except RingpostError as error:
            session.put(error_frame(error, ref))
            if isinstance(error, Overloaded) and not session.over:
                await asyncio.sleep(OVERLOADED_PAUSE_S)

    async def _handle(self, session: Session, got: object) -> None:
        """Do what a frame asks. Raises the error that the device is told."""
        match got:
            case Send():
                draft, to = draft_of(session.device, got)
                session.put(sent_frame(got.ref, (await self._sender.send(draft, to)).sent))
            case Ack():
                await self._acknowledge(session, got.cursor)
            case Ping():
                session.put(frame("pong", got.ref))
            case Say():
                await self._signalling.say(session, got)
            case Watch():
                await self._watches.watch(session, got.user_ids)
            case Hello():
                raise BadRequest("`hello` is the first frame, and is sent once.", "type")

    async def _acknowledge(self, session: Session, cursor: int) -> None:
        device = session.device
        if cursor > session.sent and cursor > (head := await self._sync.head(device.user_id, cursor)):
            raise CursorAhead(f"The cursor is ahead of the inbox, which ends at {head}.", "cursor")
        await self._accounts.acknowledge(device.user_id, device.device_id, cursor)
        self._delivered.acknowledged(device.user_id, cursor)
