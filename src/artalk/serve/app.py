"""The server as an ASGI application, and as a process."""

import asyncio
import json
import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias, get_type_hints

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from artalk import __version__, api, edit
from artalk.errors import ArtalkError, BadAudio, BadInput
from artalk.generators.generator import Generator as Model
from artalk.serve import heap, logs, openapi
from artalk.serve.connection import Connection
from artalk.serve.engine import Engine
from artalk.serve.guard import HEADERS, Guard, refuse
from artalk.serve.metrics import Metrics
from artalk.serve.settings import Limits, Settings
from artalk.serve.work import MEDIA_TYPES, Busy, Order, OutOfTime, Progress, Result, Workshop
from artalk.stream import protocol

log = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page")

MOST_STRANGERS = 64
"""Live sockets besides the sessions: those that have not said hello yet, or have just been refused."""

LAST_ANSWERS = 5
"""Seconds that files which are being worked on are given when the server is told to stop."""

AS_BODY = "send the file's bytes as the body: curl --data-binary @file"

NO_PAGE = (
    "artalk is serving, but this copy has no studio page: build it with Node 20.19 and scripts/build_page, or install "
    "a released wheel, which has it. The live socket is at /v1/live, the HTTP interface described at /openapi.json.\n"
)


News: TypeAlias = "asyncio.Queue[tuple[str, dict[str, Any]]]"
"""What a client is told of the work on its file: names and facts of events."""


async def _no_socket(websocket: WebSocket, code: str, message: str, status: int = 503) -> None:
    await refuse(websocket.scope, websocket.receive, websocket.send, status, code, message)


async def _other_socket(websocket: WebSocket) -> None:
    await _no_socket(websocket, "not_found", "the live socket is at /v1/live", 404)


class Refusal(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Server:
    """What the application's routes share."""

    def __init__(self, settings: Settings, models: Mapping[str, Model] | None = None, page: Path = PAGE) -> None:
        self.settings = settings
        self.models = dict(models or _by_name(api.generator(settings.model)))
        self.metrics = Metrics()
        self.engine = Engine(self.metrics, settings.at_once)
        self.workshop = Workshop(settings.limits, self.models, self.metrics)
        self.ready = False
        self.hurried = False
        """Whether nobody is waited for any more."""
        self._secret = settings.secret.encode() or secrets.token_bytes(32)
        self._connections: set[Connection] = set()
        self.app = Starlette(
            routes=self._routes(page),
            middleware=[
                # A page of another origin may read no answer, not even a refusal, that does not name it.
                Middleware(
                    CORSMiddleware,
                    allow_origins=settings.origins,
                    allow_methods=["GET", "POST"],
                    allow_headers=["authorization", "content-type"],
                ),
                Middleware(Guard, settings=settings),
                Middleware(_Headers),
            ],
            exception_handlers={
                Refusal: _refuse,
                HTTPException: _refuse_http,
                ArtalkError: _refuse_input,
                ClientDisconnect: _gone,
                Exception: _broken,
            },
            lifespan=self._lifespan,
        )

    async def drain(self) -> None:
        """Take no more sessions; those that stand speak their turn out, get their state, and go."""
        self.ready = False
        self._say_what_is_waited_for()
        for connection in list(self._connections):
            connection.drain()
        deadline = asyncio.get_running_loop().time() + self.settings.drain_seconds + 1
        while self._connections and not self.hurried and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)

    def _say_what_is_waited_for(self) -> None:
        if self.hurried:
            return
        if self._connections:
            waits = f"{self.settings.drain_seconds:g} s for turns to end"
        elif self.workshop.taken:
            waits = f"{LAST_ANSWERS} s for files to be finished"
        else:
            return
        log.info(f"stopping: up to {waits}, Ctrl-C again to leave at once")

    # ── routes ──

    def _routes(self, page: Path) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            WebSocketRoute("/v1/live", self._live),
            WebSocketRoute("/{path:path}", _other_socket),
            # Under a mount of their own, so that a wrong method is told from a page's missing file.
            Mount(
                "/v1",
                routes=[
                    Route("/animate", self._animate, methods=["POST"]),
                    Route("/results/{name}", self._result),
                    Route("/info", self._info),
                ],
            ),
            Route("/openapi.json", self._openapi),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
        ]
        if (page / "index.html").is_file():
            return [*routes, Mount("/", StaticFiles(directory=page, html=True))]
        return [*routes, Route("/", _no_page)]

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncGenerator[None]:
        for model in self.models.values():
            await self.engine.warm_up(model)
        self.engine.start()
        self.ready = True
        log.info("ready", extra={"models": ", ".join(self.models)})
        tidying = asyncio.create_task(self._tidy())
        yield
        tidying.cancel()
        await self.drain()
        await self.engine.stop()
        self.workshop.close()

    async def _tidy(self) -> None:
        """Forget results whose time is over, and give back what is free, again and again."""
        while True:
            await asyncio.sleep(heap.EVERY)
            self.workshop.forget_old()
            await asyncio.to_thread(heap.give_back)

    async def _live(self, websocket: WebSocket) -> None:
        if not self.ready:
            return await _no_socket(websocket, "stopping", "the server stops")
        if len(self._connections) >= self.settings.limits.sessions + MOST_STRANGERS:
            return await _no_socket(websocket, "busy", "too many have not said hello yet: try again later")
        connection = Connection(websocket, self.settings, self.engine, self.models, self._secret)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    async def _animate(self, request: Request) -> Response:
        if not self.ready:
            raise Refusal(503, "stopping", "the server stops")
        order = _order(request, self.settings.limits)
        with ExitStack() as place:
            with self.workshop.refusals(order, Refusal):
                if _media_type(request) == "multipart/form-data":
                    raise Refusal(415, "form", f"a sound comes by itself and not in a form: {AS_BODY}")
                order.check(self.settings.limits)
                place.enter_context(self.workshop.place())
                sound = await _body(request, self.settings.limits)
            if "text/event-stream" not in request.headers.get("accept", ""):
                return _file(await _wanted(request, self._make(request, sound, order)))
            news: News = asyncio.Queue()
            work = asyncio.create_task(self._work(request, sound, order, news, place.pop_all()))
            return _News(_events(news), work)

    async def _make(self, request: Request, sound: bytes, order: Order, progress: Progress | None = None) -> Result:
        """The file; bytes that are no sound and came as those of a form are told so."""
        try:
            return await self.workshop.make(sound, order, progress)
        except BadAudio as error:
            # curl calls whatever it sends that, also with --data-binary: what can be read is right.
            if _media_type(request) != "application/x-www-form-urlencoded":
                raise
            raise BadAudio(f"{error}; if it was sent by curl -d, which changes it, {AS_BODY}") from error

    async def _work(self, request: Request, sound: bytes, order: Order, news: News, place: ExitStack) -> None:
        """Tell the progress, then the result or what was wrong."""

        def progress(done: int, total: int) -> None:
            news.put_nowait(("progress", {"done": done, "total": total}))

        with place:
            try:
                result = await self._make(request, sound, order, progress)
                url = f"/v1/results/{self.workshop.keep(result)}"
                facts = {"url": url, "bytes": len(result.data), "frames": result.frames, "seconds": result.seconds}
                news.put_nowait(("result", facts))
            except ArtalkError as error:
                news.put_nowait(("error", {"code": _code(error)[1], "message": str(error)}))
            except Exception:
                log.exception("a file failed")
                news.put_nowait(("error", {"code": "failed", "message": "this failed; the server's log says why"}))

    async def _result(self, request: Request) -> Response:
        result = self.workshop.kept(request.path_params["name"])
        if result is None:
            raise Refusal(404, "no_result", "there is no result of that name any more")
        return _file(result)

    async def _info(self, request: Request) -> Response:
        limits = self.settings.limits
        return JSONResponse(
            {
                "version": __version__,
                "protocol": protocol.VERSION,
                "models": list(self.models),
                "styles": {name: list(model.styles) for name, model in self.models.items()},
                "formats": [suffix[1:] for suffix in MEDIA_TYPES],
                "gains": list(edit.PARTS),
                "limits": {item.name: getattr(limits, item.name) for item in fields(limits)},
            }
        )

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(openapi.document(list(self.models), self.settings.limits))

    async def _health(self, request: Request) -> Response:
        if not self.engine.running:
            raise Refusal(503, "dead", "the engine has stopped")
        return JSONResponse({"status": "alive"})

    async def _ready(self, request: Request) -> Response:
        most = self.settings.limits.sessions
        if not self.ready:
            return _unready("stopping", "the server stops: no new sessions are taken")
        if len(self.engine.seats) >= most:
            return _unready("busy", f"all {most} sessions are taken")
        return JSONResponse({"status": "ready"})

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.exposition(), media_type=self.metrics.content_type)


def _by_name(model: Model) -> dict[str, Model]:
    """What clients call it by: not where its file lies."""
    return {model.name: model}


class _Headers:
    """Puts the security headers on every answer."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self.app(scope, receive, with_headers)


async def _no_page(request: Request) -> Response:
    return PlainTextResponse(NO_PAGE)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _order(request: Request, limits: Limits) -> Order:
    hints = get_type_hints(Order)
    values: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name not in hints or name in values:
            raise BadInput(f"parameters are {', '.join(hints)}, each once, got {name[:40]!r}")
        try:
            values[name] = hints[name](text)
        except ValueError:
            raise BadInput(f"{name} is a whole number, got {text[:40]!r}") from None
    values.setdefault("size", min(Order.size, limits.pixels))
    return Order(**values)


async def _body(request: Request, limits: Limits) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(limits.sending_seconds):
            async for part in request.stream():
                body += part
                if len(body) > limits.upload_bytes:
                    raise Refusal(413, "too_large", f"a body has at most {limits.upload_bytes} bytes")
    except TimeoutError:
        raise Refusal(408, "too_slow", f"a body is sent within {limits.sending_seconds:g} s") from None
    return bytes(body)


async def _wanted(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; where the client leaves before, the work ends."""
    making, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait((making, leaving), return_when=asyncio.FIRST_COMPLETED)
        if making.done():
            return making.result()
        raise ClientDisconnect
    finally:
        for task in (making, leaving):
            task.cancel()
        await asyncio.gather(making, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(news: News) -> AsyncGenerator[str]:
    """What the work tells, as server-sent events."""
    while True:
        name, facts = await news.get()
        yield f"event: {name}\ndata: {json.dumps(facts)}\n\n"
        if name != "progress":
            return


class _News(StreamingResponse):
    """Ends the work where the client leaves, be it before the first of them."""

    def __init__(self, events: AsyncGenerator[str], work: asyncio.Task[None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()


def _file(result: Result) -> Response:
    name = f'attachment; filename="performance{result.suffix}"'
    return Response(result.data, media_type=result.media_type, headers={"content-disposition": name})


def _code(error: Exception) -> tuple[int, str]:
    if isinstance(error, Busy):
        return 429, "busy"
    return (503, "out_of_time") if isinstance(error, OutOfTime) else (400, "bad_input")


def _unready(status: str, message: str) -> Response:
    """Like every refusal, but with the status in the place where it is when there is none."""
    return JSONResponse({"status": status, "code": status, "message": message}, 503, {"retry-after": "5"})


def _answer(status: int, code: str, message: str) -> Response:
    headers = {"retry-after": "5"} if status in (429, 503) else None
    return JSONResponse({"code": code, "message": message}, status, headers)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _answer(error.status, error.code, str(error))


async def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = _answer(error.status_code, "not_found" if error.status_code == 404 else "refused", error.detail)
    answer.headers.update(error.headers or {})
    return answer


async def _refuse_input(request: Request, error: Exception) -> Response:
    return _answer(*_code(error), str(error))


async def _broken(request: Request, error: Exception) -> Response:
    """Our own mistake; the log has it."""
    return _answer(500, "failed", "this failed; the server's log says why")


async def _gone(request: Request, error: Exception) -> Response:
    """The client left in the midst of its upload: nobody reads this."""
    return Response(status_code=400)


class _Process(uvicorn.Server):
    """uvicorn, but live sessions are told before their sockets are closed, and a second signal cuts that short."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self._artalk = server

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn."""
        again = self.should_exit
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)  # in the end the process dies of it, as others expect
        self.should_exit = True
        if again:
            self.force_exit = self._artalk.hurried = True
            asyncio.get_running_loop().call_soon_threadsafe(self._cut)

    async def shutdown(self, sockets: Any = None) -> None:
        """See uvicorn."""
        await self._artalk.drain()
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()  # which uvicorn leaves out then

    def _cut(self) -> None:
        """Leave all clients: whatever is done for them ends by itself."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def process(server: Server) -> uvicorn.Server:
    """The server as a process that `run()` starts; SIGTERM and Ctrl-C end it gracefully."""
    settings = server.settings
    config = uvicorn.Config(
        server.app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=settings.limits.message_bytes,
        ws_per_message_deflate=False,
        # A client that sends faster than the model works is not read meanwhile, nor are its pongs: who is gone is found
        # by `idle_seconds`.
        ws_ping_interval=20.0,
        ws_ping_timeout=None,
        timeout_graceful_shutdown=LAST_ANSWERS,
        server_header=False,
    )
    return _Process(config, server)


@contextmanager
def serving(settings: Settings | None = None) -> Generator[str]:
    """A server in a thread of this process, at a free port of this machine unless told otherwise; its ws:// address."""
    found = settings or Settings(port=0, drain_seconds=0.5)
    listening = _listen(found)
    work = process(Server(found))
    thread = threading.Thread(target=work.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not work.started and thread.is_alive():
            time.sleep(0.01)
        yield found.url("ws", listening.getsockname()[1])
    finally:
        work.should_exit = True
        thread.join()
        listening.close()


def run(settings: Settings, as_json: bool = False) -> None:
    """Serve until the process is told to stop. Raises `BadInput` where the address cannot be had."""
    heap.share()  # before the first thread
    server = Server(settings)
    logs.set_up(as_json)
    listening = _listen(settings)
    port = listening.getsockname()[1]
    log.info("serving", extra={"url": settings.url("http", port), "page": (PAGE / "index.html").is_file()})
    # Before the loop and after it Ctrl-C ends the process at once: there is nothing to tidy then, and no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    process(server).run(sockets=[listening])


def _listen(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=128)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            # A socket is closed when all was sent: one whose client stays and never reads would be kept for ever.
            # Those that are accepted inherit it.
            waits = min(round(1000 * settings.limits.idle_seconds), 2**31 - 1)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, waits)
        return listening
    except OSError as error:
        raise BadInput(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from error
