"""Report cards that lie beside the project are those of the ledger, or `verify` refuses."""

from __future__ import annotations

from pathlib import Path

from batteries.ground import TABLE, Ground
from batteries.small import CONTRACT, built

UNLIKE = """\
      - id: ks_mean
        type: custom
        engine: greatExpectations
        implementation: {type: expect_table_ks_mean_to_be_at_most, kwargs: {max_value: 0.0}}
customProperties:
  - property: export
"""


def cards(place: Ground) -> list[Path]:
    folder = place.root / "target" / "cards" / TABLE
    return sorted(folder.glob("*/report-card.html"), key=lambda path: path.stat().st_mtime)


def test_cards_of_a_blocked_and_a_released_run_are_not_exchanged(small: Ground) -> None:
    copy = small.copied("exchanged")
    contract = copy.root / "contracts" / f"{TABLE}.odcs.yaml"
    blocked = CONTRACT.replace("customProperties:\n  - property: export\n", UNLIKE)
    contract.write_text(blocked, encoding="utf-8")
    assert built(copy).code == 1
    contract.write_text(CONTRACT, encoding="utf-8")
    assert copy.command("verify", TABLE).code == 0
    released, other = cards(copy)
    texts = released.read_bytes(), other.read_bytes()
    for swapped in ((1, 0), (1, 1), (0, 0)):
        released.write_bytes(texts[swapped[0]])
        other.write_bytes(texts[swapped[1]])
        before = copy.house.bytes()
        answer = copy.command("verify", TABLE)
        assert answer.fault(5) is None, answer
        assert "report card of run" in answer.err
        assert copy.house.bytes() == before
    # removed is not exchanged; and put back it verifies
    released.unlink()
    other.write_bytes(texts[1])
    assert copy.command("verify", TABLE).code == 0
    released.write_bytes(texts[0])
    assert copy.command("verify", TABLE).code == 0
    # what leaves the house never came from there
    released.write_bytes(texts[1])
    bundle = copy.bundle()
    assert b"BLOCKED" not in (bundle / "data" / "report-card.html").read_bytes()
    assert copy.verify(bundle).code == 0
    copy.remove()
