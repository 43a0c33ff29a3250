"""Files over HTTP, and what a server says of itself."""

import asyncio
import contextlib
import gc
import importlib
import io
import json
import socket
import sys
import threading
import time
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as open_socket

import artalk
from artalk.formats import files
from artalk.serve.app import PAGE, _listen, _News
from artalk.serve.metrics import Metrics
from artalk.serve.settings import Limits, Settings
from artalk.serve.work import MEDIA_TYPES, Order, Result, Workshop
from artalk.stream.client import Refused, connect
from tests.serve.servers import running
from tests.stream.generators import Loud


@pytest.fixture(scope="module")
def wav(hello):
    """A second of speech as a file."""
    return riff(hello[:16000])


def riff(samples):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def test_a_sound_becomes_a_file(server, wav, tmp_path):
    status, headers, body = server.http("/v1/animate?format=npz&seed=4&fps=30&gains=head:0.5,lips:1.2", wav)
    assert status == 200
    assert headers["content-disposition"] == 'attachment; filename="performance.npz"'
    (tmp_path / "a.npz").write_bytes(body)
    (tmp_path / "a.wav").write_bytes(wav)
    own = artalk.animate(tmp_path / "a.wav", model=artalk.api.LIVE, seed=4, fps=30, gains={"head": 0.5, "lips": 1.2})
    np.testing.assert_array_equal(artalk.load(tmp_path / "a.npz").values, own.values)


def test_files_leave_a_line_in_the_log(server, wav, caplog):
    with caplog.at_level("INFO", "artalk.serve.work"):
        server.http("/v1/animate?format=csv", wav)
        server.http("/v1/animate?format=csv&style=furious", wav)
        server.http("/v1/animate?format=docx", wav)
    made, refused, unknown = (line for line in caplog.records if line.name == "artalk.serve.work")
    assert (made.message, made.format, made.seconds) == ("file made", "csv", 1.0)
    assert refused.message == "file refused"
    assert "furious" in refused.reason
    assert (unknown.message, unknown.format) == ("file refused", "docx")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".cues.json", ".tsv", ".vrma"])
def test_formats_have_their_types(server, wav, suffix):
    status, headers, body = server.http(f"/v1/animate?format={suffix[1:]}", wav)
    assert status == 200
    assert headers["content-type"].split(";")[0] == MEDIA_TYPES[suffix]
    assert len(body) > 10


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".glb", ".usda"])
def test_formats_that_show_a_head(server, hello, suffix):
    if suffix == ".usda":
        pytest.importorskip("pxr")
    status, headers, body = server.http(f"/v1/animate?format={suffix[1:]}&size=32", riff(hello[:3200]))
    assert (status, headers["content-type"].split(";")[0]) == (200, MEDIA_TYPES[suffix])
    assert len(body) > 200


def test_every_format_can_be_had_that_needs_no_file_of_the_user():
    assert set(MEDIA_TYPES) == {*files.writable(), *artalk.api.PICTURES} - {".vrm", ".png"}


def events(body):
    for block in body.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_progress_comes_as_events(server, hello):
    sound = riff(hello[:3200])
    status, headers, body = server.http("/v1/animate?format=vrma", sound, accept="text/event-stream")
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    said = list(events(body))
    assert {name for name, _ in said[:-1]} == {"progress"}
    name, result = said[-1]
    assert (name, result["frames"], result["seconds"]) == ("result", 5, 0.2)
    status, headers, file = server.http(result["url"])
    assert (status, len(file), headers["content-type"]) == (200, result["bytes"], "model/gltf-binary")
    assert server.fault("/v1/results/nothing") == (404, "no_result")
    assert server.fault("/v1/info", Origin="http://[") == (403, "strange_origin")
    assert server.http("/v1/info", Host="LOCALHOST:80")[0] == 200
    said = list(events(server.http("/v1/animate", b"no sound", accept="text/event-stream")[2]))
    assert said[-1][0] == "error"
    assert said[-1][1]["code"] == "bad_input"


@pytest.mark.parametrize("query", ["format=csv", "format=csv&fps=30", "format=gif&fps=10&size=16", "format=csv&seed=1"])
def test_progress_goes_one_way_and_to_its_end(server, hello, query):
    """A film's, too, whose frames are made first and drawn then."""
    sound = riff(np.zeros(0) if "seed" in query else hello)
    said = list(events(server.http(f"/v1/animate?{query}", sound, accept="text/event-stream")[2]))
    assert said.pop()[0] == "result"
    done, totals = [facts["done"] for _, facts in said], {facts["total"] for _, facts in said}
    assert done == sorted(done)
    assert done[0] == 0
    assert totals == {done[-1]}
    assert done[-1] == (70 if "gif" in query else 1 if "seed" in query else 50)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("format=docx", "bad_input"),
        ("format=../../etc/passwd", "bad_input"),
        ("format=png", "bad_input"),
        ("model=/etc/passwd", "bad_input"),
        ("seed=x", "bad_input"),
        ("seed=-1", "bad_input"),
        ("fps=0", "bad_input"),
        ("fps=1e999", "bad_input"),
        ("fps=500", "bad_input"),
        ("gains=nose:1", "bad_input"),
        ("gains=head:nan", "bad_input"),
        ("gains=head", "bad_input"),
        ("style=happy", "bad_input"),
        ("style=happy:much", "bad_input"),
        ("style=smiling:0.3,smiling:0.3", "bad_input"),
        ("gains=head:0.5,lips:1,head:2", "bad_input"),
        ("size=100000", "bad_input"),
        ("rig=/etc/passwd", "bad_input"),
        ("seed=1&seed=2", "bad_input"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(server, wav, query, code):
    assert server.fault(f"/v1/animate?{query}", wav) == (400, code)


def test_a_body_that_is_no_sound_or_too_much_is_refused(wav):
    with running(Settings(limits=Limits(upload_bytes=10000), drain_seconds=0.1)) as server:
        assert server.fault("/v1/animate", b"") == (400, "bad_input")
        assert server.fault("/v1/animate", b"RIFF" + bytes(60)) == (400, "bad_input")
        assert server.fault("/v1/animate", wav) == (413, "too_large")
    with running(Settings(limits=Limits(upload_seconds=0.5), drain_seconds=0.1)) as server:
        status, _, body = server.http("/v1/animate", wav)
    assert status == 400
    assert json.loads(body)["message"].endswith(
        "holds more than 0.5 seconds of sound, the limit of this server (upload_seconds): cut it"
    )


def test_who_runs_out_of_time_is_told_what_helps(wav):
    limits = Limits(job_seconds=1e-6)
    with running(Settings(limits=limits, drain_seconds=0.1), {"loud": Loud(rate=16000)}) as server:
        for form, helps in (
            ("csv", "cut the sound; "),
            ("mp4", "a lower fps, a far smaller size or less sound, or for an npz"),
        ):
            status, headers, body = server.http(f"/v1/animate?format={form}", wav)
            said = json.loads(body)
            assert (status, said["code"]) == (503, "out_of_time")
            assert helps in said["message"]
            assert said["message"].endswith("whoever runs the server may raise job_seconds")
            assert headers["retry-after"]


def test_a_form_is_told_to_be_none(server, wav):
    """Which curl -F sends; curl -d changes the bytes, and names them as curl --data-binary does, which does not."""
    form = "multipart/form-data; boundary=x"
    status, _, body = server.http(
        "/v1/animate", b'--x\r\nContent-Disposition: form-data; name="file"', Content_Type=form
    )
    said = json.loads(body)
    assert (status, said["code"]) == (415, "form")
    assert said["message"].endswith("send the file's bytes as the body: curl --data-binary @file")
    encoded, hint = "application/x-www-form-urlencoded", "curl --data-binary @file"
    changed = wav.translate(None, b"\0\r\n")
    status, _, body = server.http("/v1/animate", changed, Content_Type=encoded)
    assert status == 400
    assert json.loads(body)["message"].endswith(hint)
    told = server.http("/v1/animate", changed, Content_Type=encoded, accept="text/event-stream")[2]
    assert list(events(told))[-1][1]["message"].endswith(hint)
    assert hint not in server.http("/v1/animate", changed, Content_Type="audio/wav")[2].decode()
    assert server.http("/v1/animate", wav, Content_Type=encoded)[0] == 200


def test_the_smallest_pictures_are_no_hindrance(wav):
    with running(Settings(limits=Limits(pixels=64), drain_seconds=0.1), {"loud": Loud(rate=16000)}) as server:
        assert server.http("/v1/animate", wav)[0] == 200
        assert server.fault("/v1/animate?size=65", wav) == (400, "bad_input")


def test_a_strange_host_page_or_token_is_refused(server, wav):
    assert server.fault("/v1/animate", wav, Host="evil.example") == (403, "strange_host")
    assert server.fault("/v1/animate", wav, Origin="https://evil.example") == (403, "strange_origin")
    assert server.http("/health", Origin=f"http://127.0.0.1:{server.port}")[0] == 200
    with pytest.raises(Exception, match="403|rejected"):
        connect_as(server, "https://evil.example")
    with running(Settings(token="s3cret", origins=("https://good.example",), drain_seconds=0.1)) as shut:
        assert shut.fault("/v1/info") == (401, "wrong_token")
        assert shut.fault("/metrics") == (401, "wrong_token")
        assert shut.fault("/v1/info", Authorization="Bearer s3creT") == (401, "wrong_token")
        assert shut.http("/v1/info", Authorization="Bearer s3cret", Origin="https://good.example")[0] == 200
        assert shut.http("/ready")[0] == 200
        with pytest.raises(Refused):
            connect(shut.url)


def connect_as(server, origin):
    with open_socket(f"{server.url}/v1/live", origin=origin):
        pass


def test_it_says_how_it_is(server):
    assert json.loads(server.http("/health")[2]) == {"status": "alive"}
    assert json.loads(server.http("/ready")[2]) == {"status": "ready"}
    info = json.loads(server.http("/v1/info")[2])
    assert info["models"] == [artalk.api.LIVE]
    assert {"smiling", "stern"} <= set(info["styles"][artalk.api.LIVE])
    assert info["limits"]["sessions"] == Limits().sessions
    assert "artalk_frame_late_seconds_bucket" in server.http("/metrics")[2].decode()
    assert server.fault("/nothing") == (404, "not_found")
    assert server.fault("/v1/animate")[0] == 405


def test_a_full_server_is_not_ready():
    limits = Limits(sessions=1)
    with running(Settings(limits=limits, drain_seconds=0.1), {"loud": Loud(rate=16000)}) as server:
        with connect(server.url):
            status, headers, body = server.http("/ready")
            said = json.loads(body)
            assert (status, said["status"], said["code"]) == (503, "busy", "busy")
            assert headers["retry-after"]
            assert server.http("/health")[0] == 200
        deadline = time.monotonic() + 10
        while server.http("/ready")[0] != 200:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("path", ["/studio", "/?x=1", "/v1/animate", "/v1/live/"])
def test_a_socket_elsewhere_is_told_where_it_is(server, path, caplog):
    with caplog.at_level("INFO", "artalk.serve.guard"), pytest.raises(InvalidStatus) as refused:
        open_socket(f"{server.url}{path}")
    answer = refused.value.response
    assert answer.status_code == 404
    assert json.loads(answer.body) == {"code": "not_found", "message": "the live socket is at /v1/live"}
    (line,) = (line for line in caplog.records if line.message == "socket refused")
    assert (line.code, line.path) == ("not_found", path.partition("?")[0])


def test_a_refused_socket_leaves_a_line_that_names_its_page(server, caplog):
    with caplog.at_level("INFO", "artalk.serve.guard"), pytest.raises(InvalidStatus):
        connect_as(server, "https://evil.example")
    (line,) = (line for line in caplog.records if line.message == "socket refused")
    assert (line.code, line.origin) == ("strange_origin", "https://evil.example")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_who_never_reads_is_left_by_the_system():
    with (
        _listen(Settings(port=0, limits=Limits(idle_seconds=2.5))) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500
    _listen(Settings(port=0, limits=Limits(idle_seconds=1e9))).close()


def test_every_answer_is_guarded(server):
    for path in ("/", "/health", "/nothing", "/openapi.json"):
        headers = server.http(path)[1]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-cache"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "server" not in headers


def test_the_page_is_served_where_it_is_and_its_absence_said(tmp_path):
    (tmp_path / "index.html").write_text("<p>studio")
    (tmp_path / "app.js").write_text("1")
    with running(page=tmp_path) as server:
        assert server.http("/")[2] == b"<p>studio"
        assert server.http("/app.js")[2] == b"1"
        assert server.http("/../secret")[0] == 404
        assert server.http("/v1/info")[0] == 200
    with running(page=tmp_path / "none") as server:
        status, _, body = server.http("/")
        assert status == 200
        assert b"no studio page" in body
    assert PAGE.name == "page"


def test_an_upload_that_breaks_off_harms_nobody(server):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/animate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nhalf")
    assert server.http("/health")[0] == 200


def test_uploads_together_are_bounded_and_none_lasts_for_ever(wav):
    limits = Limits(jobs=1, jobs_waiting=1, sending_seconds=1.5)
    head = b"POST /v1/animate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nhalf"
    with running(Settings(limits=limits, drain_seconds=0.1)) as server, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20)) for _ in range(2)]
        for client in slow:
            client.sendall(head)
        deadline = time.monotonic() + 10
        while server.server.workshop.taken < 2:
            assert time.monotonic() < deadline
        assert server.fault("/v1/animate", wav) == (429, "busy")
        for client in slow:
            assert client.recv(100).startswith(b"HTTP/1.1 408")
        assert server.http("/v1/animate?format=csv", wav)[0] == 200
        assert server.server.workshop.taken == 0


def test_time_in_the_queue_is_not_time_at_work(wav):
    class Slow(Loud):
        pause = 0.0

        def step(self, state, samples):
            time.sleep(self.pause)
            return super().step(state, samples)

    limits, slow = Limits(jobs=1, job_seconds=3.0), Slow(window=25, lookahead=0, rate=16000)
    with running(Settings(limits=limits, drain_seconds=0.1), {"slow": slow}) as server, ThreadPoolExecutor(2) as both:
        slow.pause = 1.6
        answers = [both.submit(server.http, "/v1/animate?format=csv", wav) for _ in range(2)]
        assert [answer.result()[0] for answer in answers] == [200, 200]


class Patient(Loud):
    """Works for ever, slowly, on each window anew."""

    steps = 0

    def step(self, state, samples):
        Patient.steps += 1
        time.sleep(0.01)
        return super().step(state, samples)


def test_work_ends_where_nobody_waits_for_it(hello):
    """Its place is free again, too."""
    Patient.steps = 0
    sound = riff(np.tile(hello, 30))
    with running(Settings(drain_seconds=0.1), models={"patient": Patient(1, 1, 16000)}) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = f"POST /v1/animate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(sound)}\r\n\r\n"
            client.sendall(head.encode() + sound)
            while not Patient.steps:
                time.sleep(0.01)
        for _ in range(500):
            if not server.server.workshop.taken:
                break
            time.sleep(0.01)
        assert not server.server.workshop.taken
        before = -1
        while before != Patient.steps:  # the window that was being worked on is finished, however slow the machine
            before = Patient.steps
            time.sleep(0.5)
        assert Patient.steps < 1500


def test_work_ends_where_its_client_left_before_the_answer_began():
    """Then nobody ever asks for the first of its news."""

    async def leave():
        async def news():
            yield "never asked for"

        async def gone():
            return {"type": "http.disconnect"}

        async def send(message):
            raise OSError

        work = asyncio.create_task(asyncio.sleep(60))
        with contextlib.suppress(Exception):
            await _News(news(), work)({"type": "http", "asgi": {"spec_version": "2.4"}}, gone, send)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return work.cancelled()

    assert asyncio.run(leave())


def test_results_are_forgotten_though_nobody_comes_any_more():
    workshop = Workshop(Limits(results_seconds=0.05), {"patient": Patient(1, 1, 16000)}, Metrics())
    name = workshop.keep(Result(b"data", ".csv", 1, 1.0))
    time.sleep(0.1)
    workshop.forget_old()
    assert not workshop._results
    assert workshop.kept(name) is None
    workshop.close()


class Held(Loud):
    """Works on a window until it may go on."""

    def __init__(self):
        super().__init__(1, 1, 16000)
        self.began, self.may_go_on = threading.Event(), threading.Event()

    def step(self, state, samples):
        self.began.set()
        assert self.may_go_on.wait(60)
        return super().step(state, samples)


def test_what_waits_in_vain_is_not_kept(hello):
    """A file whose client left before its turn came leaves nothing behind, though its turn is still to come."""
    sound, model = riff(hello), Held()
    workshop = Workshop(Limits(), {"held": model}, Metrics())

    async def leave():
        first = asyncio.create_task(workshop.make(sound, Order()))
        while not model.began.is_set():
            await asyncio.sleep(0.01)
        alone = sys.getrefcount(sound)
        works = [asyncio.create_task(workshop.make(sound, Order())) for _ in range(4)]
        await asyncio.sleep(0.05)
        kept = sys.getrefcount(sound)
        while works:
            works[-1].cancel()
            await asyncio.gather(works.pop(), return_exceptions=True)
        await asyncio.sleep(0.05)
        gc.collect()  # how they ended remembers what they had
        left = sys.getrefcount(sound)
        model.may_go_on.set()
        await first
        return alone, kept, left

    alone, kept, left = asyncio.run(leave())
    workshop.close()
    assert kept >= alone + 4
    assert left <= alone


def test_a_small_file_of_many_samples_is_refused(server):
    with io.BytesIO() as file:
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(1)
            out.setframerate(400_000)
            out.writeframes(bytes(4000))
        body = file.getvalue()
    assert server.fault("/v1/animate", body) == (400, "bad_input")
    assert artalk.listen(body).sample_rate == 400_000


def test_another_page_may_use_it_where_it_is_allowed(wav):
    page, other = "https://example.org", "https://example.com"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with running(Settings(origins=(page,), token="s3cret", drain_seconds=0.1)) as server:
        status, headers, _ = server.http("/v1/animate", method="OPTIONS", Origin=page, **asks)
        assert (status, headers["access-control-allow-origin"]) == (200, page)
        status, headers, _ = server.http("/v1/info", Origin=page, Authorization="Bearer s3cret")
        assert (status, headers["access-control-allow-origin"]) == (200, page)
        status, headers, _ = server.http("/v1/info", Origin=page)
        assert (status, headers["access-control-allow-origin"]) == (401, page), "it may read why, too"
        status, headers, _ = server.http("/v1/info", Origin=other, Authorization="Bearer s3cret")
        assert (status, headers["access-control-allow-origin"]) == (403, None)
        assert server.http("/v1/animate", method="OPTIONS", Origin=other, **asks)[0] == 400


def test_strangers_are_bounded(monkeypatch):
    monkeypatch.setattr("artalk.serve.app.MOST_STRANGERS", 2)
    limits = Limits(sessions=1, hello_seconds=60)
    with running(Settings(limits=limits, drain_seconds=0.1)) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(open_socket(f"{server.url}/v1/live"))
        with pytest.raises(Exception, match="403|rejected"):
            open_socket(f"{server.url}/v1/live")


def test_the_description_holds(server):
    """Schemathesis makes calls from the OpenAPI document, good and bad, and judges the answers by it."""
    schemathesis = pytest.importorskip("schemathesis")
    known = importlib.import_module("schemathesis.specs.openapi.checks")
    # Whether random bytes are a sound is no matter of the schema, so "valid is accepted" is not judged.
    wanted = [
        schemathesis.checks.not_a_server_error,
        known.status_code_conformance,
        known.content_type_conformance,
        known.response_schema_conformance,
    ]
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    names = []
    for operation in schema.get_all_operations():
        found = operation.ok()
        names.append(found.path)

        @settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
        @given(case=found.as_strategy())
        def judge(case):
            case.call_and_validate(checks=wanted)

        judge()
    assert "/v1/animate" in names
    assert len(names) == 6
