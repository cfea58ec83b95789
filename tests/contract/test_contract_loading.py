"""Contracts that load, and every fault of those that do not, with its place and mend."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_contracts.contract import (
    interpolate,
    lint,
    load_contract,
    load_contracts,
    show_expanded,
)
from synth_contracts.contract.loading import load_files
from synth_contracts.errors import ContractError, SourceError

ROOT = Path(__file__).resolve().parents[2]
PLACE = re.compile(r".+:[1-9][0-9]*:[1-9][0-9]*\Z")


def calls(work: Callable[[], object]) -> int:
    """Calls of Python functions that ``work`` makes."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_the_demo_contract_says_what_the_baskets_are(demo_path, monkeypatch):
    monkeypatch.delenv("SYNTH_SOURCE", raising=False)
    contract = load_contract(demo_path)
    assert contract.table == "transactions"
    assert contract.roles.entity_key == "household_id"
    assert contract.roles.time_index == "transaction_timestamp"
    assert contract.roles.timezone == "America/New_York"
    assert contract.roles.quasi_identifiers == ("store_id", "age", "income")
    assert contract.roles.sensitive == ("amount", "top_department")
    assert contract.roles.exclude == ()
    assert contract.codes == ("store_id",)
    assert [c.name for c in contract.columns if c.primary_key] == ["basket_id"]
    assert len(contract.columns) == 15
    assert (contract.preset, contract.k, contract.holdout) == ("standard", 10, 0.3)
    assert contract.generator.type == "calendar_cart"
    assert contract.generator.seed == 7
    assert contract.generator.rows is None
    assert contract.generator.calendar.holidays == "US"
    assert contract.generator.outliers.other_value == {"store_id": 0}
    assert contract.export.ticket_pattern == "^(DATA|RISK)-[0-9]+$"
    assert (contract.export.token_ttl, contract.export.max_bytes) == (900, 500_000_000)
    assert contract.source is not None
    assert contract.source.database == "${SYNTH_SOURCE}"
    assert (contract.source.schema, contract.source.table) == ("raw", "transactions")
    # no rule of the preset is overridden, disabled or not asked
    assert {rule.origin for rule in contract.rules} == {"preset"}
    assert len(contract.rules) == 21
    assert contract.not_asked == ()
    assert contract.loosened == ()


def test_the_gan_contract_has_the_same_rules_and_a_bare_generator(demo_path):
    demo, gan = load_contracts([demo_path, demo_path.with_name("transactions_gan.odcs.yaml")])
    assert gan.table == "transactions_gan"
    assert gan.source == demo.source
    assert gan.rules == demo.rules
    assert (gan.columns, gan.roles, gan.export) == (demo.columns, demo.roles, demo.export)
    spec = gan.generator
    assert (spec.type, spec.fit_rows, spec.calendar.enabled) == ("ctgan", 4000, False)
    assert {"epochs": 15, "batch_size": 500}.items() <= spec.parameters.items()
    shields = spec.outliers
    assert not (shields.rare_category)
    assert not (shields.top_code)
    assert not (shields.reject)


def test_demo_contracts_have_no_warnings(demo_path):
    report = lint([demo_path, demo_path.with_name("transactions_gan.odcs.yaml")])
    assert (len(report.contracts), report.problems, report.warnings) == (2, (), ())


def test_both_examples_of_the_specification_load(examples):
    full = load_contract(examples / "transactions.odcs.yaml")
    minimal = load_contract(examples / "minimal.odcs.yaml")
    assert [rule.id for rule in full.rules if rule.origin == "contract"] == [
        "membership_inference", "autocorrelation", "ks-amount",
    ]  # fmt: skip
    ks = next(rule for rule in full.rules if rule.id == "ks-amount")
    assert (ks.metric, ks.column, ks.threshold) == ("ks", "amount", 0.04)
    assert minimal.columns == ()
    assert minimal.export.ticket_pattern == "^DATA-[0-9]+$"
    assert len(minimal.rules) == 21


def test_a_version_3_1_document_has_no_vendor(bent, demo_path):
    contract = bent(
        ("apiVersion: v3.2.0", "apiVersion: v3.1.0"),
        ("        vendor: synth-contracts\n", ""),
        ("    vendor: synth-contracts\n", ""),
    )
    assert contract.rules == load_contract(demo_path).rules
    assert contract.export.roles == ("synthetic_analyst",)


def test_another_vendors_sections_are_left_alone(bent, demo_path):
    contract = bent(
        (
            "    customProperties:\n",
            "    customProperties:\n"
            "      - {property: synthetic, vendor: acme, value: {preset: 3, anything: [1]}}\n",
        )
    )
    assert contract.digest == load_contract(demo_path).digest


def test_a_replayed_volume_is_warned_of_shown_and_hashed(bend, demo_path):
    path = bend(("volume: model", "volume: replay, volumeNoise: 4"))
    (warning,) = lint([path]).warnings
    assert "publishes train's daily totals" in warning.message
    contract = load_contract(path)
    calendar = contract.generator.calendar
    assert (calendar.volume, calendar.volume_noise) == ("replay", 4.0)
    assert "volumeNoise: 4" in show_expanded(contract)
    assert contract.digest != load_contract(demo_path).digest
    louder = load_contract(bend(("volume: model", "volume: replay, volumeNoise: 5")))
    assert louder.digest != contract.digest


#: (what is bent, where the fault stands, words of the message, words of the mend)
BENT = {
    "unknown key": ([("codes: [", "code: [")], "50:11", "unknown key `code` in `synthetic`", "`codes`"),
    "unknown export key": ([("maxRows:", "maxRow:")], "80:7", "unknown key `maxRow`", "`maxRows`"),
    "unknown top key": ([("domain: retail", "domian: retail")], "9:1", "unknown key `domian`", "`domain`"),
    "unknown preset": ([("preset: standard", "preset: standart")], "48:19", "standart", "`standard`"),
    "on is text": ([("reject: true", "reject: on")], "63:67", "text (`on`)", "write true"),
    "k as text": ([("k: 10", 'k: "10"')], "49:14", "whole number, not text", "without quotes"),
    "k as float": ([("k: 10", "k: 1e1")], "49:14", "must be a whole number", ""),
    "k as bool": ([("k: 10", "k: true")], "49:14", "must be a whole number, not true", ""),
    "k of one": ([("k: 10", "k: 1")], "49:14", "at least 2", ""),
    "nan": ([("k: 10", "k: .nan")], "49:14", "not a finite number", ""),
    "inf": ([("holdout: 0.3", "holdout: .inf")], "57:28", "not a finite number", ""),
    "overflow": ([("holdout: 0.3", "holdout: 1e999")], "57:28", "not a finite number", ""),
    "sexagesimal": ([("seed: 7", "seed: 1:30")], "61:19", "text (`1:30`)", ""),
    "huge": ([("seed: 7", "seed: " + "9" * 5000)], "61:19", "beyond 128 bits", ""),
    "large": ([("seed: 7", "seed: 99999999999999999999")], "61:19", "at most", ""),
    "holdout": ([("holdout: 0.3", "holdout: 0.95")], "57:28", "at most 0.9", ""),
    "duplicate": ([("k: 10", "k: 10\n          k: 12")], "50:11", "duplicate key `k`, first on line 49", ""),
    "tag": ([("k: 10", "k: !!python/object:os.system x")], "49:14", "tag !!python/object:os.system", ""),
    "alias": ([("k: 10", "k: *boom")], "49:14", "names no anchor", ""),
    "complex key": ([("k: 10", "[a]: 10")], "49:11", "a key must be text", ""),
    "number key": ([("k: 10", "10: 10")], "49:11", "a key must be text", ""),
    "version": ([("version: 1.0.0", "version: 1.0")], "7:10", "must be text", "quotes"),
    "api version": ([("apiVersion: v3.2.0", "apiVersion: v9")], "3:13", "cannot be `v9`", "v3.2.0"),
    "type": ([("logicalType: integer", "logicalType: int")], "29:40", "cannot be `int`", "`integer`"),
    "missing server": ([("  - server: source\n", "  - srv: source\n")], "16:5", "lacks `server`", ""),
    "variable": ([("${SYNTH_SOURCE}", "${SYNTH SOURCE}")], "19:15", "no variable", "${NAME}"),
    "server type": ([("type: duckdb", "type: postgres\n    port: 1\n    host: h")], "16:3", "can be read", "duckdb"),
    "unknown generator": ([("type: calendar_cart", "type: calendar_kart")], "59:19", "does not exist", "`calendar_cart`"),
    "noise of a model": ([("volume: model", "volume: model, volumeNoise: 3")], "62:53", "belongs to `volume: replay`", "take it out"),
    "noise below none": ([("volume: model", "volume: replay, volumeNoise: -1")], "62:67", "at least 0", ""),
    "volume": ([("volume: model", "volume: reply")], "62:46", "`reply`", "`replay`"),
    "fitRows of cart": ([("seed: 7", "seed: 7\n            fitRows: 900")], "62:13", "fits the whole training part", "take it out"),
    "distribution": ([("type: calendar_cart", "type: gaussian_copula"), ("reject: true", "reject: false"), ("seed: 7", "seed: 7\n            parameters: {default_distribution: bta}")], "62:48", "must be one of beta", "`beta`"),
    "reject of par": ([("type: calendar_cart", "type: par")], "63:67", "rows of par near outliers", "reject: false"),
    "reject of a bare tvae": ([("type: calendar_cart", "type: tvae"), ("calendar: {holidays: US, volume: model}", "calendar: false")], "63:67", "rows of a bare model near outliers", "reject: false"),
    "rows": ([("rows: source", "rows: all")], "60:19", "`rows` cannot be `all`", "source"),
    "rows of none": ([("rows: source", "rows: 0")], "60:19", "at least 1", ""),
    "parameter": ([("seed: 7", "seed: 7\n            parameters: {leaf_row: 200}")], "62:26", "no parameter `leaf_row`", "`leaf_rows`"),
    "small leaf": ([("seed: 7", "seed: 7\n            parameters: {leaf_rows: 15}")], "62:37", "from 100", ""),
    "epsilon": ([("seed: 7", "seed: 7\n            epsilon: 1.0")], "62:13", "gives no guarantee", "dp_marginals"),
    "blindAbove": ([("k: 10", "blindAbove: 0")], "49:23", "at least 1", ""),
    "blindAbove in parts": ([("k: 10", "blindAbove: 0.5")], "49:23", "must be", ""),
    "holidays": ([("holidays: US", "holidays: usa")], "62:34", "must match", ""),
    "other value": ([("otherValue: {store_id", "otherValue: {store")], "63:86", "not in `codes`", "`store_id`"),
    "code of text": ([("codes: [store_id]", "codes: [store_id, age]")], "50:29", "codes are integers", ""),
    "time zone": ([("America/New_York", "America/New_Yrok")], "54:23", "no time zone", "`America/New_York`"),
    "time zone path": ([("America/New_York", "../../etc/passwd")], "54:23", "no time zone", ""),
    "time index": ([("timeIndex: transaction_timestamp", "timeIndex: amount")], "53:24", "a number", ""),
    "role twice": ([("[amount, top_department]", "[amount, Amount]")], "56:33", "twice", ""),
    "role of key": ([("[amount, top_department]", "[basket_id]")], "56:25", "primary key", ""),
    "role excluded": ([("roles:\n            entity", "roles:\n            exclude: [age]\n            entity")], "56:42", "roles.exclude takes out", ""),
    "disable unknown": ([("k: 10", "disable: [ks_maxx]")], "49:21", "no rule `ks_maxx`", "`ks_max`"),
    "table name": ([("  - name: transactions\n", "  - name: Transactions\n")], "23:11", "cannot name", "physicalName"),
    "table name injected": ([("  - name: transactions\n", "  - name: 'x\"; DROP TABLE t'\n")], "23:11", "cannot name", ""),
    "table name dotted": ([("  - name: transactions\n", "  - name: release.t\n")], "23:11", "cannot name", ""),
    "table name line": ([("  - name: transactions\n", '  - name: "transactions\\n"\n')], "23:11", "cannot name", ""),
    "table name homoglyph": ([("  - name: transactions\n", "  - name: trаnsactions\n")], "23:11", "cannot name", ""),
    "table name long": ([("  - name: transactions\n", f"  - name: {'t' * 64}\n")], "23:11", "cannot name", ""),
    "physical name": ([("physicalName: transactions", 'physicalName: "a\\0b"')], "24:19", "control characters", ""),
    "column twice": ([("name: n_items", "name: Amount")], "34:16", "differs only by case", "line 33"),
    "column nul": ([("name: n_items", 'name: "n\\0"')], "33:16", "control characters", ""),
    "column pattern": ([("name: age, logicalType: string", "name: age, logicalType: string, logicalTypeOptions: {pattern: '['}")], "39:72", "no regular expression", ""),
    "column range": ([("{minimum: 1}", "{minimum: 5, maximum: 3}")], "33:105", "no value", ""),
    "column enum": ([("name: n_departments, logicalType: integer", "name: n_departments, logicalType: integer, enum: [{value: many}]")], "35:68", "not of type integer", ""),
    "nested column": ([("name: age, logicalType: string", "name: age, logicalType: object")], "39:34", "cannot be generated", "exclude"),
    "ticket open": ([("^(DATA|RISK)-[0-9]+$", "^DATA|RISK-[0-9]+$")], "77:22", "outside of brackets", ""),
    "ticket unanchored": ([("^(DATA|RISK)-[0-9]+$", "DATA-[0-9]+")], "77:22", "begin with ^", "^DATA"),
    "ticket without start": (
        [("^(DATA|RISK)-[0-9]+$", "DATA-[0-9]+$")], "77:22", "begin with ^", "^DATA",
    ),
    "ticket escaped": ([('"^(DATA|RISK)-[0-9]+$"', "'^DATA-[0-9]+\\$'")], "77:22", "end with $", ""),
    "ticket regex": ([("^(DATA|RISK)-[0-9]+$", "^(DATA-[0-9]+$")], "77:22", "no regular expression", ""),
    "ttl long": ([("tokenTtl: 15m", "tokenTtl: 25h")], "78:17", "24 hours", "15m"),
    "ttl none": ([("tokenTtl: 15m", "tokenTtl: 0")], "78:17", "24 hours", ""),
    "bytes": ([("maxBytes: 500MB", "maxBytes: lots")], "81:17", "no size", "500MB"),
    "formats": ([("[parquet, csv]", "[parquet, xlsx]")], "76:26", "`xlsx`", "csv"),
    "no format": ([("[parquet, csv]", "[]")], "76:16", "at least 1 items", ""),
    "export role": ([("roles: [synthetic_analyst]", "roles: [synthetic_analist]")], "79:15", "does not hold", "`synthetic_analyst`"),
    "fingerprint": ([("fingerprint: false", "fingerprint: {share: 0.1}")], "84:20", "true or false", ""),
    "no attempts": ([("maxAttempts: 5", "maxAttempts: 0")], "83:20", "at least 1", ""),
    "vendor": ([("vendor: synth-contracts", "vendor: synth-contract")], "46:17", "unknown vendor", "`synth-contracts`"),
    "section": ([("property: synthetic", "property: synthetics")], "45:19", "unknown section", "`synthetic`"),
    "two documents": ([("maxAttempts: 5", "maxAttempts: 5\n---\nk: 1")], "84:1", "second YAML document", ""),
    "not YAML": ([("k: 10", "k: [10")], "50:16", "not YAML", ""),
    "disabled attack": ([("k: 10", "disable: [membership_inference]")], "48:11", "membership_inference with severity error", ""),
    "no privacy": ([("preset: standard", "k: 20"), ("k: 10", "split: {holdout: 0.3}"), ("split: {holdout: 0.3}\n          generator", "generator")], "48:11", "no privacy rule of severity error", "preset"),
}  # fmt: skip


@pytest.mark.parametrize("case", BENT, ids=str)
def test_each_fault_has_place_words_and_mend(case, faults, bend):
    pairs, place, words, mend = BENT[case]
    report = faults(*pairs)
    assert report.contracts == ()
    found = {p.where.split(".yaml:")[1]: p for p in report.problems}
    assert place in found, [str(problem) for problem in report.problems]
    said = [p for p in report.problems if words in p.message]
    assert said, [str(problem) for problem in report.problems]
    assert any(mend in p.mend for p in said)
    assert all(PLACE.match(p.where) for p in report.problems)
    with pytest.raises(ContractError) as caught:
        load_contract(bend(*pairs))
    assert caught.value.problems == report.problems
    assert caught.value.exit_code == 2


def test_all_faults_of_all_files_come_at_once(bend, tmp_path, demo_path):
    bent = bend(
        ("k: 10", "k: none"), ("preset: standard", "preset: lax"), ("tokenTtl: 15m", "tokenTtl: 9d")
    )
    gone = tmp_path / "gone.odcs.yaml"
    twin = tmp_path / "twin.odcs.yaml"
    twin.write_text(demo_path.read_text())
    with pytest.raises(ContractError) as caught:
        load_contracts([demo_path, bent, gone, twin])
    places = [problem.where.rsplit("/", 1)[-1] for problem in caught.value.problems]
    assert places == [
        "bent.odcs.yaml:23:11", "bent.odcs.yaml:48:19", "bent.odcs.yaml:49:14",
        "bent.odcs.yaml:78:17", "gone.odcs.yaml:1:1", "twin.odcs.yaml:23:11",
    ]  # fmt: skip
    assert "is released by" in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("name", "raw", "place", "words"),
    [
        ("empty", b"", "1:1", "is empty"),
        ("comment", b"# nothing\n", "1:1", "is empty"),
        ("list", b"- a\n", "1:1", "mapping"),
        ("scalar", b"transactions", "1:1", "mapping"),
        ("latin", b"id: x\nname: caf\xe9\n", "2:10", "not UTF-8"),
        ("binary", bytes(range(256)), "2:118", "not UTF-8"),
        ("control", b"id: x\nname: a\x07b\n", "2:8", "not YAML"),
        ("large", b"#" * 1_000_001, "1:1", "larger than 1 MB"),
        # from 1,000 levels on newer versions of libyaml stop by themselves, further on in the line
        ("deep", b"a: " + b"[" * 900, "1:68", "nested deeper"),
        ("deep map", b"".join(b" " * i + b"a:\n" for i in range(100)), "65:65", "nested deeper"),
        ("surrogate", b'id: "\\ud800"', "1:8", "not YAML"),
        ("self", b"a: &a [*a]\n", "1:8", "names no anchor"),
        ("bomb", b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9))
            for i in range(12)), "5:23", "expands to more than"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_contract(name, raw, place, words, tmp_path):
    path = tmp_path / f"{name}.odcs.yaml"
    path.write_bytes(raw)
    reports = []
    # a nest or a bomb is refused before it is unfolded
    assert calls(lambda: reports.append(lint([path]))) < 1_000_000
    (problem,) = reports[0].problems
    assert problem.where == f"{path}:{place}"
    assert words in problem.message


def test_a_hundred_thousand_levels_are_refused_where_they_begin_or_where_libyaml_stops(tmp_path):
    path = tmp_path / "deep.odcs.yaml"
    path.write_bytes(b"a: " + b"[" * 100_000)
    reports = []
    assert calls(lambda: reports.append(lint([path]))) < 1_000_000
    (problem,) = reports[0].problems
    # from PyYAML 6.0.4 on libyaml itself stops at a thousand levels
    found = (problem.where.removeprefix(f"{path}:"), problem.message)
    assert any(
        found[0] == place and words in found[1]
        for place, words in (("1:68", "nested deeper"), ("1:1003", "nesting depth"))
    ), found


def test_a_folder_and_a_missing_file_are_said(tmp_path):
    assert "folder" in lint([tmp_path]).problems[0].message
    assert "does not exist" in lint([tmp_path / "none.yaml"]).problems[0].message


def test_variables_are_filled_only_when_the_source_is_used(bent):
    contract = bent(("${SYNTH_SOURCE}", "/data/${SYNTH_SOURCE}/${STAGE:-dev}.duckdb"))
    assert contract.source is not None
    filled = interpolate(contract.source, {"SYNTH_SOURCE": "shop"})
    assert filled.database == "/data/shop/dev.duckdb"
    assert (
        interpolate(contract.source, {"SYNTH_SOURCE": "a", "STAGE": "b"}).database
        == "/data/a/b.duckdb"
    )
    empty = dataclasses.replace(contract.source, database="${SYNTH_SOURCE:-}")
    with pytest.raises(SourceError, match="not set"):
        interpolate(empty, {})
    for environ in ({}, {"SYNTH_SOURCE": ""}):
        with pytest.raises(SourceError, match="SYNTH_SOURCE is not set") as caught:
            interpolate(contract.source, environ)
        assert "synth-contracts.yml" in caught.value.mend
        assert caught.value.exit_code == 3


def test_scalars_are_read_by_yaml_1_2(bent, faults):
    assert bent(("k: 10", "k: 0o14")).k == 12
    assert bent(("k: 10", "k: 0x0c")).k == 12
    assert bent(("k: 10", "k: +12")).k == 12
    report = faults(("k: 10", "k: 012"))
    assert report.contracts[0].k == 12
    assert "octal elsewhere" in report.warnings[0].message
    assert bent(("holdout: 0.3", "holdout: 2.5e-1")).holdout == 0.25
    assert bent(("minimum: 0}", "minimum: -0}")).column("AMOUNT").minimum == 0


def test_aliases_are_copies(bent):
    contract = bent(("age, income]", "age, &i income]"), ("[amount, top", "[*i, top"))
    assert contract.roles.sensitive == ("income", "top_department")


def test_roles_take_the_spelling_of_the_columns(bent):
    assert (
        bent(("entityKey: household_id", "entityKey: Household_ID")).roles.entity_key
        == "household_id"
    )


def test_a_partial_contract_with_odd_column_names(bent):
    contract = bent(
        ("{name: n_items, logicalType: integer", "{name: 'Größe (in \"cm\"), -- x'"),
        (", logicalTypeOptions: {minimum: 1}", ""),
    )
    column = contract.column('größe (in "cm"), -- X')
    assert column is not None
    assert column.logical_type is None


def test_bytes_and_times(bent):
    for text, seconds in (("900", 900), ("90s", 90), ("15m", 900), ("1h", 3600), ("24h", 86_400)):
        assert bent(("tokenTtl: 15m", f"tokenTtl: {text}")).export.token_ttl == seconds
    for text, size in (
        ("1", 1),
        ("2KiB", 2048),
        ("500mb", 500_000_000),
        ("1 GB", 10**9),
        ("null", None),
    ):
        assert bent(("maxBytes: 500MB", f"maxBytes: {text}")).export.max_bytes == size


def test_schema_and_rules_are_read_once_for_all_contracts(tmp_path, demo_path):
    """Lint of many costs what its files cost: counted in calls, which no busy machine changes."""
    text = demo_path.read_text()
    paths = []
    for i in range(12):
        path = tmp_path / f"t{i}.odcs.yaml"
        path.write_text(text.replace("- name: transactions\n", f"- name: t{i}\n"))
        paths.append(path)
    assert lint(paths).problems == ()
    two, all_of_them = calls(lambda: lint(paths[:2])), calls(lambda: lint(paths))
    assert all_of_them < 6.3 * two
    assert two < 150_000


def test_importing_contracts_is_light():
    code = (
        "import sys, synth_contracts.contract\n"
        "heavy = {'pandas', 'numpy', 'jsonschema', 'duckdb', 'great_expectations', 'sdv'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LINES = (ROOT / "contracts" / "transactions.odcs.yaml").read_text(encoding="utf-8").splitlines()
JUNK = st.sampled_from(
    ["", "null", "[]", "{}", "- x", "on", "1e3", ".nan", "-0", "0o9", "*a", "&a b", "!!binary x", "<<: *a",
     "? k", "'", '"', "|", ">", "%", "@", "\t", "---", "...", "{a: {b: [1, {c: d}]}}", "9" * 30, "é\u2028",
     "!x y", "k: v: w", "name: [transactions]", "value: {}", "value: 3", "quality: [{}]", "- {}", "[[[]]]"]
) | st.text(max_size=12)  # fmt: skip


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1), st.sampled_from(["value", "line", "cut", "twice"]), JUNK
        ),
        min_size=1,
        max_size=4,
    )
)
def test_malformed_contracts_only_raise_contract_errors(edits, tmp_path):
    lines = list(LINES)
    for at, how, junk in edits:
        line = lines[at]
        if how == "value":
            lines[at] = f"{line.split(': ')[0]}: {junk}"
        elif how == "line":
            lines[at] = " " * (len(line) - len(line.lstrip())) + junk
        elif how == "cut":
            lines[at] = ""
        else:
            lines[at] = f"{line}\n{line}"
    path = tmp_path / "malformed.odcs.yaml"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    (loaded,) = load_files([path])
    assert (loaded.contract is None) == bool(loaded.problems)
    for problem in (*loaded.problems, *loaded.warnings):
        assert PLACE.match(problem.where)
        assert problem.message
        assert len(problem.message) < 600


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    raw=st.binary(max_size=60)
    | st.text("[]{}:,-?*&!|>'\"#%@` \n\tab01.", max_size=60).map(str.encode)
)
def test_any_bytes_only_raise_contract_errors(raw, tmp_path):
    path = tmp_path / "bytes.odcs.yaml"
    path.write_bytes(raw)
    with pytest.raises(ContractError):
        load_contract(path)
