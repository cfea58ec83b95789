"""The sentences of Great Expectations' Data Docs: what is expected, and what was found."""

# No `from __future__ import annotations`: Great Expectations reads the signatures.

from typing import Any, ClassVar

from great_expectations.render.components import (
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
)
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.renderer_configuration import (
    RendererConfiguration,
    RendererValueType,
)

from synth_contracts.contract.rules import RULES
from synth_contracts.metrics.words import limit_text, number_text, title

#: which number stands against the limit, in words
_JUDGED = {
    "value": "",
    "bound": "the one-sided 95 % bound of ",
    "lower": "the lower 95 % bound of ",
    "over_floor": "the excess over real rows in ",
    "ceiling_share": "the share of what real rows reach in ",
}


def sentence(metric: str, kwargs: dict[str, Any]) -> str:
    """What is expected: ``ks of amount is at most 0.10, against …``.

    Args:
        metric: its id.
        kwargs: of the expectation, as they are stored.
    """
    rule = RULES[metric]
    limit = kwargs.get(rule.limit_kwarg)
    if isinstance(limit, dict):
        said = f"the parameter {limit.get('$PARAMETER', '?')}"
    else:
        said = "?" if limit is None else limit_text(limit)
    column = kwargs.get("column") if rule.scope != "table" else None
    relation = "at most" if rule.operator == "<=" else "at least"
    judged = _JUDGED[kwargs.get("judged") or rule.judged]
    text = f"{judged}{title(metric, column)} is {relation} {said}"
    reference, holdout = (_place(kwargs.get(name)) for name in ("reference", "holdout"))
    if reference:
        text += f", reference {reference}"
    return text + (f", holdout {holdout}" if holdout else "")


def _place(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    keys = ("bound",) if "bound" in said else ("data_source", "asset", "batch_definition")
    return "/".join(str(said.get(key, "?")) for key in keys)


def finding(result: dict[str, Any]) -> str:
    """What was found: ``0.031 (0.020 to 0.042), holds`` or why nothing was measured."""
    details = result.get("details") or {}
    state, number = str(details.get("state", "not measured")), result.get("observed_value")
    reason = details.get("reason")
    if state == "not measured":
        return f"not measured: {reason}" if reason else "not measured"
    measured = details.get("result") or {}
    lower, upper = measured.get("lower"), measured.get("upper")
    value = "?" if number is None else number_text(number)
    if details.get("judged") == "value" and lower is not None and upper is not None:
        value += f" ({number_text(lower)} to {number_text(upper)})"
    return f"{value}, {state}"


class Rendered:
    """Renderers of an expectation that has a ``metric``."""

    metric: ClassVar[str]

    @classmethod
    def _prescriptive_template(
        cls, renderer_configuration: RendererConfiguration[Any]
    ) -> RendererConfiguration[Any]:
        renderer_configuration.add_param(
            name="sentence",
            param_type=RendererValueType.STRING,
            value=sentence(cls.metric, dict(renderer_configuration.kwargs)),
        )
        renderer_configuration.template_str = "$sentence"
        return renderer_configuration

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls,
        configuration: Any = None,
        result: Any = None,
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG003 - GX's signature
    ) -> list[RenderedStringTemplateContent]:
        config = configuration or (result.expectation_config if result is not None else None)
        kwargs = dict(config.kwargs) if config is not None else {}
        said = getattr(config, "description", None) or sentence(cls.metric, kwargs)
        return [
            RenderedStringTemplateContent(
                content_block_type="string_template",
                string_template={"template": "$sentence", "params": {"sentence": said}},
            )
        ]

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls,
        configuration: Any = None,  # noqa: ARG003 - GX's signature
        result: Any = None,
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG003 - as above
    ) -> str:
        return "--" if result is None else finding(dict(result.result or {}))
