"""The introduction, with the figures and the error table that the code gives."""

from __future__ import annotations

from importlib.resources import files

from api.description.refusals import error_table
from domain.messages import BODY_LIMIT_BYTES
from infra.settings import GatewaySettings


def introduction() -> str:
    """Markdown."""
    text = files("api.description").joinpath("introduction.md").read_text(encoding="utf-8")
    kinds = {kind: limit for kind, limit in BODY_LIMIT_BYTES.items() if kind != "system"}
    figures = {
        "errors": error_table(),
        "body_limits": ", ".join(f"`{kind}` {limit:,}" for kind, limit in kinds.items()),
        "hello_s": f"{GatewaySettings.model_fields['hello_timeout_s'].default:g}",
    }
    for name, value in figures.items():
        text = text.replace("{" + name + "}", value)
    return text


DEVICE_TOKEN = (
    "**A token of one device.** Every call needs it, apart from those under *Users and tokens*. Your server "
    "gets it from `POST /v1/tokens`. To try things out, `.venv/bin/ringpost token ann phone --create-user` "
    "prints one. Paste the token alone, without the word Bearer."
)
ADMIN_KEY = (
    "**The key of your application's server.** The calls under *Users and tokens* need it. It is "
    "`RINGPOST_ADMIN_KEY`; if you set none, `make up` prints the one that it made. Paste the key alone, "
    "without the word Bearer. Never give it to a device."
)
