"""The key folder: one Ed25519 signing key, every public key there ever was, one secret, heads.

========================  ======================================================================
file                      holds
========================  ======================================================================
``signing.pem``           private half of the current key, PKCS8 PEM; a rotated one is gone
``public.jwks.json``      public halves, rotated ones too, for ever (JWK set, RFC 7517 and 8037)
``split.key``             32 secret bytes in hex for the split and the random streams
``model.key``             32 secret bytes in hex that kept models are encrypted with
``head-<registry>``       newest ledger head of that registry, so that an old copy is noticed
``<name>.jsonl``          a log that outlives the warehouse, one JSON object a line
========================  ======================================================================

The folder is 0700 and each file 0600; anything looser, or owned by somebody else, is refused.
Writes are atomic (temporary file, fsync, rename, fsync of the folder) and under a file lock, so
that two first uses at one moment make one key.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from synth_contracts.errors import Refused, UsageError
from synth_contracts.signing.jsontext import b64url, dump_canonical, load_strict, unb64url
from synth_contracts.signing.private import write_private

_SIGNING, _PUBLIC, _SECRET, _LOCK = "signing.pem", "public.jwks.json", "split.key", ".lock"
_MODEL = "model.key"
_FINGERPRINT = "fingerprint.key"
_HEAD_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_HEAD = re.compile(r"[0-9a-f]{64}")
SECRET_BYTES = 32
_HEX_SECRET = re.compile(rb"[0-9a-f]{64}\n?")


class BadSignature(Refused):
    """A signature is not by the key that it names."""


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key; ``raw`` is its 32 bytes."""

    raw: bytes

    @property
    def kid(self) -> str:
        """Key id: the RFC 7638 thumbprint (SHA-256, base64url)."""
        members = {"crv": "Ed25519", "kty": "OKP", "x": b64url(self.raw)}
        return b64url(hashlib.sha256(dump_canonical(members)).digest())

    def verify(self, data: bytes, signature: bytes) -> None:
        """Check an Ed25519 signature (64 bytes) over ``data``. Raises BadSignature."""
        try:
            self.ed25519.verify(signature, data)
        except InvalidSignature:
            raise BadSignature(
                f"the signature is not by the key {self.kid}",
                mend="the signed content was changed, or signed by another key",
            ) from None

    @property
    def ed25519(self) -> Ed25519PublicKey:
        """The key as the cryptography library holds it."""
        return Ed25519PublicKey.from_public_bytes(self.raw)

    def jwk(self) -> dict[str, str]:
        """The key as a JWK (RFC 8037)."""
        x = b64url(self.raw)
        return {
            "alg": "EdDSA", "crv": "Ed25519", "kid": self.kid, "kty": "OKP", "use": "sig", "x": x,
        }  # fmt: skip

    def pem(self) -> str:
        """The key as SubjectPublicKeyInfo PEM, as ``openssl pkeyutl`` reads it."""
        return self.ed25519.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @classmethod
    def from_jwk(cls, jwk: Any) -> PublicKey:
        """Read a JWK. Raises Refused: another key type, a private half, or a kid not its own."""
        if not isinstance(jwk, dict) or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
            raise Refused("a public key is not an Ed25519 JWK")
        x = jwk.get("x")
        raw = unb64url(x, "the public key") if isinstance(x, str) else b""
        if "d" in jwk or len(raw) != 32:
            raise Refused("a public key is not 32 bytes of Ed25519 public key alone")
        key = cls(raw)
        if jwk.get("kid") != key.kid:
            raise Refused(f"the public key {jwk.get('kid')} is not the key of that thumbprint")
        return key


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 private key with its key id. The private half is not printed."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self.private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        """Key id: the RFC 7638 thumbprint of the public half."""
        return self.public.kid

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature (64 bytes) over ``data``."""
        return self.private.sign(data)

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())


def read_jwks(raw: bytes, where: str) -> dict[str, PublicKey]:
    """The public keys of a JWK set by key id; ``where`` names it in messages.

    Raises:
        Refused: it is not a JWK set of Ed25519 public keys, each under its own thumbprint.
    """
    document = load_strict(raw, where)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise Refused("the list of public keys is damaged", where=where)
    return {key.kid: key for key in map(PublicKey.from_jwk, listed)}


class KeyFolder:
    """The keys of one project (see module). Open with ``KeyFolder.open``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> KeyFolder:
        """Open the folder at ``path``; it is made (0700) when missing and ``create`` is set.

        Raises:
            UsageError: it does not exist and ``create`` is False, or is not a folder.
            Refused: others may enter it, or somebody else owns it.
        """
        if not path.exists():
            if not create:
                raise UsageError(
                    "there is no key folder", where=str(path), mend="synth-contracts keys init"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
        if not path.is_dir():
            raise UsageError("the key folder is not a folder", where=str(path))
        _refuse_loose(path.stat(), path, "700")
        return cls(path)

    def signing_key(self) -> SigningKey:
        """The current signing key; made on first use.

        Raises:
            Refused: the file is readable by others, damaged, or not an Ed25519 key.
        """
        with self._lock():
            raw = self._read(_SIGNING)
            if raw is None:
                return self._install(SigningKey.generate())
            key = _load_private(raw, self.path / _SIGNING)
            if key.kid not in self._public():
                self._remember(key.public)
            return key

    def signing_kid(self) -> str | None:
        """The id of the current signing key; None before first use. Writes nothing.

        Raises:
            Refused: as :meth:`signing_key`.
        """
        raw = self._read(_SIGNING)
        return None if raw is None else _load_private(raw, self.path / _SIGNING).kid

    def rotate(self) -> SigningKey:
        """Make a new signing key. The old private half is destroyed, its public half kept."""
        with self._lock():
            raw = self._read(_SIGNING)
            if raw is not None:
                self._remember(_load_private(raw, self.path / _SIGNING).public)
            return self._install(SigningKey.generate())

    def public_keys(self) -> Mapping[str, PublicKey]:
        """Key id -> public key of every key this folder ever signed with, oldest first."""
        return self._public()

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK set (RFC 7517)."""
        return {"keys": [key.jwk() for key in self._public().values()]}

    def secret(self) -> bytes:
        """The 32 secret bytes for split and random streams; made on first use. Raises Refused."""
        with self._lock():
            found = self._secret()
            if found is None:
                found = secrets.token_bytes(SECRET_BYTES)
                self._write(_SECRET, found.hex().encode() + b"\n")
            return found

    def model_key(self, *, create: bool) -> bytes:
        """The 32 secret bytes that kept models are encrypted with; made where ``create`` is set.

        Raises:
            Refused: missing and ``create`` is False, readable by others, damaged, or not writable.
        """
        return self._kept(
            _MODEL,
            "key of kept models",
            create=create,
            lost="use the key folder that the model was kept with, or build again",
            instead="take saveModel out",
        )

    def fingerprint_key(self, *, create: bool) -> bytes:
        """The 32 secret bytes that say what each export omits; made where ``create`` is set.

        Raises:
            Refused: missing and ``create`` is False, readable by others, damaged, or not writable.
        """
        return self._kept(
            _FINGERPRINT,
            "key of fingerprints",
            create=create,
            lost="put back the key folder that the release was built with; without it "
            "no leak of its exports can be traced, and a build with --full-refresh makes "
            "a new release with a new key",
            instead="take export.fingerprint out",
        )

    def _kept(self, name: str, what: str, *, create: bool, lost: str, instead: str) -> bytes:
        """32 secret bytes of a file of their own; ``lost`` and ``instead`` are mends."""
        with self._lock():
            found = self._hex(name)
            if found is None and not create:
                raise Refused(f"there is no {what}", where=str(self.path / name), mend=lost)
            if found is None:
                found = secrets.token_bytes(SECRET_BYTES)
                try:
                    self._write(name, found.hex().encode() + b"\n")
                except OSError as error:
                    raise Refused(
                        f"the {what} cannot be written: {error.strerror}",
                        where=str(self.path),
                        mend=f"make the key folder writable, or {instead}",
                    ) from error
            return found

    def import_secret(self, raw: bytes) -> None:
        """Install a secret of another folder, so that the same split and rows come out.

        Args:
            raw: 32 bytes, or the content of another folder's ``split.key`` (64 hex digits).

        Raises:
            UsageError: neither, or this folder already holds another secret.
        """
        if _HEX_SECRET.fullmatch(raw):
            raw = bytes.fromhex(raw.decode().strip())
        if len(raw) != SECRET_BYTES:
            raise UsageError(
                f"a secret is {SECRET_BYTES} bytes or {2 * SECRET_BYTES} hex digits",
                mend="name the split.key of another key folder",
            )
        with self._lock():
            found = self._secret()
            if found is not None and found != raw:
                raise UsageError(
                    "this key folder already holds another secret",
                    where=str(self.path / _SECRET),
                    mend="use an empty key folder: releases of this one were split by its secret",
                )
            self._write(_SECRET, raw.hex().encode() + b"\n")

    def read_head(self, name: str) -> str | None:
        """The newest ledger head noted for the registry ``name``; None when none was."""
        raw = self._read(_head_file(name))
        if raw is None:
            return None
        head = raw.decode("ascii", "replace").strip()
        if not _HEAD.fullmatch(head):
            raise Refused("the noted ledger head is damaged", where=str(self.path))
        return head

    def write_head(self, name: str, head: str) -> None:
        """Note the newest ledger head (64 hex digits) of the registry ``name``; durable."""
        if not _HEAD.fullmatch(head):
            raise ValueError("a ledger head is 64 hex digits")
        self._write(_head_file(name), head.encode() + b"\n")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold off other processes that use these keys: read, decide and write as one step."""
        with self._lock():
            yield

    def read_log(self, name: str) -> list[bytes]:
        """The lines of the log ``name``, oldest first; none when there is no such log."""
        raw = self._read(_log_file(name))
        return [] if raw is None else raw.splitlines()

    def write_log(self, name: str, lines: Sequence[bytes]) -> None:
        """Put a log in the place of the old one in one step; durable when this returns."""
        self._write(_log_file(name), b"".join(line + b"\n" for line in lines))

    # the rest is called under the lock or is a single read

    def _install(self, key: SigningKey) -> SigningKey:
        self._remember(key.public)  # first: a signature must never outlive its public key
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._write(_SIGNING, pem)
        return key

    def _remember(self, key: PublicKey) -> None:
        keys = {**self._public(), key.kid: key}
        self._write(_PUBLIC, dump_canonical({"keys": [k.jwk() for k in keys.values()]}) + b"\n")

    def _public(self) -> dict[str, PublicKey]:
        raw = self._read(_PUBLIC)
        if raw is None:
            return {}
        return read_jwks(raw, str(self.path / _PUBLIC))

    def _secret(self) -> bytes | None:
        return self._hex(_SECRET)

    def _hex(self, name: str) -> bytes | None:
        raw = self._read(name)
        if raw is None:
            return None
        if not _HEX_SECRET.fullmatch(raw):
            raise Refused(
                f"the secret is not {2 * SECRET_BYTES} hex digits", where=str(self.path / name)
            )
        return bytes.fromhex(raw.decode().strip())

    def _read(self, name: str) -> bytes | None:
        path = self.path / name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(f"cannot be read: {error.strerror}", where=str(path)) from error
        with os.fdopen(handle, "rb") as file:
            _refuse_loose(os.fstat(file.fileno()), path, "600")
            return file.read()

    def _write(self, name: str, content: bytes) -> None:
        write_private(self.path / name, content)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)  # closing drops the lock


def _log_file(name: str) -> str:
    if not _HEAD_NAME.fullmatch(name):
        raise ValueError(f"not a log: {name!r}")
    return f"{name}.jsonl"


def _head_file(name: str) -> str:
    if not _HEAD_NAME.fullmatch(name):
        raise ValueError(f"not a registry id: {name!r}")
    return f"head-{name}"


def _refuse_loose(found: os.stat_result, path: Path, mode: str) -> None:
    if found.st_uid != os.geteuid():
        raise Refused(
            "somebody else owns it", where=str(path), mend="use a key folder of your own user"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Refused(
            f"other users may read or write it (mode {stat.S_IMODE(found.st_mode):o})",
            where=str(path),
            mend=f"chmod {mode} {path}",
        )


def _load_private(raw: bytes, path: Path) -> SigningKey:
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError) as error:
        raise Refused(f"the signing key cannot be read: {error}", where=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused("the signing key is not an Ed25519 key", where=str(path))
    return SigningKey(key)
