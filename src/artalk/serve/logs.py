"""The server's log: one JSON object a line, for machines that collect logs, or plain lines for a terminal."""

import asyncio
import json
import logging
import sys
import time
from typing import Any

_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

_REFUSED = "ASGI callable returned without completing handshake"


class Json(logging.Formatter):
    """Time, level, logger and message; then what the record carries besides."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Plain(logging.Formatter):
    """A line for people, with the same facts."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows where there is one."""
        facts = " ".join(f"{name}={_in_a_line(value)}" for name, value in _extras(record).items())
        text = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.getMessage()}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{text}  {facts}{trace}" if facts else text + trace


def is_news(record: logging.LogRecord) -> bool:
    """Whether it is worth a line: the HTTP server takes some things for faults that are none.

    A socket that is refused with an answer of its own is "without handshake" to it, and work that ends because the
    server ends an exception.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, asyncio.CancelledError) or record.getMessage().startswith(_REFUSED))


def set_up(as_json: bool, level: int = logging.INFO) -> None:
    """Write the logs of artalk, of the HTTP server and of the event loop to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if as_json else Plain())
    handler.addFilter(is_news)
    logging.captureWarnings(True)
    for name, least in (
        ("artalk", level),
        ("uvicorn", logging.WARNING),
        ("asyncio", logging.WARNING),
        ("py.warnings", logging.WARNING),
    ):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)


def _in_a_line(value: object) -> str:
    """What a client has said may hold line breaks, and is not to look like a line of its own."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _ORDINARY}
