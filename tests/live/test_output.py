"""Datagrams that arrive, receivers that come and go, addresses that are none."""

import errno
import socket
import threading
import time
from fractions import Fraction

import numpy as np
import pytest

import artalk
from artalk import assets
from artalk.audio import Audio
from artalk.channels import ARKIT, FLAME
from artalk.errors import BadInput, MissingAsset, Unsupported
from artalk.generators.generator import Generator
from artalk.live.livelink import LiveLink
from artalk.live.output import Output, open_output
from artalk.live.performance import Performance
from artalk.live.source import File
from artalk.motion import Motion
from artalk.stream.playout import Playout
from tests.stream.generators import Loud

REST = np.zeros(len(ARKIT), np.float32)
FPS = Fraction(60)


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(5)
        yield found


@pytest.mark.parametrize(("kind", "begins"), [("livelink", b"\x06"), ("vmc", b"#bundle"), ("ifacialmocap", b"eyeB")])
def test_frames_arrive(receiver, kind, begins):
    output = open_output(f"{kind}://127.0.0.1:{receiver.getsockname()[1]}")
    output.send(REST, 0, FPS)
    assert receiver.recv(4096).startswith(begins)
    assert (output.sent, output.lost) == (1, 0)
    output.close()


def test_a_receiver_may_come_and_go():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    output = open_output(f"livelink://127.0.0.1:{port}?subject=me")
    for frame in range(20):
        output.send(REST, frame, FPS)
    assert output.lost > 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", port))
        found.settimeout(5)
        for frame in range(3):
            output.send(REST, frame, FPS)
        assert b"me" in found.recv(4096)
    output.close()


@pytest.mark.parametrize("receives", ["127.0.0.1", "127.0.0.2"])
def test_each_address_of_a_host_is_tried_until_somebody_listens(monkeypatch, receives):
    """First those of IPv4, wherever they stand."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((receives, 0))
        found.settimeout(5)
        port = found.getsockname()[1]
        rows = [
            (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", port, 0, 0)),
            *((socket.AF_INET, socket.SOCK_DGRAM, 17, "", (f"127.0.0.{last}", port)) for last in (1, 2)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **how: rows)
        output = open_output(f"livelink://localhost:{port}?subject=me")
        for frame in range(8):
            output.send(REST, frame, FPS)
            time.sleep(0.005)
        assert b"me" in found.recv(4096)
        before = output.lost
        for frame in range(8, 12):
            output.send(REST, frame, FPS)
        assert output.lost == before, "who answers is kept"
        output.close()


def test_an_address_that_cannot_be_reached_is_not_the_end(monkeypatch, receiver):
    """A machine without IPv6 whose localhost has such an address, and a receiver that comes later."""
    port = receiver.getsockname()[1]
    rows = [(socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("no address", port, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **how: list(rows))
    monkeypatch.setattr("artalk.live.output.RETRY", 0.0)
    output = open_output(f"livelink://localhost:{port}")
    output.send(REST, 0, FPS)
    assert output.lost == 1
    rows.append((socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", port)))
    for frame in range(1, 20):
        output.send(REST, frame, FPS)
        time.sleep(0.005)
    assert receiver.recv(4096).startswith(b"\x06")
    sent = output.sent
    output._connect([(socket.AF_INET6, ("no address", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))])
    for frame in range(20, 40):
        output.send(REST, frame, FPS)
        time.sleep(0.005)
    assert output.sent > sent, "the same addresses as before, and none was in use"
    output.close()


def of_ipv4(*addresses):
    """What the system answers who asks for a host of these addresses."""
    return lambda *where, **how: [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", address) for address in addresses]


def test_an_address_that_cannot_be_connected_to_hides_no_other(monkeypatch, receiver):
    """No socket may speak to all of a network unasked, so the first address always fails; it once did for good."""
    monkeypatch.setattr(socket, "getaddrinfo", of_ipv4(("255.255.255.255", 9), receiver.getsockname()))
    output = open_output("livelink://pc.example")
    for frame in range(3):
        output.send(REST, frame, FPS)
    assert receiver.recv(4096).startswith(b"\x06")
    assert (output.sent, output.lost) == (3, 0)
    assert output.trouble is None
    output.close()


class Failing(socket.socket):
    """A socket whose sends fail as `errors` say, by the host that they go to: an error for all, or a list of them."""

    errors: dict[str, list[OSError] | OSError] = {}
    opened = 0

    def __init__(self, *how):
        super().__init__(*how)
        Failing.opened += 1

    def send(self, data, flags=0):
        found = self.errors.get(self.getpeername()[0], [])
        if isinstance(found, OSError):
            raise found
        if found:
            raise found.pop(0)
        return super().send(data, flags)


@pytest.fixture
def failing(monkeypatch):
    monkeypatch.setattr("artalk.live.output.socket.socket", Failing)
    monkeypatch.setattr(Failing, "opened", 0)

    def fail(errors):
        monkeypatch.setattr(Failing, "errors", errors)

    return fail


def test_an_address_without_a_way_is_left_for_the_next(monkeypatch, receiver, failing):
    failing({"127.0.0.2": OSError(errno.ENETUNREACH, "Network is unreachable")})
    place = receiver.getsockname()
    monkeypatch.setattr(socket, "getaddrinfo", of_ipv4(("127.0.0.2", place[1]), place))
    output = open_output("livelink://pc.example")
    for frame in range(3):
        output.send(REST, frame, FPS)
    assert (output.sent, output.lost) == (2, 1)
    assert receiver.recv(4096).startswith(b"\x06")
    output.close()


def test_the_only_address_without_a_way_is_let_go_and_looked_up_again(monkeypatch, receiver, failing):
    failing({"127.0.0.1": OSError(errno.ENETUNREACH, "Network is unreachable")})
    monkeypatch.setattr("artalk.live.output.RETRY", 0.0)
    output = open_output(f"livelink://127.0.0.1:{receiver.getsockname()[1]}")
    output.send(REST, 0, FPS)
    assert (output.sent, output.lost) == (0, 1)
    assert output.trouble == "cannot be reached"
    failing({})
    for frame in range(1, 20):
        output.send(REST, frame, FPS)
        time.sleep(0.005)
    assert receiver.recv(4096).startswith(b"\x06")
    output.close()


def test_a_full_buffer_costs_one_frame(receiver, failing):
    """Whoever let the socket go for it lost a second."""
    failing({"127.0.0.1": [BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")]})
    output = open_output(f"livelink://127.0.0.1:{receiver.getsockname()[1]}")
    for frame in range(5):
        output.send(REST, frame, FPS)
    assert (output.sent, output.lost) == (4, 1)
    assert Failing.opened == 1
    assert output.trouble is None
    output.close()


def test_a_host_that_is_nowhere_is_no_error():
    output = open_output("vmc://no-such-host.invalid")
    for frame in range(3):
        output.send(REST, frame, FPS)
    assert (output.sent, output.lost, output.port) == (0, 3, 39539)


def test_a_host_that_is_not_there_yet_is_a_trouble_until_it_is(monkeypatch, receiver):
    monkeypatch.setattr("artalk.live.output.RETRY", 0.0)
    monkeypatch.setattr("artalk.live.trouble.PATIENCE", 0.0)

    def nowhere(*where, **how):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    output = open_output("vmc://pc.example")
    output.send(REST, 0, FPS)
    assert output.trouble == output.last_trouble == "no such host"
    monkeypatch.setattr(socket, "getaddrinfo", of_ipv4(receiver.getsockname()))
    for frame in range(1, 20):
        output.send(REST, frame, FPS)
        time.sleep(0.005)
    assert (output.trouble, output.last_trouble) == (None, "no such host")
    assert receiver.recv(4096).startswith(b"#bundle")
    output.close()


def test_a_slow_name_server_holds_nobody_up(monkeypatch, receiver):
    asked = threading.Event()

    def look(*_, **__):
        asked.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look)
    slow = open_output("vmc://pc.example")
    began = time.monotonic()
    for frame in range(5):
        slow.send(REST, frame, FPS)
    assert time.monotonic() - began < 2
    assert (slow.sent, slow.lost) == (0, 5)
    asked.set()


def test_a_host_that_moves_is_found_again(monkeypatch, receiver):
    places = [("127.0.0.1", 9), receiver.getsockname()]
    found = [(socket.AF_INET, 0, 0, "", places[0])]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("artalk.live.output.AGAIN", 0.0)
    output = open_output("vmc://pc.example")
    output.send(REST, 0, FPS)
    found[0] = (socket.AF_INET, 0, 0, "", places[1])
    for frame in range(100):
        output.send(REST, frame, FPS)
        time.sleep(0.01)
        receiver.setblocking(False)
        try:
            assert receiver.recv(4096).startswith(b"#bundle")
            break
        except BlockingIOError:
            continue
    else:
        pytest.fail("nothing came to the new place")
    output.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("osc://localhost", "an output is livelink"),
        ("localhost:11111", "an output is livelink"),
        ("livelink://", "livelink://HOST:PORT"),
        ("livelink://host:99999", "a port is 1 to 65535"),
        ("vmc://host:0", "a port is 1 to 65535"),
        ("livelink://host/path", "livelink://HOST:PORT"),
        ("livelink://host?names=vrm0", "no option 'names'; it has subject"),
        ("vmc://host?names=klingon", "names of expressions are vrm0"),
        ("vmc://host?bones=maybe", "bones are all, head, none"),
        ("livelink://host?subject=", "1 to 64 bytes"),
    ],
)
def test_an_address_that_is_none_is_said(url, says):
    with pytest.raises(BadInput, match=says):
        open_output(url)


class Steps:
    """A source in the test's hands: each `read` gives the next block."""

    def __init__(self, samples, rate, block):
        self.sample_rate, self._samples, self._block, self._at = rate, samples, block, 0

    def read(self):
        self._at += self._block
        return self._samples[self._at - self._block : self._at]

    @property
    def ended(self):
        return self._at >= len(self._samples)

    def close(self):
        pass


class Seen(Output):
    """An output that keeps what it is sent."""

    def __init__(self):
        super().__init__("seen", "localhost", 1, LiveLink())
        self.poses = []

    def send(self, pose, frame, fps):
        self.poses.append(pose)


def test_a_performance_shows_what_is_said_in_time():
    sound = artalk.listen("examples/hello.flac").resampled(16000)
    source, seen = Steps(sound.samples[:48000], 16000, 320), Seen()
    performance = Performance(artalk.generator("visemes"), source, [seen], Fraction(50))
    clock = 0.0
    while performance.step(clock):
        clock += 0.02
    # 3 s of sound, then the delay and the tail, at 50 frames a second.
    assert clock == pytest.approx(3.0 + performance.delay + 0.6, abs=0.1)
    jaw = ARKIT.index("jawOpen")
    shown = np.array([pose[jaw] for pose in seen.poses])
    offline = artalk.generator("visemes").generate(Audio(sound.samples[:48000], 16000)).resample(50).values[:, jaw]
    lags = [np.corrcoef(shown[lag : lag + 140], offline[:140])[0, 1] for lag in range(20)]
    assert max(lags) > 0.98
    assert int(np.argmax(lags)) / 50 == pytest.approx(performance.delay, abs=0.05)
    assert shown[-10:].max() < 0.02
    assert performance.playout.held < 10


def test_a_model_that_takes_its_time_stops_no_frame():
    """Its window of 0.4 s takes 0.15 s; frames once waited for it, and what was said meanwhile was dropped."""

    class Slow(Loud):
        def step(self, state, samples):
            time.sleep(0.15)
            return super().step(state, samples)

    class Clocked(Seen):
        def send(self, pose, frame, fps):
            self.poses.append((time.monotonic(), pose))

    seen = Clocked()
    sound = File(Audio(np.full(2 * 16000, 0.5, np.float32), 16000))
    performance = Performance(Slow(window=10, lookahead=0, rate=16000), sound, [seen], Fraction(50))
    performance.run()
    assert performance.delay > 0.4 + 0.04 + 0.15
    assert performance.session.counters.samples_dropped == performance.session.counters.frames_dropped == 0
    jaw = np.array([pose[ARKIT.index("jawOpen")] for _, pose in seen.poses])
    assert (jaw > 0.4).sum() > 80
    assert np.median(np.diff([at for at, _ in seen.poses])) < 0.05


def test_a_night_of_sleep_is_not_heard_at_once(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("artalk.live.source.time.monotonic", lambda: now[0])
    source = File(Audio(np.linspace(0, 1, 8000).astype(np.float32), 8000), loop=True)
    source.read()
    now[0] += 8 * 3600
    assert len(source.read()) == 10 * 8000
    now[0] += 0.5
    assert len(source.read()) == 4000


def test_the_delay_is_that_of_the_style_which_it_runs_in():
    """A style may cost a second run of the model, and a mix more."""

    class Costly(Loud):
        accepts, styles = frozenset({"style"}), ("broad",)

        def begin(self, condition, seed):
            self.cost = 0.3 if condition.style else 0.0
            return super().begin(condition, seed)

        def step(self, state, samples):
            time.sleep(self.cost)
            return super().step(state, samples)

    delays = []
    for style in (None, "broad"):
        silence = File(Audio(np.zeros(8000, np.float32), 16000))
        performance = Performance(Costly(10, 0, 16000), silence, [Seen()], Fraction(50), style=style)
        performance.run()
        delays.append(performance.delay)
    assert delays[1] > delays[0] + 0.2


def test_a_face_that_is_stopped_comes_to_rest_without_a_leap():
    """In the midst of a word, as by Ctrl-C."""

    class Stopped(Seen):
        def send(self, pose, frame, fps):
            super().send(pose, frame, fps)
            if len(self.poses) == 60:
                raise KeyboardInterrupt

    seen = Stopped()
    sound = File(Audio(np.full(3 * 16000, 0.5, np.float32), 16000))
    with pytest.raises(KeyboardInterrupt):
        Performance(Loud(window=1, lookahead=0, rate=16000), sound, [seen], Fraction(50)).run()
    jaw = np.array([pose[ARKIT.index("jawOpen")] for pose in seen.poses])
    assert jaw[59] > 0.3
    assert (jaw[-2:] == 0).all()
    assert np.abs(np.diff(jaw[59:])).max() < 0.25 * jaw[59]


def test_a_file_is_heard_at_its_own_pace(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("artalk.live.source.time.monotonic", lambda: now[0])
    ramp = np.linspace(0, 1, 8000).astype(np.float32)
    source = File(Audio(ramp, 8000))
    assert len(source.read()) == 0
    now[0] += 0.5
    assert source.read().tolist() == ramp[:4000].tolist()
    assert not source.ended
    now[0] += 3
    assert len(source.read()) == 4000
    assert source.ended
    around = File(Audio(np.arange(4, dtype=np.float32), 1000), loop=True)
    around.read()
    now[0] += 0.0101
    assert around.read().tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert not around.ended


def test_frames_between_frames_lie_between_them():
    playout = Playout(25)
    assert playout.at(0.0) is None

    def first(time):
        pose = playout.at(time)
        assert pose is not None
        return pose[0]

    values = np.zeros((3, len(ARKIT)), np.float32)
    values[:, 0] = [0, 1, 0]
    playout.add(Motion(values, ARKIT, Fraction(25), 10))
    assert first(0.0) == 0
    assert first(0.42) == pytest.approx(0.5)
    assert first(0.44) == pytest.approx(1.0)
    playout.forget(12)
    assert first(2.0) == 1
    assert playout.held == 1
    # A gap in the numbers is bridged.
    playout.add(Motion(values[:1], ARKIT, Fraction(25), 61))
    assert first(36 / 25) == pytest.approx(0.5)


class Flame(Generator):
    """FLAME motion that follows the loudness: a smile, and a jaw that opens; windows of 4 s as the release's."""

    name, channels, fps, sample_rate, window, lookahead = "flame", FLAME, Fraction(25), 16000, 100, 0

    def begin(self, condition, seed):
        return None

    def step(self, state, samples):
        values = np.zeros((len(samples) // self.hop, len(FLAME)), np.float32)
        loud = np.abs(samples.reshape(len(values), self.hop)).mean(axis=1)
        values[:, 0], values[:, FLAME.index("jawX")] = loud, 0.3 * loud
        values[:, FLAME.index("headY")] = 0.2 * loud
        return values, state


def learn_table(folder, monkeypatch):
    """A table of two shapes, which the user adds."""
    monkeypatch.setenv("ARTALK_HOME", str(folder / "home"))
    (folder / "table.csv").write_text("shape,expression0,jawX\njawOpen,0,0.3\nmouthSmileLeft,1,0\n")
    assets.add("flame-map", folder / "table.csv")


def test_flame_goes_out_by_a_table(receiver, tmp_path, monkeypatch):
    learn_table(tmp_path, monkeypatch)
    rng = np.random.default_rng(0)
    sound = np.repeat(np.abs(np.sin(np.arange(140) / 7)), 640) * rng.choice([-1, 1], 140 * 640)
    source, seen = Steps(sound.astype(np.float32), 16000, 640), Seen()
    to = open_output(f"livelink://127.0.0.1:{receiver.getsockname()[1]}")
    performance = Performance(Flame(), source, [seen, to], Fraction(25), gains={"head": 0.5})
    clock = 0.0
    while performance.step(clock):
        clock += 0.04
    whole = artalk.retarget(Flame().generate(Audio(sound.astype(np.float32), 16000)), "arkit").values
    shown, jaw = np.array(seen.poses), ARKIT.index("jawOpen")
    assert shown.shape[1] == len(ARKIT)
    lag = int(np.argmax([np.corrcoef(shown[lag : lag + 140, jaw], whole[:, jaw])[0, 1] for lag in range(115)]))
    assert lag / 25 == pytest.approx(performance.delay, abs=0.08)
    # Two frames that the clock falls between are mixed; the head's gain comes after the map.
    for name, gain in (("jawOpen", 1), ("mouthSmileLeft", 1), ("headY", 0.5)):
        column = ARKIT.index(name)
        np.testing.assert_allclose(shown[lag : lag + 140, column], gain * whole[:, column], atol=0.15 * gain)
        assert np.ptp(shown[:, column]) > 0.5 * gain * np.ptp(whole[:, column])
    receiver.setblocking(False)
    assert receiver.recv(4096).startswith(b"\x06")
    assert to.sent == len(seen.poses)
    to.close()


def test_what_goes_out_is_arkit_or_can_be_made_so(tmp_path, monkeypatch):
    class Other:
        channels, name = artalk.retarget(Motion(REST[None], ARKIT, FPS), "oculus").channels, "other"

    with pytest.raises(Unsupported, match="'other' makes oculus: choose another"):
        Performance(Other(), Steps(REST, 16000, 1), [])  # pyright: ignore[reportArgumentType]
    monkeypatch.setenv("ARTALK_HOME", str(tmp_path))
    with pytest.raises(MissingAsset, match="artalk assets add flame-map TABLE"):
        Performance(Flame(), Steps(REST, 16000, 1), [])
