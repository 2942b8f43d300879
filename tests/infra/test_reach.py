from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infra.local.ports import free_port
from infra.reach import Target, obstacle, targets
from infra.settings import Settings
from infra.tls import TlsFiles
from tests.certificates import Authority

NAME = "RINGPOST_KAFKA_BOOTSTRAP"


@asynccontextmanager
async def listening(context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server that takes a connection and hangs up."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        server.close()
        await server.wait_closed()


def with_certificate(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.sign("server").whole)
    return context


async def test_server_that_is_there_is_no_obstacle_beside_one_that_is_not():
    async with listening() as address:
        assert await obstacle(Target(NAME, address, None)) == ""
        assert await obstacle(Target(NAME, f"127.0.0.1:{free_port()},{address}", None)) == ""


async def test_port_on_which_nothing_listens_is_named():
    address = f"127.0.0.1:{free_port()}"
    assert await obstacle(Target(NAME, address, None)) == f"Nothing listens on {address} in {NAME}."


async def test_name_that_does_not_resolve_is_told_with_its_setting():
    said = await obstacle(Target(NAME, "nowhere.invalid:9092", None))
    assert said == f"The host nowhere.invalid in {NAME} is not known: its name does not resolve."


async def test_certificate_is_an_obstacle_unless_its_authority_is_trusted(tmp_path):
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    async with listening(with_certificate(theirs)) as address:
        said = await obstacle(Target(NAME, address, TlsFiles(str(ours.file))))
        assert said.startswith(f"The certificate of {address} in {NAME} is not trusted: ")
        assert await obstacle(Target(NAME, address, TlsFiles(str(theirs.file)))) == ""


async def test_server_without_tls_is_told():
    async with listening() as address:
        said = await obstacle(Target(NAME, address, TlsFiles()))
        assert said == f"{address} in {NAME} does not speak TLS, or asks for a certificate."


@pytest.fixture
def certificate(tmp_path):
    return Authority(tmp_path).sign("client")


def test_files_of_mongo_are_those_of_its_url(certificate, monkeypatch):
    monkeypatch.delenv("RINGPOST_MONGO_URL", raising=False)

    def files(options):
        return targets(Settings({"mongo": {"url": f"mongodb://h/?{options}"}}))[0].files

    assert files("replicaSet=rs0") is None
    assert files("tls=true") == TlsFiles()
    assert files("ssl=true&tlsCAFile=%2Fca.pem") == TlsFiles("/ca.pem")
    whole = str(certificate.whole)
    assert files(f"tls=true&tlsCertificateKeyFile={whole}") == TlsFiles("", whole, whole)
