"""`GET /v1/connect`: hello, welcome, then frames in both directions until one side leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.caller import Callers
from api.drafts import draft_of
from api.gateway.frames import (
    REASONS,
    Ack,
    ClientFrame,
    Close,
    Hello,
    Ping,
    Send,
    error_frame,
    frame,
    ref_of_send,
)
from api.gateway.hub import Hub
from api.gateway.session import Session
from api.strict import read_json
from api.sync import Sync
from domain.devices import Device
from domain.errors import BadRequest, CursorAhead, RingpostError, TooLarge, Unauthenticated
from domain.limits import FRAME_BYTES
from infra.mongo.accounts import AccountStore
from infra.tasks import ended
from infra.telemetry.names import CLOSED
from producers.send import Sender


class _Ended(Exception):
    """Closes the connection with this code."""

    def __init__(self, code: Close) -> None:
        super().__init__(code)
        self.code = code


class Gateway:
    """Accepts sockets. It stores nothing: a device finds what it missed in its inbox."""

    def __init__(
        self,
        callers: Callers,
        hub: Hub,
        sync: Sync,
        sender: Sender,
        accounts: AccountStore,
    ) -> None:
        self._callers = callers
        self._hub = hub
        self._sync = sync
        self._sender = sender
        self._accounts = accounts
        self._settings = hub.settings

    async def connect(self, socket: WebSocket) -> None:
        """One connection, from its acceptance to its end."""
        await socket.accept()
        with suppress(WebSocketDisconnect):
            try:
                device, cursor = await self._hello(socket)
                await self._serve(socket, device, cursor)
            except _Ended as ended:
                CLOSED.labels(str(int(ended.code))).inc()
                await socket.close(ended.code, REASONS[ended.code])

    async def _hello(self, socket: WebSocket) -> tuple[Device, int | None]:
        try:
            text = await asyncio.wait_for(self._receive(socket), self._settings.hello_timeout_s)
        except TimeoutError:
            raise _Ended(Close.NO_HELLO) from None
        try:
            hello: object = read_json(text, ClientFrame)
        except BadRequest as error:
            await socket.send_text(error_frame(error))
            raise _Ended(Close.BAD_FRAME) from None
        if not isinstance(hello, Hello):
            raise _Ended(Close.NO_HELLO)
        try:
            if hello.token is not None:
                return self._callers.device_of_token(hello.token), hello.cursor
            return self._callers.device(socket.headers.get("authorization")), hello.cursor
        except Unauthenticated as error:
            await socket.send_text(error_frame(error))
            raise _Ended(Close.UNAUTHENTICATED) from None

    async def _serve(self, socket: WebSocket, device: Device, cursor: int | None) -> None:
        session = Session(device, self._sync, socket.send_text, socket.close, self._settings.queue_bytes)
        writing = asyncio.create_task(session.run_writer())
        try:
            await self._hub.join(session)
            await self._welcome(session, cursor)
            await self._read(socket, session)
        except _Ended as reason:
            session.close(reason.code)
            await writing
        except RingpostError as error:
            session.put(error_frame(error))
            session.close(Close.GOING_AWAY)
            await writing
        finally:
            self._hub.leave(session)
            await ended([writing])

    async def _welcome(self, session: Session, cursor: int | None) -> None:
        """Sends `welcome`. Entries beyond its head are pushed to us, as `Hub.join` explains."""
        device = session.device
        if cursor is None:
            cursor = await self._accounts.cursor(device.user_id, device.device_id)
        head = await self._sync.head(device.user_id, cursor)
        if cursor > head:
            session.put(
                error_frame(CursorAhead(f"The cursor is ahead of the inbox, which ends at {head}.", "cursor"))
            )
            raise _Ended(Close.BAD_FRAME)
        session.put(
            frame(
                "welcome",
                session_id=session.session_id,
                user_id=device.user_id,
                device_id=device.device_id,
                cursor=cursor,
                head=head,
                heartbeat_s=self._settings.heartbeat_s,
            )
        )
        session.start(cursor, head)

    async def _read(self, socket: WebSocket, session: Session) -> None:
        """Handles the frames of the device one after the other, so that its sends keep their order. It ends
        by an exception.
        """
        while True:
            await self._on_frame(session, await self._receive(socket))

    async def _on_frame(self, session: Session, text: str) -> None:
        ref = None
        try:
            if len(text) > FRAME_BYTES or len(text.encode()) > FRAME_BYTES:
                ref = ref_of_send(text)
                raise TooLarge(f"A frame may have {FRAME_BYTES} bytes.")
            got: object = read_json(text, ClientFrame)
            match got:
                case Send():
                    ref = got.ref
                    session.put(await self._send(session.device, got))
                case Ack():
                    await self._acknowledge(session, got.cursor)
                case Ping():
                    session.put(frame("pong", **({} if got.ref is None else {"ref": got.ref})))
                case Hello():
                    raise BadRequest("`hello` is the first frame, and is sent once.", "type")
        except BadRequest as error:
            ref = ref if ref is not None else ref_of_send(text)
            session.put(error_frame(error, ref))
            if ref is None:
                raise _Ended(Close.BAD_FRAME) from None
        except RingpostError as error:
            session.put(error_frame(error, ref))

    async def _send(self, device: Device, got: Send) -> str:
        draft, to = draft_of(device, got)
        sent = (await self._sender.send(draft, to)).sent
        return frame("sent", ref=got.ref, **msgspec.structs.asdict(sent))

    async def _acknowledge(self, session: Session, cursor: int) -> None:
        device = session.device
        if cursor > session.sent and cursor > (head := await self._sync.head(device.user_id, cursor)):
            raise CursorAhead(f"The cursor is ahead of the inbox, which ends at {head}.", "cursor")
        await self._accounts.acknowledge(device.user_id, device.device_id, cursor)

    async def _receive(self, socket: WebSocket) -> str:
        """The next text frame. A binary frame is a bad frame."""
        got = await socket.receive()
        if got["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(got.get("code", 1005), got.get("reason"))
        text: str | None = got.get("text")
        if text is None:
            raise _Ended(Close.BAD_FRAME)
        return text
