"""Kept models: written after a fit, read back only for what they were fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth_contracts.contract import Contract
from synth_contracts.errors import Refused
from synth_contracts.generate.base import Progress
from synth_contracts.generate.chunks import Learned
from synth_contracts.generate.kept import freeze, thaw
from synth_contracts.pipeline.preparing import Prepared
from synth_contracts.pipeline.results import versions
from synth_contracts.settings import Settings
from synth_contracts.signing import (
    KeyFolder,
    dump_canonical,
    load_strict,
    read_sealed,
    write_sealed,
)

#: What a contract says that shapes no model.
_NO_PART = {"preset", "blindAbove"}
#: What may differ from sample to sample.
_PER_SAMPLE = {"seed", "rows"}


def model_file(settings: Settings, table: str) -> Path:
    """Where the kept model of a table lies."""
    return settings.artifacts / "models" / f"{table}.model"


def keep_model(
    settings: Settings,
    keys: KeyFolder,
    ready: Prepared,
    learned: Learned,
    run_id: str,
    progress: Progress,
) -> None:
    """Write a fitted model, encrypted; it takes the place of the table's last one."""
    body = dump_canonical({**_bound(ready), "run_id": run_id}) + b"\n" + freeze(learned, progress)
    path = model_file(settings, ready.contract.table)
    write_sealed(path, body, keys.model_key(create=True))


def drop_model(settings: Settings, table: str) -> bool:
    """Delete the kept model of a table; whether there was one."""
    path = model_file(settings, table)
    found = path.is_file()
    path.unlink(missing_ok=True)
    return found


def kept_model(
    settings: Settings, keys: KeyFolder, ready: Prepared, progress: Progress
) -> tuple[Learned, str]:
    """The kept model of a table, and the id of the run that fitted it.

    Raises:
        Refused: none is kept, it was changed, or it was fitted on something else.
    """
    path = model_file(settings, ready.contract.table)
    if not path.is_file():
        raise Refused(
            "no model is kept",
            where=str(path),
            mend="write `saveModel: true` under synthetic.generator and build",
        )
    content = read_sealed(path, keys.model_key(create=False))
    head, _, frozen = content.partition(b"\n")
    header: Mapping[str, Any] = load_strict(head, str(path))
    for name, value in _bound(ready).items():
        if header.get(name) != value:
            raise Refused(
                f"the kept model was fitted with another {name}",
                where=str(path),
                mend=f"bring the {name} back, or build again: nothing is fitted anew unasked",
            )
    return thaw(frozen, progress), str(header["run_id"])


def _bound(ready: Prepared) -> dict[str, Any]:
    """What must be the same when a model is used as when it was fitted."""
    return {
        "format": 1,
        "table": ready.contract.table,
        "generator": ready.contract.generator.type,
        "contract": _shape(ready.contract),
        "source": ready.source.digest,
        "split": [ready.split.train_digest, ready.split.holdout_digest],
        "versions": versions(),
    }


def _shape(contract: Contract) -> dict[str, Any]:
    synthetic = {k: v for k, v in contract.expanded["synthetic"].items() if k not in _NO_PART}
    generator = synthetic["generator"]
    synthetic["generator"] = {k: v for k, v in generator.items() if k not in _PER_SAMPLE}
    return {"columns": contract.expanded["columns"], "synthetic": synthetic}
