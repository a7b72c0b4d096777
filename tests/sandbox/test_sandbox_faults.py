from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

import pytest
import requests

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox


def get(sandbox: Sandbox, path: str = "/agents", timeout: float = 60, **query: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    return requests.get(
        sandbox.url + path, params=query, headers=headers, timeout=timeout, allow_redirects=False
    )


def answer_to(fault: Fault, **query: Any) -> requests.Response:
    with Sandbox(agents=120, faults=[fault]) as sandbox:
        return get(sandbox, **query)


def request(sandbox: Sandbox) -> bytes:
    return f"GET /v1/agents HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {sandbox.key}\r\n\r\n".encode()


def raw(sandbox: Sandbox) -> bytes:
    """Send one request and return all bytes until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=60) as connection:
        connection.sendall(request(sandbox))
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 599])
def test_status_answers_a_documented_error(status):
    answer = answer_to(Fault("status", status=status))
    assert answer.status_code == status
    assert answer.json()["errors"][0] == {"code": "invalid_request", "message": "Invalid request"}
    assert "Retry-After" not in answer.headers


def test_status_is_500_unless_told():
    assert answer_to(Fault("status")).status_code == 500


@pytest.mark.parametrize(("body", "content"), [("html", b"<!DOCTYPE html>"), ("empty", b"")])
def test_status_with_another_body(body, content):
    answer = answer_to(Fault("status", status=503, body=body))
    assert answer.status_code == 503
    assert answer.content.startswith(content)
    assert bool(answer.content) == bool(content)


@pytest.mark.parametrize("retry_after", ["2", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"])
def test_retry_after_is_sent_verbatim(retry_after):
    assert (
        answer_to(Fault("status", status=429, retry_after=retry_after)).headers["Retry-After"] == retry_after
    )


def test_a_429_by_fault_does_not_spend():
    with Sandbox(rate_limit=1, faults=[Fault("status", status=429)]) as sandbox:
        assert [get(sandbox).status_code for _ in range(3)] == [429, 200, 429]


def test_latency_then_a_normal_answer():
    started = time.monotonic()
    assert answer_to(Fault("latency", seconds=0.1)).status_code == 200
    assert time.monotonic() - started >= 0.1


def test_reset_is_an_rst():
    with Sandbox(faults=[Fault("reset")]) as sandbox:
        with pytest.raises(ConnectionResetError):
            raw(sandbox)
        assert sandbox.journal[0].status is None


def test_close_is_an_end_without_an_answer():
    with Sandbox(faults=[Fault("close")]) as sandbox:
        assert raw(sandbox) == b""
        assert sandbox.journal[0].status is None


def test_truncate_sends_half_of_the_announced_body():
    with Sandbox(faults=[Fault("truncate")]) as sandbox:
        head, _, body = raw(sandbox).partition(b"\r\n\r\n")
        announced = int(dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])[b"Content-Length"])
        assert head.startswith(b"HTTP/1.1 200")
        assert len(body) == announced // 2
        assert sandbox.journal[0].status is None
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


def test_hang_never_answers():
    with Sandbox(faults=[Fault("hang")]) as sandbox:
        with socket.create_connection(("127.0.0.1", sandbox.port)) as connection:
            connection.sendall(request(sandbox))
            while not sandbox.journal:
                time.sleep(0.005)
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        assert sandbox.journal[0].status is None
        assert get(sandbox).status_code == 200


def test_drip_comes_byte_by_byte():
    with Sandbox(
        agents=0, faults=[Fault("drip", seconds=600), Fault("drip", seconds=0.01, nth=2)]
    ) as sandbox:
        statuses = []
        for read in (False, True):
            connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=60)
            started = time.monotonic()
            connection.request("GET", "/v1/agents", headers={"Authorization": f"Bearer {sandbox.key}"})
            answer = connection.getresponse()
            body = answer.read() if read else b""
            statuses.append(sandbox.journal[-1].status)
            connection.close()
        assert json.loads(body) == {"data": [], "meta": {"total": 0}}
        assert time.monotonic() - started >= len(body) * 0.01
        assert statuses == [None, 200]


def test_html_with_status_200():
    answer = answer_to(Fault("html"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_errors_with_status_200():
    answer = answer_to(Fault("errors"))
    assert (answer.status_code, set(answer.json())) == (200, {"errors"})


def test_garbage_is_no_json():
    answer = answer_to(Fault("garbage"))
    assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_distorted_payloads():
    whole = Sandbox(agents=120).agents[:100]
    meta = {"total": 120}
    expected = {
        "no_data": {"meta": meta},
        "data_null": {"data": None, "meta": meta},
        "data_object": {"data": {str(n): agent for n, agent in enumerate(whole)}, "meta": meta},
        "no_ids": {"data": [{k: v for k, v in a.items() if k != "id"} for a in whole], "meta": meta},
        "empty_page": {"data": [], "meta": meta},
        "short_page": {"data": whole[:50], "meta": meta},
        "duplicate_rows": {"data": [agent for agent in whole for _ in range(2)], "meta": meta},
    }
    answers = {kind: answer_to(Fault(kind)) for kind in expected}
    assert {kind: answer.json() for kind, answer in answers.items()} == expected
    assert {answer.status_code for answer in answers.values()} == {200}


def test_a_short_page_has_as_many_rows_as_told():
    assert len(answer_to(Fault("short_page", rows=7)).json()["data"]) == 7


def test_payload_faults_leave_answers_without_rows_alone():
    with Sandbox(faults=[Fault("empty_page"), Fault("no_ids", nth=2)]) as sandbox:
        assert get(sandbox, "/nothing").status_code == 404
        assert "id" in get(sandbox, "/organization").json()["data"]


def test_shuffle_reads_from_another_order_each_time():
    with Sandbox(faults=[Fault("shuffle", times=0)]) as sandbox:
        first, second = (get(sandbox, limit=100).json()["data"] for _ in range(2))
        assert first != second
        assert all(agent in sandbox.agents for agent in first)
        assert len({agent["id"] for agent in first}) == 100


def test_ignore_offset_gives_the_first_page():
    assert answer_to(Fault("ignore_offset"), offset=100).json()["data"] == Sandbox(agents=120).agents[:100]


@pytest.mark.parametrize(("told", "status"), [(None, 401), (400, 400)])
def test_echo_key_shows_the_whole_header(told, status):
    answer = answer_to(Fault("echo_key", status=told))
    assert answer.status_code == status
    assert any("Bearer sandbox-key" in element["message"] for element in answer.json()["errors"])


def test_redirect_leads_back_by_another_name():
    with Sandbox(faults=[Fault("redirect")]) as sandbox:
        answer = get(sandbox)
        assert (answer.status_code, answer.headers["Location"]) == (
            302,
            f"http://localhost:{sandbox.port}/v1/redirected",
        )
        requests.get(answer.headers["Location"], timeout=60)
        assert [entry.path for entry in sandbox.journal] == ["/v1/agents", "/v1/redirected"]


def test_redirect_elsewhere():
    answer = answer_to(Fault("redirect", location="http://127.0.0.2:9/"))
    assert answer.headers["Location"] == "http://127.0.0.2:9/"


@pytest.mark.parametrize(("at", "found"), [("front", 0), ("end", 120)])
def test_insert_changes_the_account_before_the_answer(at, found):
    with Sandbox(agents=120, faults=[Fault("insert", rows=3, at=at)]) as sandbox:
        before = sandbox.agents
        assert get(sandbox).json()["meta"]["total"] == 123
        assert sandbox.agents[:found] + sandbox.agents[found + 3 :] == before
        assert get(sandbox).json()["meta"]["total"] == 123


@pytest.mark.parametrize(("at", "kept"), [("front", slice(3, None)), ("end", slice(0, -3))])
def test_delete_changes_the_account_before_the_answer(at, kept):
    with Sandbox(agents=20, faults=[Fault("delete", rows=3, at=at)]) as sandbox:
        before = sandbox.agents
        assert get(sandbox).json()["data"] == before[kept]


def test_churn_goes_on_for_ever():
    faults = [Fault("insert", rows=2, at="random", times=0), Fault("delete", rows=3, at="random", times=0)]
    with Sandbox(agents=20, faults=faults) as sandbox:
        assert [get(sandbox).json()["meta"]["total"] for _ in range(3)] == [19, 18, 17]


def test_nth_and_times_count_matching_requests_only():
    with Sandbox(faults=[Fault("status", path="/v1/agents", nth=2, times=2)]) as sandbox:
        paths = ["/agents", "/departments", "/agents", "/organization", "/agents", "/agents"]
        assert [get(sandbox, path).status_code for path in paths] == [200, 200, 500, 200, 500, 200]


def test_path_is_a_pattern_and_method_counts():
    with Sandbox(faults=[Fault("status", path="*/dep*", times=0), Fault("html", method="POST")]) as sandbox:
        assert [get(sandbox, path).status_code for path in ("/agents", "/departments")] == [200, 500]


def test_offset_picks_the_page():
    with Sandbox(faults=[Fault("status", offset=100), Fault("status", offset=0, status=502)]) as sandbox:
        statuses = [get(sandbox, offset=offset).status_code for offset in (200, 100, 100)]
        assert statuses == [200, 500, 200]
        assert get(sandbox).status_code == 502  # no offset is offset 0


def test_several_faults_change_delay_and_shape_one_answer():
    faults = [
        Fault("status", status=503),
        Fault("html"),
        Fault("latency", seconds=0.1),
        Fault("insert", rows=1),
    ]
    with Sandbox(agents=1, faults=faults) as sandbox:
        started = time.monotonic()
        assert get(sandbox).status_code == 503
        assert time.monotonic() - started >= 0.1
        assert len(sandbox.agents) == 2
        assert sandbox.journal[0].fault == "status+html+latency+insert"


def test_faults_hit_only_what_the_account_accepts():
    with Sandbox(rate_limit=1, window=0.2, faults=[Fault("status")]) as sandbox:
        assert requests.get(sandbox.url + "/agents", timeout=60).status_code == 401
        assert get(sandbox).status_code == 500


def test_faults_come_and_go_while_it_runs():
    with Sandbox() as sandbox:
        assert get(sandbox).status_code == 200
        sandbox.add_fault(Fault("status", times=0))
        assert get(sandbox).status_code == 500
        sandbox.clear_faults()
        assert get(sandbox).status_code == 200


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hang", Fault("hang")),
        (
            "status,status=503,path=/v1/agents,nth=4,times=2",
            Fault("status", status=503, path="/v1/agents", nth=4, times=2),
        ),
        (
            "status, status=429, retry_after=Wed, 21 Oct 2026 07:28:00 GMT, times=0",
            Fault("status", status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT", times=0),
        ),
        ("latency,seconds=0.5,offset=100", Fault("latency", seconds=0.5, offset=100)),
        ("insert,rows=5,at=random", Fault("insert", rows=5, at="random")),
    ],
)
def test_a_fault_on_a_command_line(text, fault):
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    "text",
    [
        "",
        "explode",
        "status,status=many",
        "status,colour=red",
        "status,nth=0",
        "status,times=-1",
        "insert,at=middle",
        "status,body=xml",
        "status,status=7",
    ],
)
def test_a_wrong_fault_is_refused(text):
    with pytest.raises(ValueError, match=r"must be|a fault has"):
        Fault.parse(text)
