"""Statuses and ratings: every spelling of the API is read as one word, kept as it came, and written as documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from answering_server import AnsweringServer
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.vocabulary import (
    NOT_OPEN,
    RATINGS,
    STATUSES,
    known_status,
    rating_of,
    status_of,
    written_rating,
    written_status,
)
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.sandbox import Sandbox

STATUS_SPELLINGS = {
    "new": "new",
    "open": "opened",
    "opened": "opened",
    "Opened": "opened",
    "pending": "pending",
    "onhold": "onhold",
    "on hold": "onhold",
    "on-hold": "onhold",
    "on_hold": "onhold",
    "On Hold": "onhold",
    "no communication": "no communication",
    "no-communication": "no communication",
    "noCommunication": "no communication",
    "closed": "closed",
    "CLOSED": "closed",
    "empty": "empty",
}
RATING_SPELLINGS = {
    "perfect": "perfect",
    "great": "great",
    "Great": "great",
    "average": "average",
    "poor": "poor",
    "very poor": "very poor",
    "very-poor": "very poor",
    "very_poor": "very poor",
    "veryPoor": "very poor",
}
WRITTEN_STATUSES = {
    "new": "new",
    "open": "opened",
    "opened": "opened",
    "pending": "pending",
    "onhold": "on hold",
    "on hold": "on hold",
    "on-hold": "on hold",
    "On_Hold": "on hold",
    "no communication": "no communication",
    "no-communication": "no communication",
    "closed": "closed",
}
UNKNOWN: list[Any] = ["archived", "3", "", None, 3, True, ["closed"], {"name": "closed"}]
SEPARATED = st.sampled_from(["", " ", "-", "_", "  ", " - "])


@pytest.mark.parametrize(("spelling", "word"), STATUS_SPELLINGS.items())
def test_a_status_is_read_in_every_spelling_and_kept_as_it_came(
    client: Callable[..., HelpCrunchClient], spelling: str, word: str
) -> None:
    with AnsweringServer(lambda _: {"id": 7, "status": spelling}) as server:
        chat = client(server).get_chat(7)
    assert (chat["status"], chat["statusRaw"]) == (word, spelling)


@pytest.mark.parametrize(("spelling", "word"), RATING_SPELLINGS.items())
def test_a_rating_is_read_in_every_spelling_and_kept_as_it_came(
    client: Callable[..., HelpCrunchClient], spelling: str, word: str
) -> None:
    with AnsweringServer(lambda _: {"data": {"id": 7, "rating": spelling}}) as server:
        chat = client(server).get_chat(7)
    assert (chat["rating"], chat["ratingRaw"]) == (word, spelling)


@pytest.mark.parametrize("spelling", ["onhold", "on hold", "on-hold"])
def test_lists_searches_and_single_chats_agree_on_the_word(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient], spelling: Any
) -> None:
    account = sandbox(chats=60, on_hold=spelling)
    held = [chat["id"] for chat in account.chats if chat["status"] == spelling]
    caller = client(account)
    filters = [{"field": "chats.status", "operator": "=", "value": "on hold"}]
    for chats in (caller.list_chats(), caller.search_chats(filters), [caller.get_chat(held[0])]):
        found = [chat for chat in chats if chat["status"] == "onhold"]
        assert [chat["id"] for chat in found] == held[: len(found)] != []
        assert {chat["statusRaw"] for chat in found} == {spelling}


@pytest.mark.parametrize(("given_word", "written"), WRITTEN_STATUSES.items())
def test_a_status_is_written_as_the_page_on_updating_spells_it(given_word: str, written: str) -> None:
    assert written_status(given_word) == written


@pytest.mark.parametrize(("given_word", "written"), RATING_SPELLINGS.items())
def test_a_rating_is_written_as_the_rate_page_spells_it(given_word: str, written: str) -> None:
    assert written_rating(given_word) == written


@pytest.mark.parametrize("word", [*UNKNOWN, "empty"], ids=repr)
def test_a_status_that_cannot_be_set_is_refused_and_the_others_are_named(word: Any) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        written_status(word)
    assert str(caught.value) == (
        "A chat's status can be set to new, opened, pending, on hold, no communication, closed, "
        f"not to {word!r}."
    )


@pytest.mark.parametrize("word", UNKNOWN, ids=repr)
def test_a_rating_that_does_not_exist_is_refused_and_the_others_are_named(word: Any) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        written_rating(word)
    assert str(caught.value) == (
        f"A chat's rating can be perfect, great, average, poor, very poor, not {word!r}."
    )


@pytest.mark.parametrize("word", UNKNOWN, ids=repr)
def test_a_status_that_does_not_exist_is_refused_where_any_may_stand(word: Any) -> None:
    assert known_status("empty") == "empty"
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        known_status(word)
    assert str(caught.value) == (
        f"{word!r} is not a status of a chat; statuses are new, opened, pending, onhold, no communication, "
        "closed, empty."
    )


def test_nobody_waits_in_two_of_the_statuses() -> None:
    assert set(STATUSES) >= NOT_OPEN == {"closed", "empty"}


@given(st.one_of(st.text(), st.sampled_from([*STATUSES, *RATINGS]), st.none(), st.integers()))
def test_reading_twice_is_reading_once(word: Any) -> None:
    assert status_of(status_of(word)) == status_of(word)
    assert rating_of(rating_of(word)) == rating_of(word)


@given(data=st.data(), of=st.sampled_from([(status_of, STATUSES), (rating_of, RATINGS)]))
def test_case_and_what_stands_between_letters_do_not_matter(data: st.DataObject, of: Any) -> None:
    read, words = of
    word = data.draw(st.sampled_from(words))
    letters = [data.draw(st.sampled_from([letter, letter.upper()])) for letter in word if letter != " "]
    assert read("".join(letter + data.draw(SEPARATED) for letter in letters)) == word


@given(st.sampled_from([status for status in STATUSES if status != "empty"]))
def test_what_is_written_is_read_as_the_same_word(status: str) -> None:
    assert status_of(written_status(status)) == status
