"""What keeps the house in order: light imports, one direction of imports, two commands."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAVY = ["torch", "transformers", "scipy", "av", "moderngl", "PIL", "onnxruntime", "typer", "rich", "pygltflib", "pxr"]


def python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_artalk_brings_numpy_and_nothing_heavier():
    loaded = python("import artalk, sys; artalk.Motion, artalk.ARKIT, artalk.animate; print(*sys.modules)").split()
    assert "numpy" in loaded
    assert not set(HEAVY) & set(loaded)


def test_animating_to_a_table_needs_no_graphics(tmp_path):
    code = f"""
import sys, numpy as np, artalk
motion = artalk.animate(np.zeros(16000, np.float32), sample_rate=16000)
artalk.save(motion, {str(tmp_path / "still.csv")!r})
print(*sys.modules)
"""
    loaded = python(code).split()
    assert not {"torch", "scipy", "moderngl", "PIL", "pygltflib"} & set(loaded)


def test_every_public_name_resolves():
    import artalk

    for name in artalk.__all__:
        assert getattr(artalk, name) is not None
    assert set(artalk.__all__) <= set(dir(artalk))
    with pytest.raises(AttributeError, match="no attribute 'anmiate'"):
        artalk.anmiate  # noqa: B018


def test_imports_point_down():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", [["format", "--check", "."], ["check", "."]])
def test_ruff_is_content(command):
    done = subprocess.run([Path(sys.executable).with_name("ruff"), *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_nothing_tracked_points_outside_the_project():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    absolute = "/" + "work/"
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ""} and path.is_file():
            assert absolute not in path.read_text(errors="ignore"), name


def test_the_two_commands_are_named_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    for command in ("scripts/demo", "scripts/test"):
        assert command in readme
        assert (ROOT / command).stat().st_mode & 0o111
