"""Keys, DSSE envelopes, strict JSON Web Tokens and keyed derivation. No product knowledge."""

from synth_contracts.signing.dsse import open_envelope, sign_statement
from synth_contracts.signing.jsontext import dump_canonical, load_strict
from synth_contracts.signing.keys import (
    BadSignature,
    KeyFolder,
    PublicKey,
    SigningKey,
    read_jwks,
)
from synth_contracts.signing.sealed import read_sealed, write_sealed
from synth_contracts.signing.secrets import commit, derive, stream

__all__ = [
    "BadSignature",
    "KeyFolder",
    "PublicKey",
    "SigningKey",
    "commit",
    "derive",
    "dump_canonical",
    "load_strict",
    "open_envelope",
    "read_jwks",
    "read_sealed",
    "sign_statement",
    "stream",
    "write_sealed",
]
