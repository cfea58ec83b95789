"""A run keeps to itself: no inet socket is opened, and no value of one customer is written anywhere.

One build of a source with planted values, in a network namespace without interfaces and under strace
where the machine allows it, serves all tests here. Where it does not, an audit hook in every Python
process still counts the sockets.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from scan import Value, scan, scan_folder

ROOT = Path(__file__).resolve().parents[2]
K = 10
DAY = pd.Timestamp("2017-12-25 03:33:33")  # the shops were closed: no other row on this day
#: written into every Python process of the run by way of PYTHONPATH
_HOOK = """
import os, socket, sys
def seen(event, arguments, _log=os.environ["SOCKETS_LOG"]):
    inet = event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6)
    if inet or event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        with open(_log, "a") as file:
            file.write(f"{event} {arguments[1:]} {sys.argv}\\n")
sys.addaudithook(seen)
"""
_INET = re.compile(r"\b(AF_INET6?)\b")

VALUES = [
    Value("a name", "Zebulon Quixworth"),
    Value("a name with accents", "Żółć Ångström"),
    Value("a name with marks", "O'Hara & <Söhne>"),
    Value("an address", "z.quixworth@mail.example"),
    Value("a telephone number", "+1-202-555-0147"),
    Value("an extreme amount", 98765.43),
    Value("an extreme discount", 8642.97),
    Value("an extreme coupon", 7531.86),
    Value("an extreme number of items", 7654321),
    Value("an extreme number of departments", 5432167),
    Value("a customer's number", 313373133),
    Value("a receipt's number", 77700077700),
    Value("a store of one customer", 987651234),
    Value("a department of k - 1 customers", "TAXIDERMY"),
    Value("an age of one customer", "107-plus"),
    Value("an income of one customer", "987K and more"),
    Value("a marital status of one customer", "Quadrigamous"),
    Value("a household of one kind", "43 persons"),
    Value("a home of one customer", "Lighthouse"),
    Value("a day of one customer", DAY),
]


def shorter(table: pd.DataFrame) -> pd.DataFrame:
    """The first baskets of each household: all customers, and a build in seconds."""
    return table.groupby("household_id").head(20).reset_index(drop=True)


def plant(table: pd.DataFrame) -> pd.DataFrame:
    """Each value into the rows of one customer, the department into those of k - 1."""
    table = table.copy()
    customers = iter(table["household_id"].drop_duplicates().sort_values().tolist())

    def whole() -> np.ndarray:
        return np.flatnonzero(table["household_id"] == next(customers))

    value = {item.name: item.value for item in VALUES}
    names = ("a name", "a name with accents", "a name with marks", "an address",
             "a telephone number")  # fmt: skip
    for column, name in (
        *(("top_department", name) for name in names),
        ("amount", "an extreme amount"),
        ("retail_disc", "an extreme discount"),
        ("coupon_disc", "an extreme coupon"),
        ("n_items", "an extreme number of items"),
        ("n_departments", "an extreme number of departments"),
        ("basket_id", "a receipt's number"),
        ("store_id", "a store of one customer"),
    ):
        table.loc[whole()[0], column] = value[name]
    for column, name in (
        ("age", "an age of one customer"),
        ("income", "an income of one customer"),
        ("marital_status", "a marital status of one customer"),
        ("household_size", "a household of one kind"),
        ("home_ownership", "a home of one customer"),
        ("household_id", "a customer's number"),
    ):
        table.loc[whole(), column] = value[name]
    for _ in range(K - 1):
        table.loc[whole()[:2], "top_department"] = value["a department of k - 1 customers"]
    table.loc[whole()[:6], "transaction_timestamp"] = value["a day of one customer"]
    return table


@dataclass(frozen=True)
class Run:
    """One build, and an export where it was released, with what was seen of its sockets."""

    folder: Path
    codes: dict[str, int]
    output: str
    audit: Path
    strace: Path | None


def wrapped(log: Path) -> list[str] | None:
    """A command prefix: no interfaces, and every call about sockets in ``log``; None if refused."""
    prefix = ["unshare", "-n", "strace", "-f", "-qq", "-e", "trace=network", "-o", str(log)]
    if not shutil.which("unshare") or not shutil.which("strace"):
        return None
    done = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if done.returncode == 0 else None


def environment(folder: Path, audit: Path) -> dict[str, str]:
    hook = folder / "hook"
    hook.mkdir(parents=True, exist_ok=True)
    (hook / "sitecustomize.py").write_text(_HOOK, encoding="utf-8")
    home = folder / "home"
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    here = {k: v for k, v in os.environ.items() if not k.startswith(("SYNTH_", "XDG_"))}
    return {
        **here,
        "PYTHONPATH": os.pathsep.join([str(hook), str(ROOT)]),
        "SOCKETS_LOG": str(audit),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "SYNTH_CONTRACTS_KEYS": str(folder / "owner" / "keys"),
    }


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory, few_baskets: pd.DataFrame) -> Run:
    from synth_contracts.scaffold import scaffold

    folder = tmp_path_factory.mktemp("quiet")
    project, audit, log = folder / "project", folder / "audit.log", folder / "strace.log"
    scaffold(project)
    text = (ROOT / "contracts" / "transactions.odcs.yaml").read_text(encoding="utf-8")
    # few rows of few customers: enough to be tested, not to be like the real ones in all respects
    assert text.count("preset: standard") == 1
    text = text.replace("preset: standard", "preset: exploratory")
    (project / "contracts" / "transactions.odcs.yaml").write_text(text, encoding="utf-8")
    (folder / "owner" / "keys").mkdir(parents=True, mode=0o700)
    split = folder / "owner" / "split.raw"
    split.write_bytes(b"synth-contracts test split key 1")
    with duckdb.connect(str(project / "warehouse" / "source.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.register("frame", plant(shorter(few_baskets)))
        connection.execute("CREATE TABLE raw.transactions AS SELECT * FROM frame")

    prefix = wrapped(log)
    started: list[Path] = []
    codes, output = {}, ""

    def command(name: str, *arguments: str) -> None:
        nonlocal output
        trace = log.with_name(f"strace-{name}.log")
        words = [str(trace) if word == str(log) else word for word in prefix or []]
        started.append(trace)
        done = subprocess.run(
            [*words, sys.executable, "-m", "synth_contracts", "--project", str(project), *arguments],
            env=environment(folder, audit), cwd=project, capture_output=True, text=True, check=False,
        )  # fmt: skip
        codes[name] = done.returncode
        output += done.stdout + done.stderr

    command("key", "keys", "import-split", str(split))
    command("build", "build")
    command("report", "report", "transactions")
    if codes["build"] == 0:
        command("export", "export", "transactions", "--ticket", "DATA-123")
    if prefix:
        log.write_text("".join(trace.read_text() for trace in started), encoding="utf-8")
    (folder / "output.txt").write_text(output, encoding="utf-8")
    return Run(folder, codes, output, audit, log if prefix else None)


def test_the_run_was_released_and_exported(quiet: Run) -> None:
    assert quiet.codes["key"] == 0, quiet.output
    assert quiet.codes["build"] == 0, quiet.output
    assert quiet.codes["report"] == 0
    assert quiet.codes["export"] == 0, quiet.output
    project = quiet.folder / "project"
    assert list((project / "gx" / "uncommitted" / "data_docs").rglob("index.html"))
    assert list((project / "target" / "cards").rglob("report-card.html"))


# Sockets


def test_no_python_process_of_the_run_opened_an_inet_socket(quiet: Run) -> None:
    assert not quiet.audit.exists(), quiet.audit.read_text()


def test_no_process_of_the_run_opened_an_inet_socket(quiet: Run) -> None:
    if quiet.strace is None:
        pytest.skip("this machine has no strace or lets nobody make a network namespace")
    calls = quiet.strace.read_text(errors="replace").splitlines()
    assert [line for line in calls if _INET.search(line)] == []


def test_the_audit_hook_and_strace_see_a_socket_of_a_child(tmp_path: Path) -> None:
    audit, log = tmp_path / "audit.log", tmp_path / "strace.log"
    child = "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    prefix = wrapped(log)
    subprocess.run(
        [*(prefix or []), sys.executable, "-c", code], env=environment(tmp_path, audit), check=True
    )
    assert "socket.__new__" in audit.read_text()
    if prefix:
        assert _INET.search(log.read_text())


# Planted values


def test_the_scan_finds_every_value_in_the_source_and_in_what_may_wrap_it(
    quiet: Run, few_baskets: pd.DataFrame, tmp_path: Path
) -> None:
    names = {value.name for value in VALUES}
    assert len(names) == 20
    source = quiet.folder / "project" / "warehouse" / "source.duckdb"
    assert {name for name, _ in scan(source, VALUES)} == names
    # the values alone, so that none is found in place of another
    table = shorter(few_baskets)
    lone = plant(table)
    changed = (lone != table) & ~(lone.isna() & table.isna())
    lone = lone[changed.any(axis=1)]
    parquet = tmp_path / "rows.parquet"
    lone.to_parquet(parquet)
    packed = tmp_path / "rows.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(parquet, "inside/rows.parquet")
        archive.writestr("card.html.gz", gzip.compress(lone.to_html().encode()))
    nested = tmp_path / "bundle.json"
    text = base64.urlsafe_b64encode(packed.read_bytes()).decode()
    nested.write_text(json.dumps({"payload": text}), encoding="utf-8")
    with duckdb.connect(str(tmp_path / "wrapped.duckdb")) as connection:
        connection.execute("CREATE TABLE cards AS SELECT ?::BLOB AS page", [packed.read_bytes()])
    for path in (parquet, packed, nested, tmp_path / "wrapped.duckdb"):
        assert {name for name, _ in scan(path, VALUES)} == names, path.name


@pytest.mark.parametrize(
    "text", ["98765.43", "98,765.43", "9.876543e+04", "98,765.43 €", "98765.430"]
)
def test_the_scan_knows_the_spellings_of_a_number(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<td>{text}</td>", encoding="utf-8")
    assert {name for name, _ in scan(page, VALUES)} == {"an extreme amount"}
    page.write_text("<td>98765.34</td>", encoding="utf-8")
    assert scan(page, VALUES) == set()


def test_no_planted_value_is_in_any_file_that_the_run_wrote(quiet: Run) -> None:
    """The owner's folder holds the keys; all else is looked at, the owner's card included."""
    source = quiet.folder / "project" / "warehouse" / "source.duckdb"
    assert scan_folder(quiet.folder, VALUES, skip=(source, quiet.folder / "owner")) == set()
    # what must have been looked at
    project = quiet.folder / "project"
    for pattern in ("target/cards/**/*.json", "exports/**/*.parquet", "gx/**/*.html",
                    "warehouse/work.duckdb", "warehouse/published.duckdb"):  # fmt: skip
        assert list(project.glob(pattern)), pattern


def test_the_lonely_day_is_hidden_in_the_cards(quiet: Run) -> None:
    for path in (quiet.folder / "project" / "target" / "cards").rglob("report-card.json"):
        daily = json.loads(path.read_text(encoding="utf-8"))["figures"]["daily"]
        place = (DAY.normalize() - pd.Timestamp(daily["start"])).days
        if 0 <= place < len(daily["real"]):
            assert daily["real"][place] is None
            assert daily["synthetic"][place] is None
