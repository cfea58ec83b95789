"""A registry that another process holds: who holds it, and waiting for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from synth_contracts.cli.main import run
from synth_contracts.warehouse import patience

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held(project: Any) -> Iterator[subprocess.Popen[str]]:
    """Another process has published.duckdb open until it reads a line."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(project.published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        if not holder.stdin.closed:
            holder.stdin.close()


COMMANDS = {
    "export": ("export", "transactions", "--ticket", "DATA-1"),
    "explain": ("export", "transactions", "--ticket", "DATA-1", "--explain"),
    "flag": ("flag", "transactions", "--reason", "a test"),
    "revoke": ("revoke", "transactions", "--reason", "a test"),
}


def test_the_holder_is_named_and_nothing_is_written(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(project) as holder:
        for arguments in COMMANDS.values():
            for wait in ((), ("--wait", "1")):
                assert run(["--project", str(project.root), *arguments, *wait]) == 3
                err = capsys.readouterr().err
                assert f"held by PID {holder.pid}" in err
                assert "mend: " in err
                assert ("waiting up to 1 s" in err) == bool(wait)
    assert project.left_behind() == []
    assert project.kinds() == []


def test_wait_goes_on_when_the_other_process_ends(
    project: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("explain", "export", "flag", "revoke"):
        with held(project) as holder:

            def ends(_: float, holder: subprocess.Popen[str] = holder) -> None:
                holder.communicate()  # closes its input; it ends then

            with monkeypatch.context() as pausing:
                pausing.setattr(patience.time, "sleep", ends)
                code = run(["--project", str(project.root), *COMMANDS[name], "--wait", "60"])
        assert code == 0, name
        assert "waiting up to 60 s" in capsys.readouterr().err
    assert project.kinds() == ["issued", "started", "sealed", "delivered"]


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon"])
def test_a_wait_without_an_end_is_no_wait(project: Any, wait: str) -> None:
    assert run(["--project", str(project.root), *COMMANDS["export"], "--wait", wait]) == 2
    assert project.kinds() == []
