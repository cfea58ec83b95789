"""Keys lie outside the project, wherever the project file or the environment say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth_contracts.errors import UsageError
from synth_contracts.scaffold import scaffold
from synth_contracts.settings import FILE, load_settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    scaffold(folder)
    return folder


def settings_with(project: Path, keys: str, environ: dict[str, str] | None = None) -> Any:
    path = project / FILE
    path.write_text(path.read_text() + f"\nkeys: {keys}\n")
    return load_settings(project, environ=environ or {"HOME": str(project.parent)})


@pytest.mark.parametrize("keys", ["keys", ".", "a/../b/keys", "../link/keys"])
def test_keys_inside_the_project_are_refused(project: Path, keys: str) -> None:
    (project.parent / "link").symlink_to(project)
    with pytest.raises(UsageError, match="lies inside the project") as caught:
        settings_with(project, keys)
    assert "keys" in str(caught.value.where)
    assert "outside" in caught.value.mend


def test_nor_does_the_environment_put_them_there(project: Path) -> None:
    with pytest.raises(UsageError, match="lies inside") as caught:
        settings_with(project, "../keys", {"SYNTH_CONTRACTS_KEYS": str(project / "keys")})
    assert caught.value.where == "SYNTH_CONTRACTS_KEYS"


def test_nor_the_users_folder_of_configuration(project: Path) -> None:
    with pytest.raises(UsageError, match="lies inside"):
        load_settings(project, environ={"XDG_CONFIG_HOME": str(project)})


def test_beside_the_project_is_outside(project: Path) -> None:
    assert settings_with(project, "../project-keys").keys == project.parent / "project-keys"
