"""Threads and processes at once: exports, uses of one token, and a revoke against exports.

Threads share one open registry, as a service does; processes run the shipped commands with
``--wait``, since one process at a time may hold the file.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from batteries.ground import TABLE, Ground, ground
from batteries.outcome import Outcome
from synth_contracts.delivery.journal import exports
from synth_contracts.errors import SynthContractsError
from synth_contracts.release import Registry, revoke


def attack(
    seed: int, *, threads: int = 100, uses: int = 20, rounds: int = 100, processes: int = 8
) -> Outcome:
    """Exports and uses of a token by ``threads``, ``rounds`` revokes, a race of ``processes``."""
    outcome = Outcome(
        "an export at once with others that fails, does not verify or shares its token's id; a use "
        "of a token that is entered twice or never; an export that is delivered, or whose folder "
        "stands, after the revoke was acknowledged"
    )
    rng = random.Random(seed)
    with outcome.running(), ground() as place:
        started = time.perf_counter()
        _control(outcome, place)
        # as long as three threads need for their first exports, whatever the machine
        pace = 4 * (time.perf_counter() - started)
        _exports(outcome, place.copied("exports"), threads)
        _uses(outcome, place.copied("uses"), threads, uses)
        for _ in range(rounds):
            _revoked(outcome, place.copied("revoked"), rng.uniform(0, pace))
        if processes:
            _processes(outcome, place.copied("processes"), processes)
            _revoked_elsewhere(outcome, place.copied("elsewhere"), processes)
        _control(outcome, place)
    return outcome


def _control(outcome: Outcome, place: Ground) -> None:
    copy = place.copied("control")
    bundle = copy.bundle()
    answer = copy.verify(bundle)
    outcome.control(answer.code == 0, answer.err)
    copy.remove()


def _at_once(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the jobs in threads that begin together; what each returned or raised."""
    found: list[Any] = [None] * len(jobs)
    start = threading.Barrier(len(jobs))

    def work(place: int) -> None:
        start.wait()
        try:
            found[place] = jobs[place]()
        except Exception as error:  # noqa: BLE001 - the caller judges it
            found[place] = error

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


def _exports(outcome: Outcome, place: Ground, threads: int) -> None:
    """All are delivered, each under an id of its own, and verify."""
    with place.house.registry() as registry:

        def job(number: int) -> Callable[[], Any]:
            return lambda: place.house.export_with(registry, TABLE, f"DATA-{number}")

        found = _at_once([job(i) for i in range(threads)])
        delivered = [r.jti for r in exports(registry).values() if r.status == "delivered"]
    seen: set[str] = set()
    for number, bundle in enumerate(found):
        fault = None
        if isinstance(bundle, Exception):
            fault = f"{type(bundle).__name__}: {bundle}"
        elif bundle.jti in seen or bundle.jti not in delivered:
            fault = f"the token {bundle.jti} is not of this export alone"
        elif place.verify(bundle.path).code:
            fault = "its bundle does not verify"
        else:
            seen.add(bundle.jti)
        outcome.attack(f"export {number} of {threads} at once", fault)
    outcome.count("exports at once", threads)
    outcome.count("tokens of theirs", len(seen))
    place.remove()


def _uses(outcome: Outcome, place: Ground, threads: int, rounds: int) -> None:
    """One of all threads makes the one use of a token."""
    with place.house.registry() as registry:
        release = registry.released(TABLE).id
        for number in range(rounds):
            use = {"jti": f"{number:032x}", "use_no": 1}
            found = _at_once(
                [lambda use=use: registry.redeem(release, "export_started", use)] * threads
            )
            made = sum(not isinstance(item, Exception) for item in found)
            odd = [e for e in found if isinstance(e, Exception)
                   and not (isinstance(e, SynthContractsError) and e.exit_code == 5)]  # fmt: skip
            fault = None if made == 1 and not odd else f"{made} of {threads} made it {odd[:1]}"
            outcome.attack(f"token {number} by {threads} threads", fault)
            outcome.count("uses of one token tried", threads)
    place.remove()


def _revoked(outcome: Outcome, place: Ground, delay: float) -> None:
    """Three threads export without end; nothing is delivered once the revoke has returned."""
    ended = threading.Event()
    with place.house.registry() as registry:

        def exporting() -> None:
            while not ended.is_set():
                try:
                    place.house.export_with(registry, TABLE)
                except SynthContractsError as error:
                    if error.exit_code != 5:
                        raise
                    return

        def revoking() -> int:
            time.sleep(delay)
            revoke(registry, TABLE, "a leak", "compliance")
            return len(registry.entries())

        *told, acknowledged = _at_once([exporting] * 3 + [revoking])
        ended.set()
        wrong = [str(item) for item in told if isinstance(item, Exception)]
        fault = _after(place, registry, acknowledged)
        for record in exports(registry).values():
            outcome.count(f"exports {record.status} beside a revoke")
    outcome.attack("a revoke against three threads", fault or ("; ".join(wrong) or None))
    outcome.count("revokes against threads")
    place.remove()


def _after(place: Ground, registry: Registry, acknowledged: Any) -> str | None:
    """What was delivered after the revoke, or stands although it was not."""
    if not isinstance(acknowledged, int):
        return f"the revoke failed: {acknowledged}"
    (end,) = registry.entries("revoked")
    late = [
        entry.kind
        for entry in registry.entries()
        if entry.seq > end.seq and entry.kind != "export_aborted"
    ]
    if late:
        return f"after the revoke the ledger holds {late}"
    delivered = [Path(r.path).name for r in exports(registry).values() if r.status == "delivered"]
    left = place.house.left_behind()
    return None if left == sorted(delivered) else f"left {left}, delivered {sorted(delivered)}"


# processes


def _start(place: Ground, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "synth_contracts", "--project", str(place.root), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _exporter(place: Ground, number: int) -> subprocess.Popen[str]:
    return _start(place, "export", TABLE, "--ticket", f"DATA-{number}", "--json", "--wait", "300")


def _processes(outcome: Outcome, place: Ground, processes: int) -> None:
    """All wait for each other and are delivered."""
    running = [_exporter(place, i) for i in range(processes)]
    seen: set[str] = set()
    for number, process in enumerate(running):
        out, err = process.communicate(timeout=600)
        jti = json.loads(out)["jti"] if process.returncode == 0 else ""
        fault = f"exit code {process.returncode} {err[-200:]}" if not jti or jti in seen else None
        seen.add(jti)
        outcome.attack(f"process {number} of {processes}", fault)
    outcome.count("processes that export at once", processes)
    place.remove()


def _revoked_elsewhere(outcome: Outcome, place: Ground, processes: int) -> None:
    """One process revokes while the others export: delivered before it, or refused."""
    running = [_exporter(place, i) for i in range(processes - 1)]
    revoking = _start(place, "revoke", TABLE, "--reason", "a leak", "--wait", "300")
    codes = []
    for process in running:
        process.communicate(timeout=600)
        codes.append(process.returncode)
    _, err = revoking.communicate(timeout=600)
    if revoking.returncode:
        raise RuntimeError(f"the revoke ended with {revoking.returncode}: {err[-200:]}")
    with place.house.registry(read_only=True) as registry:
        fault = _after(place, registry, len(registry.entries()))
    if set(codes) - {0, 5} or codes.count(0) != len(place.house.left_behind()):
        fault = fault or f"exit codes {codes}"
    outcome.attack("a revoke against processes", fault)
    outcome.count("processes against a revoke", len(codes))
    place.remove()
