"""Many workers share one account: judged by what reached it."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cluster as clusters
import psutil
import pytest
from redis import Redis
from residents import listeners, residents

if TYPE_CHECKING:
    import contextlib

    from conftest import Story

    from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.distributed

LIMIT = 120
PAGE = 30
"""Records a request of the crowd, so that each of its tasks has several pages to read."""
LISTING_FROM = 20
"""How many chats have moved when the listing starts."""
KILL_FROM = 100
"""How many have moved when the worker is killed."""
PATIENCE = 900.0


class Run(NamedTuple):
    """Outcome of a run of a DAG."""

    state: str
    folder: Path
    tasks: list[dict[str, Any]]

    def ids(self, name: str) -> list[int]:
        """Return the ids of the records in a file that the run wrote."""
        return [json.loads(line)["id"] for line in (self.folder / f"{name}.jsonl").read_text().splitlines()]

    def hosts(self) -> dict[str, int]:
        """Return how many of its tasks each worker ran."""
        return dict(sorted(Counter(str(task["hostname"]) for task in self.tasks).items()))


class HandOver:
    """
    A reassignment that is watched: while it runs a listing is started, and then its worker is killed.

    The worker is killed between a change and its answer, which is the worst moment: HelpCrunch has moved the chat, and
    the task does not know. Its retry does not move the chat again, for it reads first which chats are left. What was
    sent and not yet applied when the worker died would be, long before the retry begins: both ends are on one machine.

    :param folder: where both write
    """

    def __init__(self, cluster: clusters.Cluster, account: Sandbox, story: Story, folder: Path) -> None:
        self._cluster = cluster
        self._account = account
        self._story = story
        self._folder = folder
        self._run_id = ""
        self._listing = ""
        self.states: set[str] = set()
        """In which states its task was seen."""
        self.victim = ""
        """The worker that was killed."""
        self.killed_at = 0.0
        self.moved = 0
        """How many chats had moved by then."""

    def run(self) -> tuple[Run, Run]:
        """Return the runs of the reassignment and of the listing."""
        agents = [agent["id"] for agent in self._account.agents]
        conf = {"folder": str(self._folder), "leaver": agents[0], "targets": agents[10:15]}
        self._run_id = self._cluster.trigger("hand_over", conf)
        state = self._cluster.wait("hand_over", self._run_id, PATIENCE, self._look)
        moves = Run(state, self._folder, self._cluster.tries("hand_over", self._run_id, "reassignment"))
        assert self._listing, f"the reassignment ended ({state}) before there was anything to list meanwhile"
        state = self._cluster.wait("listing", self._listing, PATIENCE)
        listing = Run(state, self._folder, self._cluster.tries("listing", self._listing, "chats"))
        for task in (*moves.tasks, *listing.tasks):
            said = f"try {task['try_number']} of {task['dag_id']} on {task['hostname']}: {task['state']}"
            self._story.say(f"(b) {said}")
        return moves, listing

    def _look(self, tasks: list[dict[str, Any]]) -> None:
        self.states.update(str(task["state"]) for task in tasks)
        moves = self._account.writes()
        if not self._listing and len(moves) >= LISTING_FROM:
            self._listing = self._cluster.trigger("listing", {"folder": str(self._folder)})
            self._story.say(f"(b) after {len(moves)} chats: a listing of all 5,000")
        running = [str(task["hostname"]) for task in tasks if task["state"] == "running"]
        if running and not self.victim and len(moves) >= KILL_FROM:
            self._try_to_kill(running[0])

    def _try_to_kill(self, worker: str) -> None:
        if self._cluster.kill(worker, lambda: self._waits_for_an_answer(worker)):
            self.victim, self.killed_at = worker, time.monotonic()
            self.moved = len(self._account.writes())
            self._story.say(f"(c) after {self.moved} chats: {worker} is killed while it waits for an answer")

    def _waits_for_an_answer(self, worker: str) -> bool:
        """Tell it of a worker that stands still, so that it remains true."""
        if self._account.requests(method="PUT")[-1].status is not None:
            return False
        # It was seen there a while ago; since then the task may have been deferred and taken up by the other one.
        (task,) = self._cluster.tasks("hand_over", self._run_id)
        return (task["state"], task["hostname"]) == ("running", worker)


@pytest.fixture(scope="session")
def crowd(cluster: clusters.Cluster, account: Sandbox, story: Story, tmp_path_factory: Any) -> Run:
    folder = tmp_path_factory.mktemp("crowd")
    story.say("(a) 8 mapped tasks list and search at once; a new Redis takes the last minute for spent")
    conf = {"folder": str(folder), "page_size": PAGE, "assignee": account.agents[1]["id"]}
    run_id = cluster.trigger("crowd", conf)
    run = Run(cluster.wait("crowd", run_id, PATIENCE), folder, cluster.tasks("crowd", run_id))
    story.say(f"(a) {run.state}: {len(account.journal)} requests, tasks by worker {run.hosts()}")
    return run


@pytest.fixture(scope="session")
def hand_over(
    crowd: Run, cluster: clusters.Cluster, account: Sandbox, story: Story, tmp_path_factory: Any
) -> HandOver:
    return HandOver(cluster, account, story, tmp_path_factory.mktemp("hand_over"))


@pytest.fixture(scope="session")
def runs(hand_over: HandOver, story: Story) -> tuple[Run, Run]:
    story.say("(b) a deferrable reassignment of 400 chats")
    return hand_over.run()


def test_mapped_tasks_list_everything_once_on_both_workers(
    crowd: Run, account: Sandbox, cluster: clusters.Cluster, story: Story
) -> None:
    agents = sorted(agent["id"] for agent in account.agents)
    chats = sorted(chat["id"] for chat in account.chats_of(account.agents[1]["id"]))
    assert crowd.state == "success"
    assert len(crowd.tasks) == 8
    for number in range(4):
        assert sorted(crowd.ids(f"agents-{number}")) == agents
        assert sorted(crowd.ids(f"chats-{number}")) == chats
    assert set(crowd.hosts()) == {"worker-1", "worker-2"}
    story.note("(a) tasks of 8 that listed every record once", "8", len(crowd.tasks))
    story.note("(a) tasks by worker", "both took part", crowd.hosts())


def test_every_chat_moves_exactly_once(
    runs: tuple[Run, Run], hand_over: HandOver, account: Sandbox, story: Story
) -> None:
    moves = Counter(write.chat for write in account.writes())
    assert runs[0].state == "success"
    assert account.chats_of(account.agents[0]["id"]) == []
    assert len(moves) == 400
    assert set(moves.values()) == {1}
    assert "deferred" in hand_over.states
    story.note("(b) chats moved", "400", len(moves))
    story.note("(b) most moves of one chat", "1", max(moves.values()))


def test_every_chat_is_listed_exactly_once_while_others_move(
    runs: tuple[Run, Run], account: Sandbox, story: Story
) -> None:
    listed = runs[1].ids("chats")
    pages = pages_of_the_listing(account)
    moves = account.writes()
    assert runs[1].state == "success"
    assert sorted(listed) == [chat["id"] for chat in account.chats]
    assert moves[0].at < min(pages)
    assert max(pages) < moves[-1].at
    story.note(
        "(b) chats listed meanwhile, different ones", "5000, 5000", f"{len(listed)}, {len(set(listed))}"
    )


def test_the_other_worker_finishes_what_the_killed_one_began(
    runs: tuple[Run, Run], hand_over: HandOver, account: Sandbox, story: Story
) -> None:
    assert hand_over.victim
    first, second = runs[0].tasks
    back = min(write.at for write in account.writes() if write.at > hand_over.killed_at) - hand_over.killed_at
    assert KILL_FROM <= hand_over.moved < 400
    assert (first["state"], first["hostname"]) == ("failed", hand_over.victim)
    assert second["state"] == "success"
    assert {first["hostname"], second["hostname"]} == {"worker-1", "worker-2"}
    story.note(
        "(c) chats moved by the first and the second try",
        "both some",
        (hand_over.moved, 400 - hand_over.moved),
    )
    story.note("(c) seconds from the kill to the next move", "", f"{back:.0f}")


def test_the_account_never_gets_too_much(runs: tuple[Run, Run], account: Sandbox, story: Story) -> None:
    busiest = account.busiest_window(60.0)
    took = account.journal[-1].at - account.journal[0].at
    assert account.count(429) == 0
    # With less the limit would not have been tried.
    assert LIMIT * 0.9 < busiest <= LIMIT
    story.note("requests answered 429", "0", account.count(429))
    story.note("most requests in any rolling 60 s", "109 to 120", busiest)
    story.note("requests, seconds from the first to the last", "", f"{len(account.journal)}, {took:.0f}")


def test_the_budget_was_in_redis_and_nowhere_else(
    runs: tuple[Run, Run], cluster: clusters.Cluster, account: Sandbox, story: Story
) -> None:
    with Redis.from_url(cluster.redis.url(clusters.TASKS), decode_responses=True) as redis:
        lifetimes = {key: redis.pttl(key) for key in redis.scan_iter()}
        (budget,) = lifetimes
        members = redis.zcard(budget)
        redis.save()
        snapshot = Path(redis.config_get("dir")["dir"], "dump.rdb").read_bytes()
    assert all(key.startswith("airflow-provider-helpcrunch:") for key in lifetimes)
    assert min(lifetimes.values()) > 0
    assert members >= LIMIT
    # The snapshot holds all databases as they are, that of Celery too.
    assert budget.encode() in snapshot
    assert account.key.encode() not in snapshot
    assert [file for folder in cluster.folders for file in folder.rglob("*.sqlite*")] == []
    days = round(min(lifetimes.values()) / 86_400_000)
    story.note("budget in Redis: keys, days until they expire", "some, some", f"{len(lifetimes)}, {days}")


def test_no_log_tells_a_secret(
    runs: tuple[Run, Run], cluster: clusters.Cluster, account: Sandbox, story: Story
) -> None:
    logs = [file for file in clusters.LOGS.rglob("*") if file.is_file()]
    tell = [
        file
        for file in logs
        for secret in (account.key, cluster.redis.password)
        if secret in file.read_text(errors="replace")
    ]
    assert tell == []
    story.note("logs, those with the API key or Redis' password", "some, 0", f"{len(logs)}, {len(tell)}")


def test_all_parts_listen_on_this_machine_only(
    runs: tuple[Run, Run], cluster: clusters.Cluster, account: Sandbox, story: Story
) -> None:
    # This process is HelpCrunch.
    ports = listeners([*residents(cluster.folders), psutil.Process()])
    assert ports.keys() >= {account.port, cluster.redis.port}
    assert set().union(*ports.values()) == {"127.0.0.1"}
    story.note("ports that are listened on, all on 127.0.0.1", "4 at least", len(ports))
    assert len(ports) >= 4


def test_nothing_remains(
    runs: tuple[Run, Run], cluster: clusters.Cluster, curtain: contextlib.ExitStack, story: Story
) -> None:
    before = len(residents(cluster.folders))
    curtain.close()
    after = len(residents(cluster.folders))
    left = [folder for folder in cluster.folders if folder.exists()]
    assert before > after == len(left) == 0
    story.note("processes of the cluster before and after its end", "many, 0", f"{before}, {after}")


def pages_of_the_listing(account: Sandbox) -> list[float]:
    """Return when the searches arrived that ask for chats of all agents."""
    searches = account.requests("/v1/chats/search", "POST")
    return [search.at for search in searches if "chats.assignee" not in json.dumps(search.body)]
