"""The key folder: permissions, first use, rotation, secrets and heads."""

from __future__ import annotations

import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from synth_contracts.errors import Refused, UsageError
from synth_contracts.signing import BadSignature, KeyFolder, PublicKey, SigningKey


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder.open(tmp_path / "keys")


def test_kid_is_the_rfc_8037_thumbprint() -> None:
    # RFC 8037 appendix A.3
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    key = PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid})
    assert key.kid == kid
    assert PublicKey.from_jwk(key.jwk()) == key


def test_first_use_makes_one_key_and_one_secret(keys: KeyFolder) -> None:
    assert not keys.public_keys()
    key = keys.signing_key()
    again = KeyFolder.open(keys.path)
    assert again.signing_key().kid == key.kid
    assert list(again.public_keys()) == [key.kid]
    assert again.secret() == keys.secret()
    assert len(keys.secret()) == 32


def test_modes(keys: KeyFolder) -> None:
    keys.signing_key()
    keys.secret()
    keys.write_head("main", "0" * 64)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o700
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in keys.path.iterdir()}
    assert set(modes) == {"signing.pem", "public.jwks.json", "split.key", "head-main", ".lock"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o720])
def test_a_loose_folder_is_refused(keys: KeyFolder, mode: int) -> None:
    keys.path.chmod(mode)
    with pytest.raises(Refused, match="chmod 700"):
        KeyFolder.open(keys.path)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("signing.pem", lambda k: k.signing_key()),
        ("split.key", lambda k: k.secret()),
        ("public.jwks.json", lambda k: k.public_keys()),
        ("head-main", lambda k: k.read_head("main")),
    ],
)
def test_loose_linked_or_damaged_files_are_refused(keys: KeyFolder, name: str, use) -> None:
    keys.signing_key()
    keys.secret()
    keys.write_head("main", "a" * 64)
    path = keys.path / name
    path.chmod(0o640)
    with pytest.raises(Refused, match="chmod 600"):
        use(keys)
    path.chmod(0o600)
    use(keys)
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(Refused):
        use(keys)
    path.unlink()
    elsewhere = keys.path / "elsewhere"
    elsewhere.write_bytes(good)
    elsewhere.chmod(0o600)
    path.symlink_to(elsewhere)
    with pytest.raises(Refused):
        use(keys)


def test_a_missing_folder_is_not_made_when_not_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="keys init"):
        KeyFolder.open(tmp_path / "none", create=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        KeyFolder.open(tmp_path / "file")


def test_rotation_keeps_public_keys_and_destroys_the_private_half(keys: KeyFolder) -> None:
    first = keys.signing_key()
    signature = first.sign(b"x")
    second = keys.rotate()
    assert second.kid != first.kid
    assert keys.signing_key().kid == second.kid
    assert list(keys.public_keys()) == [first.kid, second.kid]
    keys.public_keys()[first.kid].verify(b"x", signature)
    assert len(list(keys.path.glob("*.pem"))) == 1
    assert all("d" not in jwk for jwk in keys.jwks()["keys"])


def test_a_lost_list_of_public_keys_gets_the_current_key_back(keys: KeyFolder) -> None:
    key = keys.signing_key()
    (keys.path / "public.jwks.json").unlink()
    assert not keys.public_keys()
    keys.signing_key()
    assert list(keys.public_keys()) == [key.kid]


def test_a_public_key_under_another_kid_is_refused(keys: KeyFolder) -> None:
    mine, other = keys.signing_key(), SigningKey.generate()
    path = keys.path / "public.jwks.json"
    path.write_text(path.read_text().replace(mine.public.jwk()["x"], other.public.jwk()["x"]))
    with pytest.raises(Refused, match="thumbprint"):
        keys.public_keys()


def test_another_kind_of_key_is_refused(keys: KeyFolder) -> None:
    keys.signing_key()
    rsa = generate_private_key(65537, 2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (keys.path / "signing.pem").write_bytes(pem)
    with pytest.raises(Refused, match="not an Ed25519 key"):
        keys.signing_key()


def test_bad_signatures(keys: KeyFolder) -> None:
    key = keys.signing_key()
    signature = key.sign(b"text")
    key.public.verify(b"text", signature)
    for data, sig in [(b"texT", signature), (b"text", b""), (b"text", bytes(64))]:
        with pytest.raises(BadSignature) as caught:
            key.public.verify(data, sig)
        assert caught.value.exit_code == 5


def test_the_private_half_is_not_printed(keys: KeyFolder) -> None:
    key = keys.signing_key()
    assert "private" not in repr(key)


def test_import_secret(keys: KeyFolder, tmp_path: Path) -> None:
    other = KeyFolder.open(tmp_path / "other")
    other.import_secret(keys.secret())
    other.import_secret(keys.secret())
    assert other.secret() == keys.secret()
    fourth = KeyFolder.open(tmp_path / "fourth")
    fourth.import_secret((keys.path / "split.key").read_bytes())
    assert fourth.secret() == keys.secret()
    with pytest.raises(UsageError, match="another secret"):
        other.import_secret(bytes(32))
    with pytest.raises(UsageError, match="32 bytes"):
        KeyFolder.open(tmp_path / "third").import_secret(b"short")


def test_heads(keys: KeyFolder) -> None:
    assert keys.read_head("main") is None
    keys.write_head("main", "ab" * 32)
    keys.write_head("other", "cd" * 32)
    keys.write_head("main", "ef" * 32)
    assert keys.read_head("main") == "ef" * 32
    assert keys.read_head("other") == "cd" * 32
    for name in ("../x", "a/b", "", "a.b", "a\n"):
        with pytest.raises(ValueError, match="registry id"):
            keys.read_head(name)
    with pytest.raises(ValueError, match="64 hex"):
        keys.write_head("main", "x")


def test_a_failed_write_leaves_the_old_file_and_no_other(keys: KeyFolder, monkeypatch) -> None:
    keys.write_head("main", "a" * 64)
    before = sorted(p.name for p in keys.path.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("synth_contracts.signing.keys.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        keys.write_head("main", "b" * 64)
    monkeypatch.undo()
    assert keys.read_head("main") == "a" * 64
    assert sorted(p.name for p in keys.path.iterdir()) == before


def test_two_first_uses_at_one_moment_make_one_key(tmp_path: Path, monkeypatch) -> None:
    write = KeyFolder._write

    def slow(self: KeyFolder, name: str, content: bytes) -> None:
        time.sleep(0.05)
        write(self, name, content)

    monkeypatch.setattr(KeyFolder, "_write", slow)
    keys = KeyFolder.open(tmp_path / "keys")
    with ThreadPoolExecutor(4) as pool:
        kids = {key.kid for key in pool.map(lambda _: keys.signing_key(), range(4))}
        secrets = set(pool.map(lambda _: keys.secret(), range(4)))
    assert len(kids) == len(secrets) == 1
    assert set(keys.public_keys()) == kids
