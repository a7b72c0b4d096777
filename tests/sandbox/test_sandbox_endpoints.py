from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Sandbox, account


def get(sandbox: Sandbox, path: str, **query: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    return requests.get(sandbox.url + path, params=query, headers=headers, timeout=60)


def test_agents_come_by_the_page_in_the_documented_shape():
    with Sandbox(agents=250) as sandbox:
        pages = [get(sandbox, "/agents", offset=offset, limit=100) for offset in (0, 100, 200, 300)]
    assert [len(page.json()["data"]) for page in pages] == [100, 100, 50, 0]
    assert {page.json()["meta"]["total"] for page in pages} == {250}
    assert [agent for page in pages for agent in page.json()["data"]] == sandbox.agents
    assert all(set(agent) == {"id", "name", "email", "role"} for agent in sandbox.agents)
    assert len({agent["email"] for agent in sandbox.agents}) == 250
    assert {agent["email"].partition("@")[2] for agent in sandbox.agents} == {"shop.example"}


def test_an_account_has_few_admins_and_mostly_agents():
    roles = [agent["role"] for agent in Sandbox(agents=10_000).agents]
    shares = {role: roles.count(role) / 10_000 for role in set(roles)}
    expected = {"admin": 0.03, "superviser": 0.07, "agentChatOnly": 0.2, "agent": 0.7}
    assert shares == pytest.approx(expected, abs=0.02)
    assert Sandbox(agents=1).agents[0]["role"] == "admin"


def test_departments_embed_agents_of_the_account():
    with Sandbox(agents=40, departments=9) as sandbox:
        answer = get(sandbox, "/departments", offset=1, limit=3).json()
    assert answer == {"data": sandbox.departments[1:4], "meta": {"total": 9}}
    members = [agent for department in sandbox.departments for agent in department["agents"]]
    assert {agent["id"] for agent in members} == {agent["id"] for agent in sandbox.agents}
    assert all(agent in sandbox.agents for agent in members)
    assert len({department["name"] for department in sandbox.departments}) == 9


def test_a_deleted_agent_leaves_the_departments():
    with Sandbox(agents=10, departments=2) as sandbox:
        get(sandbox, "/departments")
        gone = sandbox.delete_agents(5)
        after = get(sandbox, "/departments").json()["data"]
    members = {agent["id"] for department in after for agent in department["agents"]}
    assert members.isdisjoint(agent["id"] for agent in gone)
    assert len(members) == 5


def test_an_empty_account():
    with Sandbox(agents=0, departments=0) as sandbox:
        for path in ("/agents", "/departments"):
            assert get(sandbox, path).json() == {"data": [], "meta": {"total": 0}}


def test_the_organization_is_one_object():
    with Sandbox() as sandbox:
        answer = get(sandbox, "/organization").json()
    assert set(answer) == {"data"}
    assert set(answer["data"]) == {"id", "domain", "teamOnline", "chatEnabled"}


def test_the_same_seed_gives_the_same_account():
    one, same, other = (Sandbox(agents=50, seed=seed) for seed in (7, 7, 8))
    assert (one.agents, one.departments) == (same.agents, same.departments)
    assert one.agents != other.agents


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "sandbox-key", "Bearer sandbox-key2", "Basic sandbox-key"]
)
@pytest.mark.parametrize(
    ("errors", "body"),
    [
        (
            "new",
            [
                {"code": "invalid_request", "message": "Invalid request"},
                {"code": "unauthorized", "message": "Unauthorized"},
            ],
        ),
        ("old", [{"code": "invalid_token", "message": "Invalid token"}]),
    ],
)
def test_without_the_key_everything_is_401(header, errors, body):
    with Sandbox(errors=errors) as sandbox:
        answer = requests.get(
            sandbox.url + "/agents", headers={"Authorization": header} if header else {}, timeout=60
        )
        assert (answer.status_code, answer.json()) == (401, {"errors": body})
        assert not sandbox.journal[0].authorized


def test_a_key_is_valid_until_it_is_revoked():
    sandbox = Sandbox(key="first")

    def statuses():
        headers = [{"Authorization": f"Bearer {key}"} for key in ("first", "second")]
        with requests.Session() as session:
            session.mount("http://", sandbox.adapter())
            return [session.get("http://sandbox/v1/agents", headers=each).status_code for each in headers]

    assert statuses() == [200, 401]
    sandbox.add_key("second")
    assert sandbox.key == "second"
    assert statuses() == [200, 200]
    sandbox.revoke_key("first")
    assert statuses() == [401, 200]
    with pytest.raises(ValueError, match="no such key"):
        sandbox.revoke_key("third")
    sandbox.reset()
    assert sandbox.key == "first"
    assert statuses() == [200, 401]


@pytest.mark.parametrize("path", ["/v1/nothing", "/agents", "/", "/v2/agents"])
def test_an_unknown_path_is_404(path):
    with Sandbox() as sandbox:
        answer = requests.get(
            sandbox.url.removesuffix("/v1") + path,
            headers={"Authorization": "Bearer sandbox-key"},
            timeout=60,
        )
    assert answer.status_code == 404
    assert answer.json()["errors"][1]["code"] == "not_found"


def test_an_unknown_method_is_404():
    with Sandbox() as sandbox:
        answer = requests.post(
            sandbox.url + "/agents",
            json={"name": "Ada"},
            headers={"Authorization": "Bearer sandbox-key"},
            timeout=60,
        )
        assert answer.status_code == 404
        assert sandbox.journal[0].body == {"name": "Ada"}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"limit": "101"}, ["limit"]),
        ({"limit": "0"}, ["limit"]),
        ({"limit": "-1"}, ["limit"]),
        ({"limit": "ten"}, ["limit"]),
        ({"limit": ""}, ["limit"]),
        ({"offset": "-1"}, ["offset"]),
        ({"offset": "1.5"}, ["offset"]),
        ({"offset": "x", "limit": "x"}, ["offset", "limit"]),
    ],
)
def test_a_bad_offset_or_limit_is_400_and_named(query, fields):
    with Sandbox() as sandbox:
        answer = get(sandbox, "/agents", **query)
    assert answer.status_code == 400
    assert [element["code"] for element in answer.json()["errors"]] == ["invalid_request", *fields]


def test_a_greater_limit_can_be_allowed_and_is_still_capped():
    with Sandbox(max_limit=500, page_cap=100) as sandbox:
        assert len(get(sandbox, "/agents", limit=250).json()["data"]) == 100


def test_the_default_limit_is_100():
    with Sandbox(page_cap=30) as capped, Sandbox(max_limit=20) as strict, Sandbox() as usual:
        assert [len(get(each, "/agents").json()["data"]) for each in (capped, strict, usual)] == [30, 20, 100]


@pytest.mark.parametrize(
    ("total", "tail"),
    [
        ("exact", {"meta": {"total": 5}}),
        ("missing", {}),
        ("zero", {"meta": {"total": 0}}),
        ("string", {"meta": {"total": "5"}}),
        ("low", {"meta": {"total": 2}}),
        ("high", {"meta": {"total": 7}}),
        ("root", {"total": 5}),
        (1, {"meta": {"total": 6}}),
        (-1, {"meta": {"total": 4}}),
    ],
)
def test_the_total_is_told_in_every_style(total, tail):
    with Sandbox(agents=5, total=total) as sandbox:
        assert get(sandbox, "/agents").json() == {"data": sandbox.agents, **tail}


def test_a_server_that_ignores_the_offset():
    with Sandbox(ignore_offset=True) as sandbox:
        assert get(sandbox, "/agents", offset=100).json()["data"] == sandbox.agents[:100]


def test_latency():
    with Sandbox(latency=0.1) as sandbox:
        started = time.monotonic()
        get(sandbox, "/agents")
        assert time.monotonic() - started >= 0.1


def test_only_the_rows_of_a_page_are_made(caller, monkeypatch):
    made, agent = [], account.agent
    monkeypatch.setattr(
        account, "agent", lambda *given, **named: made.append(given) or agent(*given, **named)
    )
    sandbox = Sandbox(agents=100_000, rate_limit=None)
    call = caller(sandbox)
    for page in range(5):
        assert len(call("GET", "/agents", limit=100, offset=page * 10_000).json()["data"]) == 100
    assert len(made) == 500


@pytest.mark.parametrize(
    "wrong",
    [
        {"agents": -1},
        {"port": 65536},
        {"rate_limit": 0},
        {"window": -1},
        {"page_cap": 0},
        {"total": "about"},
        {"errors": "newer"},
        *(
            {"now": now}
            for now in ("", "soon", 5, "1999-12-31", True, float("nan"), 1e300, [], date(2026, 1, 31))
        ),
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sandbox(**wrong)
