"""The studio page in Chromium: its figures, a picture of each state, and a film of the head that speaks live.

    python benchmarks/page.py [--model visemes] [--seconds 8] [--width 960 --height 720] [-o out/page]

The server is a process of its own; the microphone is examples/hello.flac between silences. `figures.md`, the pictures
and `live.webm` (the page's own canvas by MediaRecorder; its sound is delayed by the latency that the page states, so
that voice and face are as a listener beside the speaker would have them) go into the folder. Without a graphics card
Chromium draws in software (SwiftShader), which takes what the server and the microphone want too: the table says which.
"""

import argparse
import base64
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

import artalk
from artalk.api import LIVE

FLAGS = (
    "--no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist --disable-quic "
    "--no-first-run --disable-background-networking --disable-component-update --disable-sync "
    "--autoplay-policy=no-user-gesture-required --use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()

RATE = 48000
PATIENCE = 120.0
TOKEN = "a token"

FILM = """async (seconds) => {
    const context = studio.context, microphone = studio.microphone;
    const sound = context.createMediaStreamDestination(), late = context.createDelay(10);
    late.delayTime.value = studio.state().latency / 1000;
    microphone.source.connect(late).connect(sound);
    const picture = document.getElementById("stage").captureStream();
    const film = new MediaRecorder(new MediaStream([...picture.getTracks(), ...sound.stream.getTracks()]),
        { videoBitsPerSecond: 4e6 });
    const parts = [];
    film.ondataavailable = ({ data }) => parts.push(data);
    const done = new Promise((stopped) => (film.onstop = stopped));
    film.start();
    await new Promise((passed) => setTimeout(passed, 1000 * seconds));
    film.stop();
    await done;
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return btoa(text);
}"""


@contextlib.contextmanager
def server(*options: str) -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "artalk.cli", "serve", "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ready"):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


def write_microphone(path: Path) -> None:
    """Speech between silences, over and over."""
    speech = artalk.listen(Path(__file__).parents[1] / "examples" / "hello.flac").resampled(RATE).samples
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.concatenate([np.zeros(RATE), speech]).clip(-1, 1) * 32767).astype("<i2").tobytes())


def until(page: Page, what: str) -> dict[str, Any]:
    """Wait until an expression about the state `s` is true; the state then. Its policy forbids to wait inside."""
    deadline = time.monotonic() + PATIENCE
    while not page.evaluate(f"(() => {{ const s = window.studio?.state(); return !!s && ({what}); }})()"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come true: {page.evaluate('window.studio?.state()')}")
        page.wait_for_timeout(20)
    return page.evaluate("studio.state()")


def opened(browser: Browser, address: str, **how: Any) -> Page:
    page = browser.new_page(**how)
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(address)
    return page


def measured(page: Page, seconds: float) -> dict[str, list[float]]:
    """What the page says of itself, ten times a second, while somebody speaks."""
    found: dict[str, list[float]] = {"rate": [], "latency": []}
    for _ in range(round(10 * seconds)):
        page.wait_for_timeout(100)
        state = page.evaluate("studio.state()")
        for name, values in found.items():
            if state[name] is not None:
                values.append(state[name])
    return found


def live(page: Page, out: Path, options: argparse.Namespace) -> list[str]:
    """The head that speaks: figures, film, pictures."""
    first = until(page, "s.firstFace > 0")
    pose = first["pose"]
    until(page, f"{pose}.some((x, k) => Math.abs(x - s.pose[k]) > 1e-4)")
    moving = page.evaluate("performance.now()")
    page.screenshot(path=out / "live.png")
    page.keyboard.press("m")
    until(page, "s.latency !== null && s.loudness > 0.2")
    found = measured(page, options.seconds)
    page.screenshot(path=out / "speaking.png")
    (out / "live.webm").write_bytes(base64.b64decode(page.evaluate(FILM, options.seconds)))
    page.keyboard.press("m")
    renderer = page.evaluate(
        "(() => { const gl = document.createElement('canvas').getContext('webgl2');"
        " return gl.getParameter(gl.getExtension('WEBGL_debug_renderer_info').UNMASKED_RENDERER_WEBGL); })()"
    )
    rate, latency = (np.percentile(found[name], [50, 5 if name == "rate" else 95]) for name in ("rate", "latency"))
    return [
        f"| drawn by | {renderer} |",
        f"| picture | {options.width} × {options.height} |",
        f"| from opening the page to a face | {first['firstFace'] / 1000:.1f} s |",
        f"| from opening the page to a face that moves | {moving / 1000:.1f} s |",
        f"| pictures a second while somebody speaks, median and lowest 5 % | {rate[0]:.0f}, {rate[1]:.0f} |",
        f"| voice to face, median and p95 | {latency[0]:.0f}, {latency[1]:.0f} ms |",
    ]


def pictures(page: Page, out: Path) -> None:
    """The other states."""
    page.keyboard.press("e")
    until(page, "s.mode === 'take' && s.whole")
    page.keyboard.press(" ")
    page.keyboard.press("Home")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    page.screenshot(path=out / "take.png")
    page.keyboard.press("s")
    page.screenshot(path=out / "character.png")
    page.keyboard.press("d")
    page.screenshot(path=out / "save.png")
    page.keyboard.press("d")
    page.keyboard.press("t")
    page.screenshot(path=out / "other-light.png")
    page.keyboard.press("t")
    page.keyboard.press("s")
    page.keyboard.press("?")
    page.screenshot(path=out / "keys.png")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 780})
    page.screenshot(path=out / "phone.png")
    page.keyboard.press("s")
    page.screenshot(path=out / "phone-character.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=LIVE)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/page"))
    options = parser.parse_args()
    out: Path = options.output
    out.mkdir(parents=True, exist_ok=True)
    size: Any = {"width": options.width, "height": options.height}
    with tempfile.TemporaryDirectory() as folder, server("--model", options.model) as address:
        write_microphone(Path(folder) / "speech.wav")
        with sync_playwright() as started:
            flags = [*FLAGS, f"--use-file-for-fake-audio-capture={folder}/speech.wav"]
            program = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = started.chromium.launch(executable_path=program, headless=True, args=flags)
            page = opened(browser, address, viewport=size)
            figures = live(page, out, options)
            pictures(page, out)
            page.close()
            with server("--token", TOKEN) as closed:
                page = opened(browser, closed, viewport=size)
                page.wait_for_selector("#token-dialog[open]")
                page.screenshot(path=out / "token.png")
                page.close()
            browser.close()
    table = "\n".join(["| | |", "|---|---|", f"| model | {options.model} |", *figures])
    (out / "figures.md").write_text(table + "\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
