"""A real Chromium that listens to a sound file as its microphone."""

import shutil
import time
import wave
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artalk.serve.app import PAGE

FLAGS = (
    "--no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist --disable-quic "
    "--no-first-run --disable-background-networking --disable-component-update --disable-sync "
    "--autoplay-policy=no-user-gesture-required --use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()

PATIENCE = 60.0
"""Seconds after which something that should happen has not: a machine without a graphics card draws slowly."""


@dataclass
class Studio:
    """The page, driven and asked from outside."""

    page: Any
    complaints: list[str] = field(default_factory=list[str])

    def state(self) -> dict[str, Any]:
        return self.page.evaluate("studio.state()")

    def until(self, what: str) -> dict[str, Any]:
        """Wait until an expression about `s`, the state, is true; the state then."""
        deadline = time.monotonic() + PATIENCE
        while not self.page.evaluate(f"(() => {{ const s = window.studio?.state(); return !!s && ({what}); }})()"):
            assert time.monotonic() < deadline, f"{what} did not come true: {self.toast()} {self.state()}"
            self.page.wait_for_timeout(30)
        return self.state()

    def until_said(self, words: str) -> None:
        """Wait until the page says so."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.toast():
            assert time.monotonic() < deadline, f"{words!r} was not said, but {self.toast()!r}"
            self.page.wait_for_timeout(30)

    def slide(self, name: str, value: float) -> None:
        """Move the slider of that name."""
        self.page.evaluate(
            """([name, value]) => {
                const labels = [...document.querySelectorAll(".sliders label")];
                const input = labels.find((label) => label.firstChild.textContent === name).querySelector("input");
                input.value = value;
                input.dispatchEvent(new Event("input"));
            }""",
            [name, value],
        )

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def drop(self, *files: Path) -> None:
        """Drag files from the desktop over the page and drop them."""
        data = {"items": [], "files": [str(path.resolve()) for path in files], "dragOperationsMask": 1}
        session = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 100, "data": data})
        session.detach()

    def open_sound(self, path: Path | str) -> None:
        self.page.set_input_files("#sound-file", path)

    def is_on(self, element: str) -> bool:
        """Whether the element of that id is to be seen."""
        return self.page.is_visible(f"#{element}")

    def toast(self) -> str:
        return self.page.evaluate("document.getElementById('toast').textContent")


@contextmanager
def chromium(microphone: Path) -> Generator[Any]:
    """A browser, or a skip where there is none, or no page to show."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not here: pip install playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not here: apt-get install chromium")
    if not (PAGE / "face.json").is_file():
        pytest.skip("the page is not built: scripts/build_page, with Node 20, builds it")
    with playwright.sync_playwright() as started:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}"]
        browser = started.chromium.launch(executable_path=program, headless=True, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def shy(browser: Any) -> Any:
    """Another browser of that kind, which asks before it gives the microphone; nobody is there to answer, so: no."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    flags = [flag for flag in FLAGS if flag != "--use-fake-ui-for-media-stream"]
    return browser.browser_type.launch(executable_path=program, headless=True, args=flags)


def open_studio(browser: Any, address: str, script: str = "", face: bool = True, **how: Any) -> Studio:
    """The page in a tab of its own; `script` runs before it, and unless `face` is false a face is waited for."""
    page = browser.new_page(**{"viewport": {"width": 420, "height": 420}} | how)
    page.set_default_timeout(1000 * PATIENCE)
    if script:
        page.add_init_script(script)
    studio = Studio(page)
    page.on("pageerror", lambda error: studio.complaints.append(str(error)))
    page.on("console", lambda line: studio.complaints.append(line.text) if line.type == "error" else None)
    page.goto(address)
    studio.until("s.firstFace > 0" if face else "true")
    return studio


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Mono 16-bit; Chromium plays it as a microphone, over and over."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
