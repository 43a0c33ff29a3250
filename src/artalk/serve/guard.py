"""Who may come in: the right host name, the right page, the right token."""

import hmac
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from artalk.serve.settings import Settings

log = logging.getLogger(__name__)

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Whoever comes back after an upgrade is not to get old parts of the page beside new ones.
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'self'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; media-src 'self' blob: data:; "
        "connect-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
}


def token_fits(settings: Settings, offered: str) -> bool:
    """Whether the token is right, in a time that does not tell how much of it is."""
    return not settings.token or hmac.compare_digest(offered.encode(), settings.token.encode())


def bearer(headers: Headers) -> str:
    """The token in an Authorization header, or ""."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


class Guard:
    """Refuses strange hosts (against DNS rebinding), strange pages (against forged requests) and wrong tokens.

    A live socket is let through without a token where it brings none: its `Hello` may.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal is None:
            return await self.app(scope, receive, send)
        await refuse(scope, receive, send, *refusal)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        host = headers.get("host", "").lower()
        if self.settings.local and _name(host) not in (*LOCAL_NAMES, self.settings.host.lower()):
            return 403, "strange_host", "this server answers to localhost only"
        origin = headers.get("origin")
        if origin is not None and origin not in self.settings.origins and _place(origin) != host:
            return 403, "strange_origin", "this page may not use this server; its owner can allow it by --origin"
        if scope["type"] == "http" and _needs_token(scope["path"]) and not token_fits(self.settings, bearer(headers)):
            return 401, "wrong_token", "this server wants a token: Authorization: Bearer TOKEN"
        return None


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, code: str, message: str) -> None:
    """Say no, and why, to a request or to a socket that is not open yet."""
    if scope["type"] == "websocket":
        headers = Headers(scope=scope)
        said = {name: headers[name][:100] for name in ("host", "origin") if name in headers}
        log.info("socket refused", extra={"code": code, "path": scope["path"][:100], **said})
        if "websocket.http.response" not in scope.get("extensions", {}):
            return await send({"type": "websocket.close", "code": 1008, "reason": message})
    await JSONResponse({"code": code, "message": message}, status)(scope, receive, send)


def _needs_token(path: str) -> bool:
    return path.startswith("/v1/") or path == "/metrics"


def _place(origin: str) -> str | None:
    """Host and port of an origin; None where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _name(host: str) -> str:
    """The host without its port."""
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
