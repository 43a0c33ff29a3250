"""Every example and every block of the README runs."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("[0-9]*.py"))
README = (ROOT / "README.md").read_text()


@pytest.fixture
def folder(tmp_path):
    """A copy of the examples beside which they may write."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "examples" / "hello.flac", tmp_path / "hello.flac")
    return tmp_path


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(folder, name):
    script = folder / "examples" / name
    done = subprocess.run([sys.executable, "-W", "error", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_examples():
    assert len(EXAMPLES) >= 4


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readmes_python_runs(folder):
    for block in blocks("python"):
        # Small pictures: the README shows what to write, not how long it takes.
        code = block.replace("artalk.render(motion, ", "artalk.render(motion.cut(0, 10), size=(64, 64), ")
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("artalk ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_readmes_commands_run(folder, line):
    (folder / "takes").mkdir()
    for name in ("one", "two"):
        shutil.copy(folder / "hello.flac", folder / "takes" / f"{name}.flac")
    arguments = shlex.split(line, comments=True)[1:]
    if "mp4" in line or "gif" in line:
        arguments += ["--size", "32"]
    arguments = [str(found) for word in arguments for found in (sorted(folder.glob(word)) if "*" in word else [word])]
    for needed in re.findall(r"\S+\.npz", line):
        if f"-o {needed}" not in line:
            subprocess.run([sys.executable, "-m", "artalk.cli", "animate", "hello.flac", "-o", needed], cwd=folder)
    done = subprocess.run([sys.executable, "-m", "artalk.cli", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_has_commands():
    assert len(COMMANDS) >= 5
    assert len(blocks("python")) >= 1


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)|<img src=\"([^\"]+)\"", page.read_text()):
        link = target[0] or target[1]
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name}: {link}"
