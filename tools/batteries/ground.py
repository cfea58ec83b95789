"""Where attacks happen: a project in a folder, its keys outside, and the shipped command."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from batteries.house import POLICY, PROJECT, House
from synth_contracts.cli.main import run
from synth_contracts.delivery.bundle import signature_line
from synth_contracts.signing import SigningKey

TABLE = "transactions"
FORMATS = "formats: [parquet, csv, arrow]"


@dataclass(frozen=True)
class Answer:
    """What a command said. ``code`` is its exit code."""

    code: int
    out: str
    err: str

    def fault(self, *codes: int) -> str | None:
        """Why this is no refusal with one of these codes and without any word of success."""
        if self.code not in codes:
            return f"exit code {self.code} {self.out[:200]!r} {self.err[:200]!r}"
        return f"it printed {self.out[:200]!r}" if self.out else None


@dataclass
class Ground:
    """A project whose table ``transactions`` is released."""

    house: House

    @property
    def root(self) -> Path:
        return self.house.root

    def command(self, *arguments: str) -> Answer:
        """Run the shipped command in this process, from the project's folder."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(["--project", str(self.root), *arguments])
        return Answer(code, out.getvalue(), err.getvalue())

    def verify(self, bundle: Path) -> Answer:
        return self.command("verify", str(bundle))

    def export(self, ticket: str = "DATA-1", *options: str) -> Answer:
        return self.command("export", TABLE, "--ticket", ticket, "--json", *options)

    def bundle(self, form: str = "parquet", ticket: str = "DATA-1") -> Path:
        """Export one; its folder. Raises RuntimeError when it is refused."""
        answer = self.export(ticket, "--format", form)
        if answer.code:
            raise RuntimeError(f"no bundle to attack: {answer.err}")
        return Path(json.loads(answer.out)["path"])

    def copied(self, name: str) -> Ground:
        """A copy of the project and its keys, beside it."""
        folder = self.root.parent.with_name(name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root.parent, folder)
        return Ground(House(folder / self.root.name, _runs=self.house._runs))

    def remove(self) -> None:
        shutil.rmtree(self.root.parent)


@contextmanager
def ground() -> Iterator[Ground]:
    """A project in a folder of its own, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="battery-") as folder:
        place = Path(folder) / "first"
        place.mkdir()
        house = House(place / "house")
        house.release(TABLE, policy=f"{POLICY}, {FORMATS}")
        (house.root / "synth-contracts.yml").write_text(PROJECT)
        yield Ground(house)


def remanifest(bundle: Path, key: SigningKey) -> None:
    """Put manifests and signature right again, as a forger (or this project's own key) would."""

    def line(path: Path) -> str:
        name = path.relative_to(bundle).as_posix()
        return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"

    data = sorted(p for p in (bundle / "data").iterdir() if p.is_file())
    (bundle / "manifest-sha256.txt").write_text("".join(map(line, data)))
    tags = sorted(
        p for p in bundle.iterdir() if p.is_file() and not p.name.startswith("tagmanifest")
    )
    (bundle / "tagmanifest-sha256.txt").write_text("".join(map(line, tags)))
    signature = key.sign((bundle / "tagmanifest-sha256.txt").read_bytes())
    (bundle / "tagmanifest-sha256.txt.sig").write_bytes(
        signature_line(key.kid, base64.b64encode(signature).decode())
    )
