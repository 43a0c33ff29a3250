import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from artalk import batch
from artalk.errors import BadFile


def shout(job):
    text = job.source.read_text()
    if "bad" in text:
        raise BadFile(f"{job.source.name} is bad")
    if "crash" in text:
        os._exit(3)
    for path in job.outputs:
        path.write_text(text.upper())
    return len(text)


@pytest.fixture
def jobs(tmp_path):
    texts = {"a": "hello", "b": "bad", "c": "world"}
    made = []
    for name, text in texts.items():
        source = tmp_path / f"{name}.txt"
        source.write_text(text)
        made.append(batch.Job(source, (tmp_path / f"{name}.up",), {"seed": 1}))
    return made


def statuses(outcomes):
    return {outcome.job.source.stem: outcome.status for outcome in outcomes}


@pytest.mark.parametrize("processes", [1, 2])
def test_work_is_done_failures_stay_apart_and_finished_files_are_skipped(jobs, processes):
    first = list(batch.run(jobs, shout, processes))
    assert statuses(first) == {"a": "done", "b": "failed", "c": "done"}
    assert [o.reason for o in first if o.status == "failed"] == ["b.txt is bad"]
    assert jobs[0].outputs[0].read_text() == "HELLO"
    assert statuses(batch.run(jobs, shout, processes)) == {"a": "skipped", "b": "failed", "c": "skipped"}


def test_changed_input_settings_or_lost_output_are_done_again(jobs):
    list(batch.run(jobs, shout))
    jobs[0].source.write_text("changed")
    jobs[2].outputs[0].unlink()
    assert statuses(batch.run(jobs, shout)) == {"a": "done", "b": "failed", "c": "done"}
    other = [batch.Job(job.source, job.outputs, {"seed": 2}) for job in jobs]
    assert statuses(batch.run(other, shout))["a"] == "done"
    assert statuses(batch.run(other, shout, again=True))["a"] == "done"


def test_a_damaged_ledger_only_costs_the_work(jobs):
    list(batch.run(jobs, shout))
    ledger = jobs[0].outputs[0].parent / batch.LEDGER
    lines = ledger.read_text().splitlines()
    assert {json.loads(line)["output"] for line in lines} == {"a.up", "c.up"}
    ledger.write_text(lines[1] + "\n{not json\n[]\n" + lines[0][:30])
    kept = json.loads(lines[1])["output"][0]
    again = statuses(batch.run(jobs, shout))
    assert {name: again[name] for name in "ac"} == {"a": "done", "c": "done"} | {kept: "skipped"}


def test_what_else_a_job_needs_makes_it_stale(jobs, tmp_path):
    avatar = tmp_path / "avatar.glb"
    avatar.write_text("one")
    needing = [batch.Job(job.source, job.outputs, job.settings, (avatar,)) for job in jobs]
    list(batch.run(needing, shout))
    assert statuses(batch.run(needing, shout))["a"] == "skipped"
    avatar.write_text("another")
    assert statuses(batch.run(needing, shout))["a"] == "done"


def test_an_input_that_changes_while_it_is_worked_on_is_done_again(jobs):
    def work(job):
        shout(job)
        job.source.write_text("changed")

    assert statuses(batch.run(jobs[:1], work)) == {"a": "done"}
    assert statuses(batch.run(jobs[:1], shout)) == {"a": "done"}


def test_a_full_disk_fails_the_job_alone(jobs):
    def work(job):
        if job is jobs[0]:
            raise OSError(28, "No space left on device", "a.up")
        return shout(job)

    outcomes = list(batch.run(jobs, work))
    assert statuses(outcomes) == {"a": "failed", "b": "failed", "c": "done"}
    assert outcomes[0].reason == "No space left on device: a.up"


def test_a_crashed_worker_is_an_outcome_and_not_a_hang(tmp_path):
    source = tmp_path / "x.txt"
    source.write_text("crash")
    outcomes = list(batch.run([batch.Job(source, (tmp_path / "x.up",), {})], shout, processes=2))
    assert [o.status for o in outcomes] == ["failed"]
    assert "worker process died" in outcomes[0].reason


def test_a_missing_input_fails_its_own_job(tmp_path):
    job = batch.Job(Path(tmp_path / "none.txt"), (tmp_path / "none.up",), {})

    def read(job):
        raise BadFile("no such file")

    assert statuses(batch.run([job], read)) == {"none": "failed"}


def doze(job):
    job.outputs[0].touch()
    time.sleep(60)


def doze_in_two_processes(folder: Path):
    jobs = [batch.Job(folder, (folder / str(k),), {}) for k in range(2)]
    list(batch.run(jobs, doze, 2))


def test_workers_of_a_killed_run_do_not_live_on(tmp_path):
    code = "import sys, pathlib, tests.test_batch as t; t.doze_in_two_processes(pathlib.Path(sys.argv[1]))"
    root = Path(__file__).parents[1]
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=root)
    while run.poll() is None and len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.01)
    run.kill()
    run.communicate(timeout=10)  # ends when the last of the workers, who share its output, has ended
