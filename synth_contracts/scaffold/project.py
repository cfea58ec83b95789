"""`init DIR`: an empty project that lints, with nothing in it to unlearn."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from synth_contracts.errors import UsageError

_FILES = {
    "synth-contracts.yml": "synth-contracts.yml",
    "contracts/example.odcs.yaml.txt": "example.odcs.yaml.txt",
    ".gitignore": "gitignore",
}


def scaffold(folder: Path) -> list[Path]:
    """Write the project file, an example contract and an ignore file into ``folder``.

    Returns:
        The files written. Files that exist already are left as they are.

    Raises:
        UsageError: ``folder`` is a project already, or cannot be written.
    """
    if (folder / "synth-contracts.yml").exists():
        raise UsageError(
            "the folder is a project already", where=str(folder), mend="choose another folder"
        )
    templates = files("synth_contracts.scaffold") / "templates"
    name = re.sub(r"[^a-z0-9-]+", "-", folder.resolve().name.lower()).strip("-") or "project"
    written = []
    try:
        for target, template in _FILES.items():
            path = folder / target
            if path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (templates / template).read_text(encoding="utf-8")
            path.write_text(text.replace("@NAME@", name), encoding="utf-8")
            written.append(path)
        warehouse = folder / "warehouse"
        if not warehouse.exists():
            # the registry lives here: nobody but the owner should be able to open it
            warehouse.mkdir(mode=0o700)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(folder), mend="choose another folder"
        ) from error
    return written
