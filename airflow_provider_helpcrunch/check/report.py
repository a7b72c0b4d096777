"""Report of a check, as text for a person or as JSON: without the key, names, texts or addresses of anybody."""

from __future__ import annotations

import json
import platform
import textwrap
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch import __version__
from airflow_provider_helpcrunch.client.credentials import DEFAULT_BASE_URL
from airflow_provider_helpcrunch.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_helpcrunch.check.answers import Verdict
    from airflow_provider_helpcrunch.check.questions import Finding

WIDTH = 110

_HEADINGS: dict[Verdict, str] = {
    "contradicted": "Not as assumed",
    "open": "Not answered",
    "holds": "As assumed, or as it may be",
}


def with_verdict(findings: Iterable[Finding], verdict: Verdict) -> list[Finding]:
    """
    Return the findings with one verdict.

    :param findings: the findings
    :param verdict: the verdict
    """
    return [finding for finding in findings if finding.answer.verdict == verdict]


def as_json(findings: Sequence[Finding], requests: int, base_url: str) -> str:
    """
    Return the report as JSON.

    :param findings: the findings
    :param requests: how many requests the check has sent
    :param base_url: the address of the API, which is named only if it is HelpCrunch's own
    :return: an object with ``versions``, ``api``, ``requests``, and ``questions``: for each one ``name``, ``question``,
        ``answer``, ``verdict`` (``holds``, ``contradicted`` or ``open``), ``assumption`` and ``consequence``
    """
    report = {
        "versions": _versions(),
        "api": DEFAULT_BASE_URL if base_url == DEFAULT_BASE_URL else "another address",
        "requests": requests,
        "questions": [_as_record(finding) for finding in findings],
    }
    return json.dumps(report, indent=2, ensure_ascii=False)


def _versions() -> dict[str, str | None]:
    try:
        airflow = version("apache-airflow")
    except PackageNotFoundError:
        airflow = None
    return {
        "airflow-provider-helpcrunch": __version__,
        "apache-airflow": airflow,
        "python": platform.python_version(),
    }


def _as_record(finding: Finding) -> dict[str, Any]:
    question, answer = finding
    return {
        "name": question.name,
        "question": question.title,
        "answer": answer.text,
        "verdict": answer.verdict,
        "assumption": question.assumption,
        "consequence": answer.consequence or None,
    }


def as_text(findings: Sequence[Finding], requests: int) -> str:
    """
    Return the report as text, advice first.

    :param findings: the findings
    :param requests: how many requests the check has sent
    """
    wide = max(len(finding.question.title) for finding in findings)
    lines = [_summary(findings, requests)]
    for verdict, heading in _HEADINGS.items():
        if chosen := with_verdict(findings, verdict):
            lines += ["", f"{heading}:", *(line for finding in chosen for line in _lines(finding, wide))]
    return "\n".join(lines)


def _summary(findings: Sequence[Finding], requests: int) -> str:
    wrong = len(with_verdict(findings, "contradicted"))
    answered = len(findings) - len(with_verdict(findings, "open"))
    known = f"{answered} of {len(findings)} questions are answered, with {counted(requests, 'request')}"
    verb = "contradicts" if wrong == 1 else "contradict"
    told = (
        f"{wrong} {verb} what this package assumes. Please report it with the output of --json, which shows no key and "
        "nothing of a person."
        if wrong
        else "nothing contradicts what this package assumes."
    )
    return textwrap.fill(f"HelpCrunch accepts the API key. {known}; {told}", WIDTH)


def _lines(finding: Finding, wide: int) -> list[str]:
    question, answer = finding
    indent = " " * (wide + 4)
    lines = _wrapped(f"  {question.title:{wide}}  {answer.text} ({question.assumption})", indent)
    return [*lines, *_wrapped(indent + answer.consequence, indent)]


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
