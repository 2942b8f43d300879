"""TLS of a client: whom it trusts, and how it proves who it is."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple


class TlsFiles(NamedTuple):
    """Paths of PEM files; empty means none. Without `ca` it trusts the authorities that the system trusts."""

    ca: str = ""
    cert: str = ""
    key: str = ""


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Checks the server's certificate and name. ValueError says which file cannot be used, and why."""
    for path in filter(None, files):
        _readable(path)
    try:
        context = ssl.create_default_context(cafile=files.ca or None)
    except ssl.SSLError:
        raise ValueError(f"the file {files.ca} holds no certificate in the PEM format") from None
    if files.cert:
        try:
            context.load_cert_chain(files.cert, files.key or None, password="")
        except ssl.SSLError:
            raise ValueError(
                f"the files {files.cert} and {files.key or files.cert} are not a certificate and its key "
                "in the PEM format, the key without a password"
            ) from None
    return context


def _readable(path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from None
