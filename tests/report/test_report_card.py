"""The card as a file: verdict first, self-contained, readable by all, two audiences, no real value."""

import hashlib
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from synth_contracts.errors import ReleaseBlocked
from synth_contracts.gate import Outcome, Reason, Verdict, blocked, judge
from synth_contracts.metrics.measurement import Measurement, NotMeasured
from synth_contracts.report import build_card

VOID = {"meta", "br", "col", "link", "img", "path", "rect", "circle"}
AUDIENCES = ["owner", "analyst"]


class Page(HTMLParser):
    """Elements with their attributes and open ancestors; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict, tuple[str, ...]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag):
        return [attrs for name, attrs, _ in self.elements if name == tag]


@pytest.fixture(scope="module")
def passed(card_of):
    return card_of()


@pytest.fixture(scope="module")
def analyst(card_of):
    return card_of("analyst")


@pytest.fixture(scope="module")
def broken(card_of):
    return card_of(values={"autocorrelation": 0.4071, "hour_profile": 0.363, "ks_max": 0.933})


def headline(card):
    return re.search(r"<h1>.*?</h1>", card.html, re.S).group()


def test_the_first_line_is_the_verdict(passed, broken, card_of):
    assert "Passed these tests: all 10 rules hold; released as transactions-2026" in headline(
        passed
    )
    assert "Do not use. 3 of 10 rules are broken, so nothing was released." in headline(broken)
    one = card_of(values={"ks_max": 0.9})
    assert "1 of 10 rules is broken" in headline(one)
    none = card_of(values={"membership_inference": NotMeasured("membership_inference", "why")})
    assert "Not evaluated: 1 of 10 rules could not be measured" in headline(none)
    assert none.json["verdict"]["outcome"] == "NOT_EVALUATED"


def test_broken_and_close_rules_are_links_to_their_rows(passed, broken):
    lead = re.search(r'<p class="lead">.*?</p>', broken.html, re.S).group()
    for code, title in (("F2", "worst column"), ("F3", "Rhythm"), ("F4", "Hours of the day")):
        assert re.search(rf'<a href="#rule-{code}">{code} [^<]*{title}', lead)
        assert f'id="rule-{code}"' in broken.html
    assert broken.json["verdict"]["broken"] == ["ks_max", "autocorrelation", "hour_profile"]
    assert "released as" not in broken.html
    assert "no export is possible" in broken.html
    assert passed.json["verdict"]["close"] == ["autocorrelation"]


def test_a_rule_that_only_warns_does_not_read_as_held(card_of, contract):
    rules = tuple(
        replace(r, severity="warning") if r.id == "hour_profile" else r for r in contract.rules
    )
    card = card_of(contract=replace(contract, rules=rules), values={"hour_profile": 0.4})
    assert "9 of 10 rules hold, 1 that only warns did not; released" in headline(card)
    assert "only warns" in card.html


def test_faults_of_the_whole_evaluation_are_said(card_of, contract, make):
    foreign = make.evaluation(contract, contract_digest="b" * 64)
    card = card_of(evaluation=foreign)
    assert "Not evaluated: " in headline(card)
    assert "another contract" in card.html
    assert "released as" not in card.html


def test_without_evaluation_and_tables_there_is_still_a_card(contract, make):
    reason = Reason("contract", None, None, None, "the generator returned nothing")
    verdict = Verdict(Outcome.NOT_EVALUATED, (reason,), (), contract.digest, "")
    for audience in AUDIENCES:
        card = build_card(
            contract, None, verdict, comparison=None, provenance={}, attempts=[], docs_link=None,
            audience=audience,
        )  # fmt: skip
        assert "so nothing was released" in headline(card)
        assert "The generator returned nothing" in card.html
        assert "No figures: no tables were compared" in card.html
        Page(card.html)
        json.loads(card.json_text)


@pytest.mark.parametrize("kind", ["passed", "analyst", "broken"])
def test_the_page_is_self_contained_and_small(kind, request):
    card = request.getfixturevalue(kind)
    page = Page(card.html)
    assert len(card.html.encode()) < 200_000
    policy = next(a for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    names = {name for name, _, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "form", "link", "img", "base"}
    assert not re.search(r"https?://|@import|expression\(|javascript:", card.html)
    assert set(re.findall(r"url\(([^)]*)\)", card.html)) <= {
        f"#{name}-p" for name in ("h-real", "h-synthetic", "h-diff", "f-daily", "f-marginal")
    }
    for _, attrs, _ in page.elements:
        assert not [name for name in attrs if name.startswith("on")]
    for words in ("prefers-color-scheme:dark", "@media print", "@media screen and (max-width"):
        assert words in card.html


@pytest.mark.parametrize("kind", ["passed", "analyst", "broken"])
def test_the_page_is_readable_without_eyes(kind, request):
    page = Page(request.getfixturevalue(kind).html)
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(name[1]) for name, _, _ in page.elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert all("scope" in attrs for attrs in page.all("th"))
    tables = [place for place, (name, _, _) in enumerate(page.elements) if name == "table"]
    assert all(page.elements[place + 1][0] == "caption" for place in tables)
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in page.all("svg"):
        if attrs.get("aria-hidden") != "true":
            assert attrs["role"] == "img"
            title, description = attrs["aria-labelledby"].split()
            assert {title, description} <= set(ids)
    for attrs in page.all("a"):
        assert not attrs["href"].startswith("#") or attrs["href"][1:] in ids


def test_states_are_told_by_word_and_glyph(broken):
    for state, glyph in (("broken", "✕"), ("holds", "✓")):
        assert re.search(rf'aria-hidden="true">{glyph}</span>{state}</td>', broken.html)


@pytest.mark.parametrize("kind", ["passed", "analyst", "broken"])
def test_words_that_promise_too_much_are_not_used(kind, request):
    text = Page(request.getfixturevalue(kind).html).text.lower()
    assert not re.search(r"\b(safe|proven|anonymous|anonymised|anonymized|guaranteed)\b", text)


def test_every_number_of_a_rule_is_on_the_page(passed):
    page = re.sub(r"\s+", " ", passed.html)
    row = re.search(r'id="rule-P1".*?</tr>', page).group()
    for words in ("≤ 0.25", "0.085", "−0.065 to 0.24", "+66 %", "<svg"):
        assert words in row
    counted = re.search(r'id="rule-P4".*?</tr>', page).group()
    assert "not estimated" in counted
    judged = re.search(r'id="rule-F3".*?</tr>', page).group()
    assert "over unseen real rows: <strong>0.087</strong>" in judged


def test_the_card_tells_the_same_numbers_as_the_error(card_of, contract, make):
    evaluation = make.evaluation(contract, {"membership_inference": 0.31})
    verdict = judge(contract, evaluation)
    error = blocked(contract, verdict)
    assert isinstance(error, ReleaseBlocked)
    card = card_of(evaluation=evaluation)
    row = re.search(r'id="rule-P1".*?</tr>', card.html, re.S).group()
    shown = re.search(r"membership_inference (\S+) \(95 % interval (.*?)\)", str(error))
    assert f"<span>{shown[1]}</span>" in row
    assert f"<span>{shown[2]}</span>" in row


def test_attacks_stand_side_by_side(passed):
    assert [a["attack"] for a in passed.json["attacks"]] == ["distance", "calibrated"]
    assert "54 % of its surest guesses (a coin: 50 %)" in passed.html


def test_attacks_may_be_numbers_or_a_list(card_of, contract, make):
    base = make.evaluation(contract).results["membership_inference"]
    for attacks in (
        {"distance": 0.1, "calibrated": 0.2},
        [{"name": "distance", "value": 0.1}, {"attack": "calibrated", "advantage": 0.2}],
        {"distance": {"value": 0.1, "interval": [0.0, 0.2]}, "calibrated": {"value": 0.2}},
    ):
        given = replace(base, details={"attacks": attacks})
        card = card_of(values={"membership_inference": given})
        assert [a["value"] for a in card.json["attacks"]] == [0.1, 0.2]


def test_loosened_limits_are_marked_three_times(card_of, contract, make):
    rules = tuple(
        replace(r, loosened=True, threshold=0.3) if r.id == "membership_inference" else r
        for r in contract.rules
    )
    gone = make.not_asked("nearest_neighbor_distance", "disabled by the contract", True)
    weaker = replace(
        contract,
        rules=tuple(r for r in rules if r.id != "nearest_neighbor_distance"),
        not_asked=(gone,),
    )
    card = card_of(contract=weaker)
    assert card.html.count("LOOSENED") == 3
    assert card.json["verdict"]["loosened"] == ["membership_inference", "nearest_neighbor_distance"]
    assert "Not asked by this contract" in card.html


def test_attempts_and_provenance_are_told(passed):
    text = Page(passed.html).text
    assert "This is attempt 2 of 5" in text
    assert "✕ blocked autocorrelation, hour_profile" in text
    for words in ("5" * 64, "424242", "synth-contracts 0.1.0", "30 % held out", "preset standard"):
        assert words in text
    assert "sha256sum -c manifest-sha256.txt" in text
    assert "synth-contracts verify transactions" in text
    assert "open: no person has signed this card" in text
    assert 'href="../../gx/docs/index.html"' in passed.html


def test_the_limits_are_true_of_this_run(passed, card_of, contract, make):
    text = " ".join(passed.json["limits"])
    assert "Shadow-model attacks were not run" in text
    assert "all records of one household_id together was not run" in text
    base = make.evaluation(contract)
    more = Measurement(
        "entity_membership_inference", 0.1, 700, "entities", "lower_is_better", "m", "holdout"
    )
    card = card_of(evaluation=replace(base, reported={"entity_membership_inference": more}))
    assert "household_id together was not run" not in " ".join(card.json["limits"])
    assert "Measured for information" in card.html


def test_json_and_html_hold_together(passed):
    assert json.loads(passed.json_text) == passed.json
    assert passed.json["schema_version"] == 1
    assert hashlib.sha256(passed.json_text.encode()).hexdigest() in passed.html
    assert hashlib.sha256(passed.html.encode()).hexdigest() == passed.digest
    assert passed.json_text == json.dumps(passed.json, indent=2, allow_nan=False)


def test_the_same_facts_give_the_same_bytes(card_of, passed):
    assert card_of().digest == passed.digest
    assert card_of(values={"ks_max": 0.0461}).digest != passed.digest


# The analyst's card


def test_the_analysts_card_holds_no_secret_of_the_source(analyst, passed, make):
    both = analyst.html + analyst.json_text
    for name, secret in make.secrets.items():
        assert str(secret) not in both, name
        assert str(secret) in passed.html, name
    for words in ("1,728", "1728", "48565", "107283", "0.0853", "0.1247", "gx/docs"):
        assert words not in both
    for commitment in ("e" * 64, "f" * 64, "d" * 64):
        assert commitment in analyst.html
    assert "about 1,700 trained on" in analyst.html
    assert "Synthetic table alone" in analyst.html or "synthetic table alone" in analyst.html


def test_the_analysts_card_does_not_change_with_the_real_tables(card_of, frames, analyst):
    swapped = type(frames)(frames.holdout.iloc[:50], frames.train, frames.synthetic, frames.schema)
    assert card_of("analyst", comparison=swapped).digest == analyst.digest
    assert card_of("owner", comparison=swapped).digest != analyst.digest


def test_unknown_provenance_reaches_no_card(card_of):
    card = card_of("analyst", notes="CANARY-NOTE", source_host="CANARY-HOST")
    assert "CANARY" not in card.html + card.json_text


# Nothing real, nothing injected


@pytest.mark.parametrize("audience", AUDIENCES)
def test_planted_values_appear_in_no_card(card_of, contract, make, parts, audience):
    """The generator copied everything, and metrics put values where they must not."""
    train, holdout, _ = parts
    lonely = train.iloc[[0] * 37].assign(
        transaction_timestamp=pd.Timestamp("2017-12-25 15:00"),
        amount=987654.32,
        top_department="CANARY-CATEGORY",
        household_id=313373,
    )
    far = lonely.iloc[:3].assign(transaction_timestamp=pd.Timestamp("2031-03-03 03:00"))
    real = pd.concat([train, lonely, far], ignore_index=True)
    copied = make.frames(contract, real, holdout, pd.concat([real, holdout], ignore_index=True))
    base = make.evaluation(contract).results["membership_inference"]
    leaky = replace(base, details={**base.details, "nearest": ["CANARY-ROW"], "max": 987654.32})
    error = NotMeasured("ks_mean", "ValueError: cannot read 'CANARY-VALUE'", error=True)
    card = card_of(
        audience, comparison=copied, values={"membership_inference": leaky, "ks_mean": error}
    )
    # digests hold any four figures sooner or later
    both = re.sub(r"\b[0-9a-f]{64}\b", "", card.html + card.json_text)
    for secret in ("CANARY", "987654", "987,654", "313373", "2031"):
        assert secret not in both
    daily = card.json["figures"]["daily"]
    place = (pd.Timestamp("2017-12-25") - pd.Timestamp(daily["start"])).days
    assert daily["synthetic"][place] is None


def test_names_from_outside_are_text_and_not_markup(card_of, contract, make):
    nasty = '<img src=x onerror="alert(1)">'
    ks = replace(
        contract.rules[4], id="ks-x", metric="ks", column=nasty, expectation="e", family="fidelity"
    )
    outside = replace(
        contract,
        id=nasty,
        description={"usage": nasty, "limitations": "</style><script>alert(1)</script>"},
        rules=(*contract.rules, ks),
    )
    base = make.evaluation(contract)
    result = replace(base.results["ks_mean"], metric="ks", column=nasty)
    card = card_of(
        contract=outside, evaluation=replace(base, results={**base.results, "ks-x": result})
    )
    page = Page(card.html)
    assert not page.all("script")
    assert not page.all("img")
    assert nasty in page.text


# Every rule, the positive control, warnings


@pytest.fixture(scope="module")
def wide(make, card_of):
    contract, evaluation = make.wide()
    return {
        audience: card_of(audience, contract=contract, evaluation=evaluation)
        for audience in AUDIENCES
    }


def row_of(card, metric):
    found = next(row for row in card.json["rules"] if row["metric"] == metric)
    html = re.search(rf'id="rule-{found["code"]}".*?</tr>', card.html, re.S).group()
    return found, re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_every_wide_rule_stands_on_both_cards(wide, make):
    contract, _ = make.wide()
    for card in wide.values():
        assert [row["state"] for row in card.json["rules"]].count("holds") >= 19
        assert len(card.json["rules"]) == len(contract.rules) == 20
        assert "all 20 rules hold" in card.html
        Page(card.html)


def test_baselines_and_raw_values_stand_beside_the_judged_ones(wide):
    _, text = row_of(wide["owner"], "detection")
    assert "Unseen real rows read 0.50." in text
    assert "unmerged it reads 0.92 (unseen real rows 0.50)" in text
    _, text = row_of(wide["owner"], "calendar_correlation")
    assert "Unseen real rows reach 0.61." in text
    assert "share of what real rows reach: 0.88" in text
    _, text = row_of(wide["owner"], "total_variation")
    assert "unmerged it reads 0.082 (unseen real rows 0.051)" in text
    assert "Worst: top_department." in text
    _, text = row_of(wide["owner"], "pair_association")
    assert "Worst: age with income." in text
    _, text = row_of(wide["owner"], "replicated_uniques")
    assert "unmerged" not in text


def test_the_analyst_reads_no_baseline_and_rounded_raw_values(wide):
    _, text = row_of(wide["analyst"], "detection")
    assert "unmerged it reads 0.92." in text
    assert "unseen real rows read" not in text.lower()
    both = wide["analyst"].html + wide["analyst"].json_text
    for exact in ("0.5823", "0.9177", "0.5043", "0.6134", "0.0771", "0.1284"):
        assert exact not in both


def test_a_text_in_the_details_that_is_no_column_is_not_printed(wide):
    for card in wide.values():
        assert "CANARY" not in card.html + card.json_text


def test_counts_of_people_are_whole_numbers(wide):
    found, text = row_of(wide["owner"], "recognized_entities")
    assert found["value"] == 0
    assert " 0.00 " not in text


def test_each_attack_is_named_and_said_in_its_own_words(wide):
    attacks = {(a["metric"], a["attack"]): a for a in wide["owner"].json["attacks"]}
    assert ("entity_membership_inference", "aggregate") in attacks
    right = attacks["outlier_membership_inference", "calibrated"]["right"]
    assert right == "52 % of pairs told apart (a coin: 50 %)"
    assert attacks["recognized_entities", "link"]["right"] == ""
    assert "Tracing: days of one unit against the published daily totals" in wide["analyst"].html


def test_p_values_are_the_owners(wide):
    at = ("recognized_entities", "hole")
    owner, analyst = (
        {(a["metric"], a["attack"]): a for a in wide[who].json["attacks"]}[at]
        for who in ("owner", "analyst")
    )
    assert owner["p_value"] == 0.4173
    assert owner["right"] == "8 of 15 guesses; p = 0.42"
    assert "p is how probable as many right guesses are" in wide["owner"].html
    assert analyst["right"] == ""
    assert "p_value" not in analyst
    for told in (wide["analyst"].html, wide["analyst"].json_text):
        assert "0.41" not in told
        assert "p is how probable" not in told


def test_the_positive_control_in_words_table_and_curves(wide):
    for card in wide.values():
        text = Page(card.html).text
        assert "Were the attacks able to find a leak?" in text
        assert (
            "Exact rows: from 12 households picked at random on; from 12 households among the "
            "most unusual on." in text
        )
        assert "Noisy copies of rows: not even 500 households picked at random;" in text
        assert "Whole households" in text
        assert card.html.count('id="c-random-t"') == card.html.count('id="c-isolated-t"') == 1
        assert "(one half of the holdout against the other)" in text
        assert "BLIND" not in card.html
        assert (
            "not seen at any size: noisy copies of rows (picked at random and among the most "
            "unusual)" in " ".join(card.json["limits"])
        )


def test_what_attacks_read_on_planted_copies_is_the_owners(wide):
    kinds = wide["owner"].json["controls"]["kinds"]
    assert kinds[0]["curve"][1]["readings"]["membership_inference"] == pytest.approx(0.1467)
    for kind in wide["analyst"].json["controls"]["kinds"]:
        assert all(set(point) == {"entities", "power"} for point in kind["curve"])
    assert "0.0421" not in wide["analyst"].json_text


def test_blind_is_said_when_the_contract_asks_for_more(make, card_of):
    contract, evaluation = make.wide()
    # noisy copies and mixtures do not count: nobody sees them on a narrow table
    for most, kinds in ((6, 4), (11, 2), (12, 0), (None, 0)):
        asked = replace(contract, blind_above=most)
        again = replace(evaluation, contract_digest=asked.digest)
        for audience in AUDIENCES:
            card = card_of(audience, contract=asked, evaluation=again, comparison=None)
            found = [kind["blind"] for kind in card.json["controls"]["kinds"]]
            assert sum(found) == kinds, most
            assert ("BLIND" in card.html) == (kinds > 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, None),
        ({"reason": "no rule could block a leak"}, "Not tried in this run: no rule could block"),
        ({"kinds": [], "reason": None}, "Not tried in this run: no leak was planted"),
        ({"kinds": [{"kind": "exact", "reason": "too few rows"}]}, "not planted: too few rows"),
        ({"kinds": [{"kind": "new_kind", "largest_tried": 9, "curve": "x"}]}, "New kind"),
        ({"kinds": [{"kind": "exact", "curve": [{"entities": 0, "power": 0.0}, {"entities": 1}]}],
          "null": {"what": "", "readings": {}, "reason": "150 entities"}}, "150 entities"),
        ({"kinds": [{"kind": "exact"}], "null": {"what": "halves", "readings": {
            "ks_mean": {"reason": "only nulls"}}}}, "not measured: only nulls"),
    ],
)  # fmt: skip
def test_a_control_of_any_shape_gives_a_page(make, card_of, given, said):
    contract, evaluation = make.wide()
    for audience in AUDIENCES:
        card = card_of(
            audience,
            contract=contract,
            evaluation=replace(evaluation, controls=given),
            comparison=None,
        )
        Page(card.html)
        assert ("able to find a leak?" in card.html) == (given is not None)
        assert said is None or said in Page(card.html).text
        assert given is not None or "No leak was planted" in " ".join(card.json["limits"])


def calendar(evaluation, **changes):
    result = replace(evaluation.results["calendar_correlation"], **changes)
    return replace(evaluation, results={**evaluation.results, "calendar_correlation": result})


@pytest.mark.parametrize(
    ("changes", "warns"),
    [
        ({}, False),
        ({"value": 0.99, "lower": 0.97, "upper": 1.0}, True),
        ({"value": 0.99, "lower": 0.5, "upper": 1.0}, False),  # as far as one can tell it is below
        ({"value": 0.7, "lower": 0.65, "upper": 0.75}, False),
        ({"details": {"above_ceiling": True}}, True),
        ({"value": 0.99, "lower": 0.97, "details": {"above_ceiling": False}}, False),
    ],
)
def test_totals_nearer_to_the_real_ones_than_chance_are_a_privacy_warning(
    make, card_of, changes, warns
):
    contract, evaluation = make.wide()
    for audience in AUDIENCES:
        card = card_of(
            audience, contract=contract, evaluation=calendar(evaluation, **changes), comparison=None
        )
        assert ("PRIVACY WARNING" in card.html) == warns
        assert len(card.json["verdict"]["warnings"]) == warns
        assert audience == "owner" or "reach 0.61" not in card.html


def test_totals_that_give_people_away_are_a_privacy_warning(make, card_of):
    contract, evaluation = make.wide()
    base = evaluation.results["entity_membership_inference"]
    for flagged in (True, False):
        attacks = {"aggregate": {"value": 0.2, "advantage": 0.13, "flagged": flagged}}
        result = replace(base, details={"attacks": attacks})
        given = {**evaluation.results, "entity_membership_inference": result}
        for audience in AUDIENCES:
            card = card_of(
                audience,
                contract=contract,
                evaluation=replace(evaluation, results=given),
                comparison=None,
            )
            assert ("daily totals tell who was in training" in card.html) == flagged
            assert "56 % of all pairs told apart" in card.html
            assert ("told apart, more than chance allows" in card.html) == flagged


def test_replayed_totals_are_named_on_both_cards(make, card_of):
    contract, evaluation = make.wide()
    calendar_of = replace(contract.generator.calendar, volume="replay")
    replayed = replace(contract, generator=replace(contract.generator, calendar=calendar_of))
    for audience in AUDIENCES:
        card = card_of(audience, contract=replayed, evaluation=evaluation, comparison=None)
        assert "volume: replay" in card.html
        assert "with secret noise" in card.html
        usual = card_of(audience, contract=contract, evaluation=evaluation, comparison=None)
        assert "volume: replay" not in usual.html


def test_the_attempt_stands_in_the_first_line_of_both_cards(card_of):
    for audience in AUDIENCES:
        card = card_of(audience, comparison=None, attempt=3, tries="Passes once in 31 %.")
        kicker = re.search(r'<p class="kicker">.*?</p>', card.html, re.S).group()
        assert "attempt 3 of 5" in kicker
        assert "This is attempt 3 of 5" in card.html
        assert "Passes once in 31 %." in card.html


def test_a_bound_outside_says_how_many_entities_are_wanted_and_the_analyst_reads_it_rounded(
    make, card_of
):
    contract, evaluation = make.wide()
    rules = tuple(
        replace(r, judged="bound", threshold=0.2) if r.id == "membership_inference" else r
        for r in contract.rules
    )
    strict = replace(contract, rules=rules)
    base = evaluation.results["membership_inference"]
    wanted = replace(base, details={**base.details, "non_member_entities": 741})
    given = replace(evaluation, results={**evaluation.results, "membership_inference": wanted})
    owner = row_of(
        card_of(contract=strict, evaluation=given, comparison=None), "membership_inference"
    )[1]
    assert "too few entities" in owner
    assert "now 741" in owner
    analyst = card_of("analyst", contract=strict, evaluation=given, comparison=None)
    text = row_of(analyst, "membership_inference")[1]
    assert "too few entities" in text
    assert "held out would be needed" in text
    assert "741" not in analyst.html
