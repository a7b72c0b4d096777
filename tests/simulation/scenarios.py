"""
Scenarios: one stretch of work each, and what the account must show afterwards.

A scenario returns when the work was done right, lets an error of ours out when the work said that it failed (loud), and
raises :class:`Wrong` when the journal or the account show what nobody said (silent).
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from typing import Any

from world import ONE_WAY, READS, WRITES, Crash, World, Wrong

from airflow_provider_helpcrunch._airflow import AirflowFailException, TaskDeferred
from airflow_provider_helpcrunch.client import Filter
from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.exports.base_path import BasePath
from airflow_provider_helpcrunch.exports.listings import ListingExport
from airflow_provider_helpcrunch.exports.manifest import Manifest, read_manifest
from airflow_provider_helpcrunch.exports.messages import MessagesExport
from airflow_provider_helpcrunch.exports.run import Resource, Run
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator
from airflow_provider_helpcrunch.operators.upsert import UpsertCustomersOperator
from airflow_provider_helpcrunch.sandbox import Fault, Request
from airflow_provider_helpcrunch.schema import CHATS, MESSAGES
from airflow_provider_helpcrunch.storage import read_records

LEAVER, SECOND, TARGETS, COLLEAGUE = 1001, 1005, (1002, 1003, 1004), 1006
OPEN = ("opened", "new", "pending", "onhold", "no communication")
ASSIGNEE = "/v1/chats/assignee"

MOST_AGE = 30.0
"""Seconds between a person's taking a chat and our writing it, at most: a page is believed for 15, and travels."""


def listing(world: World) -> None:
    """Agents are listed, in pages of a few, while rows come and go in front, behind and between."""
    chance = world.chance
    # One lie at a time: where the total is one, no page is cut short as well, for nothing would be left to tell by.
    total = chance.choice((*["exact"] * 4, "string", "root", "missing", "zero", "low", "high", 3))
    honest = total in ("exact", "string", "root")
    page_cap = chance.choice((3, 7, 100)) if honest else 100
    account = world.open(agents=chance.randint(0, 40), chats=0, page_cap=page_cap, total=total)
    world.faults(
        READS if honest else tuple(kind for kind in READS if kind not in ("empty_page", "short_page"))
    )
    lasting = {agent["id"] for agent in account.agents}
    ever = set(lasting)

    def insert() -> None:
        ever.update(agent["id"] for agent in account.insert_agents(chance.randint(1, 5), place()))

    def delete() -> None:
        lasting.difference_update(
            agent["id"] for agent in account.delete_agents(chance.randint(1, 5), place())
        )

    def place() -> Any:
        return chance.choice(("front", "end", "random"))

    world.people([insert, delete], pause=chance.choice((0.3, 2.0, 20.0)), most=chance.choice((0, 10)))
    with world.client() as client:
        agents = client.iter_agents(page_size=chance.randint(2, 9))
        got = [agent["id"] for agent in agents]
    compare(got, lasting, ever, getattr(agents, "warnings", ()))


def search(world: World) -> None:
    """Chats of an agent are searched for while people give them away and back, close them, and new ones come."""
    chance = world.chance
    world.open(agents=6, chats=0, page_cap=chance.choice((3, 7, 100)))
    for _ in range(chance.randint(0, 40)):
        world.arrive(chance.choice((LEAVER, COLLEAGUE)))
    world.faults(READS, most=3)

    def found() -> set[int]:
        return {chat["id"] for chat in world.sandbox.chats_of(LEAVER, open_only=False)}

    lasting, ever = found(), found()

    def after(act: Callable[[], Any]) -> Callable[[], None]:
        def acted() -> None:
            act()
            lasting.intersection_update(found())
            ever.update(found())

        return acted

    acts = [after(lambda: hand_on(world)), after(lambda: world.arrive(LEAVER))]
    world.people(acts, pause=chance.choice((0.3, 2.0, 20.0)), most=chance.choice((0, 15)))
    with world.client() as client:
        chats = client.iter_search_chats(
            [Filter("chats.assignee", "=", LEAVER)], page_size=chance.randint(2, 9)
        )
        got = [chat["id"] for chat in chats]
    compare(got, lasting, ever, getattr(chats, "warnings", ()))


class Warned(HelpCrunchError):  # noqa: N818
    """Records are missing, and a warning in the result says so: the end that was found contradicts the total."""


def compare(got: list[int], lasting: set[int], ever: set[int], warnings: Iterable[str]) -> None:
    """
    Hold a listing against the account.

    :param got: ids that were listed
    :param lasting: those that were there all the time: each must be listed
    :param ever: those that were there at any time: nothing else may be listed
    :param warnings: what the listing says of itself
    """
    problems = {
        "listed twice": [number for number, times in Counter(got).items() if times > 1],
        "never there": sorted(set(got) - ever),
        "missing": sorted(lasting - set(got)),
    }
    found = {name: numbers for name, numbers in problems.items() if numbers}
    if found.keys() == {"missing"} and warnings:
        raise Warned(*warnings)
    if found:
        raise Wrong(found)


def limiter(world: World) -> None:
    """Several workers share the limit; now and then somebody else's spending gets them a 429, which stops all."""
    chance = world.chance
    world.open(agents=1, chats=0)
    pauses = chance.randint(0, 2)
    for _ in range(pauses):
        fault = {"nth": chance.randint(1, 30), "retry_after": chance.choice((None, "7", "45"))}
        world.sandbox.add_fault(Fault("status", status=429, **fault))
    each, workers = chance.randint(1, 12), chance.randint(1, 5)
    done: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with world.client() as client:
                for _ in range(each):
                    client.get_organization()
                    world.scheduler.sleep(chance.choice((0.0, 0.0, 1.0, 30.0)))
            done.append(1)
        except BaseException as error:
            errors.append(error)

    began = world.scheduler.now
    threads = [world.thread(work) for _ in range(workers)]
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    check_pauses(world)
    windows = each * workers / world.limit + 1 + pauses
    if world.scheduler.now - began > 70 * windows + 31 * each:
        message = f"{each * workers} requests took {world.scheduler.now - began:.0f} s"
        raise Wrong(message)


def check_pauses(world: World) -> None:
    """Check that nobody who shares the limit sent anything after a 429, until its time has passed."""
    faults = [entry for entry in world.sandbox.journal if entry.status == 429 and entry.fault]
    for entry in faults:
        # The answer travels, and so does what was sent before it came.
        heard = entry.at + 2 * ONE_WAY
        early = [each for each in world.sandbox.journal if heard < each.at < entry.at + 6.9]
        if early:
            message = f"{len(early)} requests within {early[0].at - entry.at:.1f} s after a 429"
            raise Wrong(message)


def reassign(world: World) -> None:
    """The chats of an agent, of two, or of nobody go to others, while people work, workers die and tasks defer."""
    chance = world.chance
    world.open(
        agents=6, chats=0, page_cap=chance.choice((3, 100, 100)), latency=chance.choice((0.0, 0.0, 3.0))
    )
    sources = chance.choice(([LEAVER], [LEAVER], [LEAVER, SECOND], [None]))
    owners = [*sources, *sources, *sources, COLLEAGUE, 1002]
    for _ in range(chance.randint(0, 40)):
        world.arrive(chance.choice(owners), chance.choice((*OPEN, "opened", "opened", "closed", "empty")))
    world.faults(READS, most=2, path="/v1/chats/search")
    world.faults(READS, most=1, method="GET")
    world.faults(WRITES, most=2, refusals=(400, 404), method="PUT")

    def leave() -> None:
        if chance.random() < 0.1 and len(world.sandbox.agents) == 6:
            world.sandbox.remove_agent(chance.choice(TARGETS))

    acts = [
        *[lambda: hand_on(world, COLLEAGUE)] * 3,
        lambda: hand_on(world, chance.choice(sources)),
        lambda: world.arrive(chance.choice(sources)),
        lambda: close_or_open(world),
        leave,
    ]
    world.people(acts, pause=chance.choice((0.5, 3.0, 30.0)), most=chance.choice((0, 20)))
    arguments: dict[str, Any] = {
        "from_agents": sources[0] if len(sources) == 1 else sources,
        "to_agents": list(TARGETS),
        "strategy": chance.choice(("round_robin", "least_loaded")),
        "deferrable": chance.random() < 0.5,
        "dry_run": chance.random() < 0.1,
        "max_chats": chance.choice((None, None, 1, 5, 20)),
    }
    try:
        result = task(world, lambda: ReassignChatsOperator(task_id="reassign", **arguments))
    finally:
        check_writes(world, sources)
    if arguments["dry_run"]:
        if world.sandbox.requests(method="PUT"):
            message = "a dry run wrote"
            raise Wrong(message)
        return
    if (most := arguments["max_chats"]) is None or result["changed"] < most:
        check_drained(world, sources)
    check_report(world, result)
    check_most(world, most)


def plan(world: World) -> None:
    """A plan is carried out while people work and workers die, with and without a place to keep what was done."""
    chance = world.chance
    world.open(agents=6, chats=0)
    chats = [world.arrive(LEAVER) for _ in range(chance.randint(1, 30))]
    picked = chance.sample(chats, chance.randint(1, len(chats)))
    wanted = {chat: chance.choice((*TARGETS, None)) for chat in picked}
    world.faults(WRITES, most=3, refusals=(400, 404), method="PUT")
    world.faults(READS, most=1, method="GET")
    world.people(
        [lambda: hand_on(world, COLLEAGUE)], pause=chance.choice((0.5, 5.0)), most=chance.choice((0, 8))
    )
    arguments: dict[str, Any] = {
        "plan": [{"id": chat, "assignee": assignee} for chat, assignee in wanted.items()],
        "deferrable": chance.random() < 0.5,
    }
    try:
        result = task(world, lambda: UpdateChatsOperator(task_id="plan", **arguments))
    finally:
        for write in world.sandbox.writes():
            if wanted.get(write.chat or 0, "nothing") != write.body["assignee"]:
                message = f"chat {write.chat} was given to {write.body['assignee']}, which no plan says"
                raise Wrong(message)
    check_report(world, result)
    for chat, assignee in wanted.items():
        story = world.story(chat)
        if assignee not in [change.assignee for change in story[1:]] and not result.get("unchanged"):
            message = f"chat {chat} was never given to {assignee}"
            raise Wrong(message)


def upsert(world: World) -> None:
    """Customers are written back while requests fail and workers die; some are new, and some rows are refused."""
    chance = world.chance
    account = world.open(
        agents=1, chats=chance.randint(1, 30), custom_data=chance.choice(("object", "array"))
    )
    known = [each["email"] for each in account.truth("customers") if each["email"]]
    emails = chance.sample(known, chance.randint(0, len(known)))
    emails += [f"new-{number}@mail.example" for number in range(chance.randint(0, 30))]
    chance.shuffle(emails)
    # Only an id of one's own keeps HelpCrunch itself from having a customer twice.
    has_ids = chance.random() < 0.3
    rows = [
        {
            "email": email,
            "company": f"company {number}",
            "notes": "x" * chance.choice((9, 9, 9, 9, 300)),
            **({"userId": f"mine-{number}"} if has_ids else {}),
            **({"tags": ["mine"]} if chance.random() < 0.3 else {}),
            **({"lastSeen": "1700000000"} if chance.random() < 0.2 else {}),
        }
        for number, email in enumerate(emails)
    ]
    world.faults(READS, most=2, path="/v1/customers/search")
    world.faults(WRITES, most=3, refusals=(400, 404), path="/v1/customers", method="POST")
    world.faults(WRITES, most=3, refusals=(400, 404), method="PATCH")
    world.faults(WRITES, most=1, refusals=(404,), method="PUT")
    with tempfile.TemporaryDirectory() as folder:
        arguments: dict[str, Any] = {
            "customers": rows,
            "key": "userId" if has_ids and not set(emails) & set(known) else "email",
            "deferrable": chance.random() < 0.5,
            "on_error": "report",
            "rejects_path": f"{folder}/rejects.jsonl",
        }
        try:
            result = task(world, lambda: UpsertCustomersOperator(task_id="upsert", **arguments))
        finally:
            check_customers(world, emails)
        rejected = {row["email"] for row in read_records(result["rejects"])}
    check_rows(world, [row for row in rows if row["email"] not in rejected])
    done = sum(result[outcome] for outcome in ("created", "updated", "unchanged"))
    if done + len(rejected) != len(rows) or len(rejected) != result["refused"] + result["failed"]:
        message = f"of {len(rows)} rows {done} were applied and {len(rejected)} rejected: {result}"
        raise Wrong(message)


def check_customers(world: World, emails: Iterable[str]) -> None:
    """Check that nobody was created twice."""
    found = Counter(each["email"] for each in world.sandbox.truth("customers"))
    if twice := [email for email in emails if found[email] > 1]:
        message = f"created twice: {twice}"
        raise Wrong(message)


def check_rows(world: World, rows: Iterable[Mapping[str, Any]]) -> None:
    """Check that the customers of rows that were not rejected are as the rows say."""
    customers = {each["email"]: each for each in world.sandbox.truth("customers")}
    for row in rows:
        there = customers.get(row["email"])
        if there is None:
            message = f"{row['email']} is not there, and nothing says so"
            raise Wrong(message)
        tags = {tag["name"] for tag in there["tags"]}
        wrong = [
            name
            for name in ("userId", "company", "notes", "lastSeen")
            if there[name] != row.get(name, there[name])
        ]
        if wrong or not tags.issuperset(row.get("tags", ())):
            message = f"{row['email']} has another {', '.join(wrong) or 'tag'}"
            raise Wrong(message)


def export(world: World) -> None:
    """Chats and their messages are exported night after night, while requests fail and workers die."""
    chance = world.chance
    account = world.open(
        agents=4,
        chats=chance.randint(0, 15),
        messages=chance.randint(1, 6),
        page_cap=chance.choice((3, 7, 100)),
        tech_messages=chance.random() < 0.5,
    )
    last: dict[int, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for day in range(chance.randint(1, 3)):
            account.night(0, **{kind: chance.randint(0, 4) for kind in NIGHT})
            world.faults(READS, most=3)
            chats = exported(world, f"{folder}/chats", f"day {day}", CHATS)
            now = {chat["id"]: chat["lastMessageId"] for chat in rows_of(f"{folder}/chats", chats)}
            messages = exported(world, f"{folder}/messages", f"day {day}", MESSAGES, f"{folder}/chats")
            world.sandbox.clear_faults()
            true = account.truth("chats")
            hold("chats", rows_of(f"{folder}/chats", chats), {chat["id"]: chat for chat in true})
            # A note, or a message behind the last one, leaves no trace in its chat until that moves.
            moved = {chat for chat, number in now.items() if last.get(chat) != number}
            visible = {
                each["id"]: each
                for each in account.truth("messages")
                if each["type"] != "tech" and (each["chat"] in moved or each["id"] == now.get(each["chat"]))
            }
            rows = rows_of(f"{folder}/messages", messages)
            ever = {each["id"] for each in account.truth("messages")}
            hold("messages", rows, visible, ever, messages.warnings)
            last = now


NIGHT = ("chats", "messages", "late_messages", "silent", "closed", "lost_chats")


def exported(world: World, base: str, run: str, table: Any, chats: str = "") -> Manifest:
    """Export as a task does: with a new worker where one dies, and three retries."""
    deaths = world.chance.choice((0, 0, 1, 2))
    for tries_left in (4, 3, 2, 1, 0):
        world.crash_at = world.sent + world.chance.randint(1, 20) if deaths else None
        try:
            with (
                Run(BasePath(base), Resource(table, "jsonl"), run, world.scheduler.time) as started,
                world.client() as client,
            ):
                if not chats:
                    return ListingExport(started, lambda client: client.iter_chats(page_size=9)).run(client)
                before = read_manifest(BasePath(chats), "chats")
                return MessagesExport(started, partial(rows_of, chats, before), private_notes=True).run(
                    client
                )
        except Crash:
            deaths -= 1
        except HelpCrunchError:
            if not tries_left:
                raise
        finally:
            world.crash_at = None
        world.scheduler.sleep(world.chance.choice((1.0, 300.0)))
    message = "the last worker died"
    raise HelpCrunchError(message)


def rows_of(base: str, manifest: Manifest | None) -> list[dict[str, Any]]:
    """Return the snapshot of an export."""
    objects = manifest.snapshot if manifest else []
    return [row for each in objects for row in read_records(f"{base}/{each.path}")]


def hold(
    what: str,
    rows: list[dict[str, Any]],
    true: dict[int, Any],
    ever: Iterable[int] | None = None,
    warnings: Iterable[str] = (),
) -> None:
    """Hold a snapshot against the account: nothing missing, nothing doubled, nothing else, no other assignee."""
    got = Counter(row["id"] for row in rows)
    problems = {
        "missing": sorted(true.keys() - got.keys()),
        "doubled": [number for number, times in got.items() if times > 1],
        "never there": sorted(got.keys() - set(true if ever is None else ever)),
        "stale": [
            row["id"]
            for row in rows
            if row["id"] in true and row.get("assignee") != true[row["id"]].get("assignee")
        ],
    }
    found = {name: numbers for name, numbers in problems.items() if numbers}
    if found.keys() == {"missing"} and warnings:
        raise Warned(*warnings)
    if found:
        raise Wrong(what, found)


def task(world: World, operator: Callable[[], Any], *, lives: int = 30) -> dict[str, Any]:
    """
    Run a task as Airflow does: deferrals, a new worker where one dies, and three retries.

    :param world: the world
    :param operator: makes the operator
    :param lives: requests that a worker who dies sends at most
    """
    from stores import MortalStore
    from task_context import Instance

    chance = world.chance
    store = MortalStore(lambda: world.is_dead)
    has_store = chance.random() < 0.5
    context: dict[str, Any] = {"task_state_store": store} if has_store else {}
    deaths = chance.choice((0, 0, 1, 2))
    for number, tries_left in enumerate((3, 2, 1, 0), start=1):
        context["ti"] = Instance(number)
        world.crash_at = world.sent + chance.randint(1, lives) if deaths else None
        world.reported_from = world.reported_from if has_store else world.scheduler.now
        world.is_dead = False
        step: Callable[..., Any] = operator().execute
        event: dict[str, Any] = {}
        try:
            while True:
                try:
                    result: dict[str, Any] = step(context, **event)
                    world.people_act = False
                    return result
                except TaskDeferred as deferred:
                    _, kept = json.loads(json.dumps(deferred.trigger.serialize()))
                    world.scheduler.sleep(max(0.0, kept["until"] - world.scheduler.now))
                    event = {"event": kept["state"], **(deferred.kwargs or {})}
                    step = getattr(operator(), deferred.method_name)
        except Crash:
            deaths -= 1
            if not has_store:
                world.crashes.append(world.scheduler.now)
        except HelpCrunchError as error:
            if isinstance(error, AirflowFailException) or not tries_left:
                raise
        world.scheduler.sleep(chance.choice((1.0, 300.0)))
    message = "the last worker died"
    raise HelpCrunchError(message)


def hand_on(world: World, to: int | None = COLLEAGUE) -> None:
    """Let a person give any chat to somebody."""
    if chats := world.sandbox.chats:
        world.change(world.chance.choice(chats)["id"], assignee=to)


def close_or_open(world: World) -> None:
    """Let a person close any chat, or open it again."""
    if chats := world.sandbox.chats:
        chat = world.chance.choice(chats)
        world.change(chat["id"], status="opened" if chat["status"] == "closed" else "closed")


def check_writes(world: World, sources: Iterable[int | None]) -> None:
    """Check that only chats that were the sources' a short while ago were given away, and to the targets alone."""
    first: dict[int, float] = {}
    previous: tuple[Any, ...] = ()
    for request in world.sandbox.requests(ASSIGNEE, "PUT"):
        chat, to = request.chat or 0, request.body["assignee"]
        if (chat, to) != previous:
            first[chat] = request.at
        previous = chat, to
        if to not in TARGETS:
            message = f"chat {chat} was given to {to}"
            raise Wrong(message)
        if request.applied and not was_theirs(world, chat, sources, first[chat] - MOST_AGE, first[chat]):
            message = f"chat {chat} was written at {request.at:.1f}: {world.story(chat)}"
            raise Wrong(message)


def was_theirs(world: World, chat: int, sources: Iterable[int | None], start: float, end: float) -> bool:
    """Say whether a chat was open and one of the sources' at any moment of a span."""
    story = world.story(chat)
    ends = [change.at for change in story[1:]] + [float("inf")]
    return any(
        change.assignee in sources and change.status in OPEN and change.at < end and until >= start
        for change, until in zip(story, ends, strict=True)
    )


def check_drained(world: World, sources: Iterable[int | None]) -> None:
    """Check that chats that are left with a source came after the last pass over its chats had begun."""
    check_drained_but(world, sources, ())


def check_drained_but(world: World, sources: Iterable[int | None], told: Container[int]) -> None:
    """Check the same, but for chats that the task says are left."""
    for source in sources:
        starts = [page.at for page in world.first_pages(source)]
        for chat in world.sandbox.chats_of(source):
            came = world.story(chat["id"])[-1].at
            if chat["id"] not in told and (not starts or came < starts[-1]):
                message = f"chat {chat['id']} stayed with {source}: {world.story(chat['id'])}"
                raise Wrong(message)


def check_report(world: World, result: dict[str, Any]) -> None:
    """Check that a task changed all that it says that it changed, and says all that it changed."""
    written = {(write.chat, write.body["assignee"]) for write in world.sandbox.writes()}
    said = {(each["id"], each["after"]) for each in result["chats"] or () if each["outcome"] == "changed"}
    if said - written:
        message = f"the result says of chats that were never given that they were: {said - written}"
        raise Wrong(message)
    for write in known_writes(world):
        # A chat that a person has given on before the task could look is the one whose move nobody can prove.
        last = world.story(write.chat or 0)[-1]
        if (write.chat, write.body["assignee"]) not in said and last.assignee == write.body["assignee"]:
            message = (
                f"chat {write.chat} was given to {write.body['assignee']}, and the result does not say so"
            )
            raise Wrong(message)


def check_most(world: World, most: int | None) -> None:
    """Check that no more chats were moved than might be."""
    moved = {write.chat for write in known_writes(world)}
    if most is not None and len(moved) > most:
        message = f"{len(moved)} chats were moved instead of at most {most}"
        raise Wrong(message)


def known_writes(world: World) -> list[Request]:
    """Return the writes that a task knows of: all but those at which a worker died, if nothing outlived it."""
    return [
        write
        for write in world.sandbox.writes()
        if write.at >= world.reported_from
        and not any(0 <= crash - write.at <= ONE_WAY + 30.0 for crash in world.crashes)
    ]


SCENARIOS: dict[str, Callable[[World], None]] = {
    scenario.__name__: scenario for scenario in (listing, search, limiter, reassign, plan, upsert, export)
}
