"""The messages: every one survives the wire, no bytes break the reader, TypeScript agrees."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.stream import protocol, typescript
from artalk.stream.protocol import MESSAGES, BadMessage, Frames, Hello, Interrupt, Wire, decode, encode, layout

ROOT = Path(__file__).parents[2]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = {
    "u8": st.integers(0, 255),
    "u16": st.integers(0, 2**16 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "u64": st.integers(0, protocol.LARGEST_COUNT),
    "f32": singles,
    "f64": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "text": texts,
    "names": st.lists(texts, max_size=4).map(tuple),
    "shares": st.dictionaries(texts, singles, max_size=3),
    "blob": st.binary(max_size=40),
    "values": st.lists(singles, max_size=12).map(lambda values: np.array(values, np.float32)),
}


def value(wire: Wire):
    found = st.sampled_from(wire.options) if wire.options else VALUES[wire.name]
    return st.none() | found if wire.optional else found


def message(kind):
    return st.builds(kind, **{name: value(wire) for name, wire in layout(kind).items()})


messages = st.one_of([message(kind) for kind in MESSAGES.values()])


@given(messages)
def test_a_message_survives_the_wire(sent):
    got = decode(encode(sent))
    assert type(got) is type(sent)
    for name in layout(type(sent)):
        a, b = getattr(sent, name), getattr(got, name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(data):
    try:
        got = decode(data)
    except BadMessage:
        return
    assert encode(got) == data


@given(messages, st.data())
def test_a_damaged_message_is_refused_or_another_one(sent, data):
    good = encode(sent)
    at = data.draw(st.integers(0, len(good) - 1))
    for damaged in (good[:at], good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]):
        try:
            got = decode(damaged)
        except BadMessage:
            continue
        assert encode(got) == damaged


def test_the_layout_is_as_written_down():
    """Golden bytes: a change here breaks every client there is."""
    hello = Hello(1, 48000, "pcm16", "burst", 7, "m", "t", {"a": 0.5}, {}, b"xy")
    assert encode(hello).hex(" ") == (
        "01 01 00 80 bb 00 00 00 01 07 00 00 00 01 00 6d 01 00 74 01 01 00 61 00 00 00 3f 00 78 79"
    )
    frames = Frames(2, 300, 0.5, np.array([1, -1], np.float32))
    # 1 + 4 + 8 + 8 bytes, three zeros up to 24, then the values.
    assert encode(frames).hex(" ") == (
        "42 02 00 00 00 2c 01 00 00 00 00 00 00 00 00 00 00 00 00 e0 3f 00 00 00 00 00 80 3f 00 00 80 bf"
    )
    assert encode(Interrupt(None)) == b"\x04\x00"
    assert {number: kind.__name__ for number, kind in MESSAGES.items() if number in (1, 2, 8, 65, 66, 75)} == {
        1: "Hello",
        2: "Sound",
        8: "Ping",
        65: "Welcome",
        66: "Frames",
        75: "Closing",
    }


@pytest.mark.parametrize(
    "bad",
    [
        Hello(version=-1),
        Hello(sample_rate=2**32),
        Hello(encoding="mp3"),  # pyright: ignore[reportArgumentType]
        Hello(token="x" * 70000),
        Interrupt(2**53),
        protocol.Ping(float("nan")),
        protocol.Change(gains={"head": float("inf")}),
        protocol.Change(style={str(k): 1.0 for k in range(256)}),
    ],
)
def test_what_does_not_fit_is_not_sent(bad):
    with pytest.raises(BadMessage):
        encode(bad)


def test_typescript_is_up_to_date():
    made = (ROOT / "viewer" / "src" / "protocol.ts").read_text()
    assert made == typescript.source(), "write it anew: python -m artalk.stream.typescript viewer/src/protocol.ts"


def test_typescript_speaks_the_same_bytes(tmp_path):
    esbuild = ROOT / "viewer" / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists() or not shutil.which("node"):
        pytest.skip("esbuild is not here: npm ci in viewer/ brings it")
    sent = [encode(example) for example in EXAMPLES]
    script = (
        'import { encode, decode } from "./protocol.mjs";\n'
        'import { readFileSync } from "fs";\n'
        'const sent = JSON.parse(readFileSync(0, "utf8"));\n'
        "const bytes = (hex) => Uint8Array.from(hex.match(/../g), (x) => parseInt(x, 16));\n"
        "const back = sent.map((hex) => Buffer.from(encode(decode(bytes(hex).buffer))).toString('hex'));\n"
        "let refused = 0;\n"
        "for (const bad of ['', 'ff', '0101', '0400ff', '420200']) {\n"
        "  try { decode(bytes(bad || '00').buffer); } catch (error) { refused += error instanceof RangeError; }\n"
        "}\n"
        "console.log(JSON.stringify({ back, refused }));\n"
    )
    (tmp_path / "try.mjs").write_text(script)
    source = ROOT / "viewer" / "src" / "protocol.ts"
    subprocess.run([esbuild, source, "--format=esm", f"--outfile={tmp_path / 'protocol.mjs'}"], check=True)
    done = subprocess.run(
        ["node", tmp_path / "try.mjs"],
        input=json.dumps([data.hex() for data in sent]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"back": [data.hex() for data in sent], "refused": 5}


EXAMPLES = [
    Hello(1, 44100, "opus", "free", 2**32 - 1, "modèle", "", {"zärtlich": 0.25, "b": -1.0}, {"head": 0.5}, b"\x00\xff"),
    protocol.Sound(b"\x01\x02\x03"),
    protocol.Flush(),
    Interrupt(None),
    Interrupt(2**40),
    protocol.Change(None, {}, {"lips": 1.5}),
    protocol.Ping(1.25),
    protocol.Welcome(1, "id", "m", 25, 1, 0.08, 0.2, 30.0, 4.5, "arkit", ("jawOpen", "é"), ()),
    Frames(1, 2**33, -0.5, np.linspace(-1, 1, 110).astype(np.float32)),
    protocol.Placed(1, 48000, 1.5),
    protocol.Health(1.0, 0.5, 2.0, 1, 2, 3, 4),
    protocol.Fault("busy", "later", True),
    protocol.Closing("bye", b"state"),
]
