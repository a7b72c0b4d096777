"""Addresses of chats: right, or none at all."""

from __future__ import annotations

import pytest
from in_process import client_of

from airflow_provider_helpcrunch.client.addresses import chat_address, inbox_host, inbox_of
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchRateLimitError
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

ADDRESS = "https://shop-24.helpcrunch.com/inbox/chats/4410021"


@pytest.mark.parametrize(
    "domain",
    ["shop-24", "SHOP-24", "shop-24.helpcrunch.com", "Shop-24.HelpCrunch.com", "shop-24.helpcrunch.com."],
)
def test_a_domain_that_names_an_inbox_gives_an_address(domain: str) -> None:
    assert chat_address(domain, 4410021) == ADDRESS


@pytest.mark.parametrize(
    "domain",
    [
        *(
            None,
            "",
            " ",
            ".",
            "-",
            "--",
            "shop.",
            ".shop",
            "-shop",
            "shop-",
            "shop shop",
            " shop",
            "shop\n",
            "shop\0",
        ),
        *(
            "shop.example",
            "chat.shop.example",
            "helpcrunch.com",
            ".helpcrunch.com",
            "www.shop.helpcrunch.com",
        ),
        *(
            "evil.example/..",
            "shop/..",
            "shop/../x",
            "shop?x",
            "shop#x",
            "shop@evil.example",
            "shop:443",
            "shop\\x",
        ),
        *(
            "shop.helpcrunch.com:8443",
            "shop.helpcrunch.com/",
            "https://shop.helpcrunch.com",
            "//shop",
            "shop%2f",
        ),
        *(
            "shop.helpcrunch.com.evil.example",
            "shop.helpcrunch.com..",
            "shophelpcrunch.com",
            "shop.helpcrunchxcom",
        ),
        *(
            "мага-зин",
            "shоp",
            "ſhop",
            "ﬁsh",
            "shop\u200b",
            "shop\u2024helpcrunch.com",
            "\u212aiosk",
            "a" * 64,
            "10",
            "127.0.0.1",
        ),
        *(
            True,
            71,
            7.1,
            ["shop"],
            {"name": "shop"},
            b"shop",
            "<b>shop</b>",
            "{{ shop }}",
            "$(shop)",
            "sh_op",
        ),
    ],
)
def test_anything_else_gives_none(domain: object) -> None:
    assert inbox_host(domain) is None
    assert chat_address(domain, 4410021) is None


@pytest.mark.parametrize(
    ("domain", "host"),
    [("shop", "shop.helpcrunch.com"), ("shop.helpcrunch.com", "shop.helpcrunch.com"), ("shop.example", None)],
)
def test_the_account_is_asked_once(domain: str, host: str | None) -> None:
    account = Sandbox(domain=domain, rate_limit=None)
    with client_of(account) as client:
        assert inbox_of(client) == host
    assert [entry.path for entry in account.journal] == ["/v1/organization"]


def test_an_account_is_not_asked_for_what_the_connection_states() -> None:
    account = Sandbox(domain="other", rate_limit=None)
    with client_of(account, inbox_domain="shop") as client:
        assert inbox_of(client) == "shop.helpcrunch.com"
    assert account.journal == []


@pytest.mark.parametrize("kind", ["status", "html", "garbage", "no_data", "data_null", "reset"])
def test_no_failure_of_the_question_is_an_error(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    account = Sandbox(domain="shop", rate_limit=None, faults=[Fault(kind, times=0)])
    with client_of(account) as client:
        assert inbox_of(client) is None
    assert "The account's domain could not be read, so chats have no addresses" in caplog.text


def test_a_limit_that_is_used_up_stays_an_error() -> None:
    account = Sandbox(domain="shop", rate_limit=None)
    with client_of(account, requests=1) as client:
        assert inbox_of(client) == "shop.helpcrunch.com"
        with pytest.raises(HelpCrunchRateLimitError):
            inbox_of(client)


@pytest.mark.parametrize("domain", ["", "shop.example", "https://shop.helpcrunch.com/inbox", 7])
def test_a_wrong_domain_of_a_connection_is_refused_before_anything_is_sent(domain: str) -> None:
    account = Sandbox(rate_limit=None)
    with pytest.raises(
        HelpCrunchConfigurationError, match="inbox_domain must be the first part of your inbox's address"
    ):
        client_of(account, inbox_domain=domain)
    assert account.journal == []
