"""The server's log: a line a fact, whatever a client has said."""

import asyncio
import json
import logging

import pytest

from artalk.serve.logs import Json, Plain, is_news


def record(**facts):
    return logging.makeLogRecord({"name": "artalk.serve.work", "levelname": "INFO", "msg": "file refused"} | facts)


def test_plain_lines_tell_the_facts():
    assert (
        Plain()
        .format(record(format="docx", reason="no such format"))
        .endswith("file refused  format=docx reason=no such format")
    )


@pytest.mark.parametrize("said", ["a\n09:00:00 file made", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a\x00b"])
def test_what_a_client_says_stays_in_its_line(said):
    plain, machine = Plain().format(record(format=said)), Json().format(record(format=said))
    assert plain.isprintable()
    assert len(machine.splitlines()) == 1
    assert json.loads(machine)["format"] == said


def test_what_the_http_server_takes_for_a_fault_leaves_no_line():
    ended = asyncio.CancelledError("Task cancelled, timeout graceful shutdown exceeded")
    assert not is_news(record(msg="ASGI callable returned without completing handshake."))
    assert not is_news(record(msg="Exception in ASGI application\n", exc_info=(type(ended), ended, None)))
    assert is_news(record(msg="Exception in ASGI application\n", exc_info=(OSError, OSError("broken"), None)))
    assert is_news(record())
