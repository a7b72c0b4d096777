"""Questions of a check, in the order of the report, and their findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_helpcrunch.check import exchanges, paging, records

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.check.answers import Answer, Question
    from airflow_provider_helpcrunch.check.replies import Replies

QUESTIONS: tuple[Question, ...] = (*exchanges.QUESTIONS, *paging.QUESTIONS, *records.QUESTIONS)


class Finding(NamedTuple):
    """
    A question and its answer.

    :param question: the question
    :param answer: the account's answer
    """

    question: Question
    answer: Answer


def findings(replies: Replies) -> list[Finding]:
    """
    Return what an account answers to every question.

    :param replies: its replies
    """
    return [Finding(question, question.judge(replies)) for question in QUESTIONS]
