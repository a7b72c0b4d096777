"""Scenario of an approval: a dry run is applied after a while, by rules that must hold then, and what must be so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from scenarios import ASSIGNEE, COLLEAGUE, LEAVER, OPEN, TARGETS, check_report, close_or_open, hand_on, task
from shares import MESSAGES, NOTE, Rules, check_caps, check_members, check_notes, check_told
from world import BROKEN, READS, WRITES, World, Wrong

from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator


def approval(world: World) -> None:
    """
    A dry run is approved after a while and applied, while people take, close and open chats and workers die.

    While the approval waits, people also give chats to those who are to get more, so that some are full by then.
    """
    chance = world.chance
    account = world.open(agents=6, departments=3, chats=0)
    places = [None, *(each["id"] for each in account.departments)]
    departments: dict[int, int] = {}
    for _ in range(chance.randint(1, 30)):
        place = chance.choice(places)
        chat = world.arrive(LEAVER, chance.choice(OPEN), place)
        if place is not None:
            departments[chat] = place
    within = chance.random() < 0.3
    members = {each["id"]: {agent["id"] for agent in each["agents"]} for each in account.departments}
    rules = Rules(chance.choice((None, 2, 5)), members if within else None, departments)
    given: dict[str, Any] = {"max_per_agent": rules.most, "within_department": within}
    dry = task(
        world,
        lambda: ReassignChatsOperator(
            task_id="dry",
            from_agents=LEAVER,
            to_agents=list(TARGETS),
            dry_run=True,
            deferrable=chance.random() < 0.5,
            **given,
        ),
    )
    acts = [
        lambda: hand_on(world, COLLEAGUE),
        lambda: hand_on(world, chance.choice(TARGETS)),
        lambda: close_or_open(world),
    ]
    for _ in range(chance.randint(0, 10)):
        world.scheduler.sleep(1.0)
        chance.choice(acts)()
    before = Counter(chat["assignee"]["id"] for agent in TARGETS for chat in account.chats_of(agent))
    note = chance.choice((None, NOTE, NOTE))
    world.faults(WRITES, most=3, refusals=(400, 404), method="PUT")
    world.faults(READS, most=1, method="GET")
    world.faults(READS, most=1, path="/v1/chats/search")
    world.faults((*BROKEN, "latency", "status"), most=2, refusals=(400, 404), path=MESSAGES)
    world.people_act = True
    # From now on nobody's chats become more but by the plan, or the caps could not be judged.
    acts = [lambda: hand_on(world, COLLEAGUE), lambda: close_or_open_of_others(world)]
    world.people(acts, pause=chance.choice((0.5, 5.0)), most=chance.choice((0, 20)))
    arguments: dict[str, Any] = {"plan": dry, "note": note, "deferrable": chance.random() < 0.5, **given}
    planned = {row["id"]: row for row in dry["chats"] if row["outcome"] == "planned"}
    sent = len(account.journal)
    try:
        result = task(world, lambda: UpdateChatsOperator(task_id="apply", **arguments))
    finally:
        check_conditions(world, planned, sent)
        check_caps(world, rules)
        check_members(world, rules)
        check_notes(world, note)
    check_report(world, result)
    check_skipped(world, result, rules, before)
    if note:
        check_told(world, result)
    listed = {row["id"] for row in result["chats"]}
    if listed != planned.keys():
        message = f"the report has {len(listed)} of {len(planned)} planned chats"
        raise Wrong(message)


def close_or_open_of_others(world: World) -> None:
    """Let a person close any chat, or open one again that nobody has who is to get chats."""
    chat = world.chance.choice(world.sandbox.chats)
    is_closed = chat["status"] == "closed"
    if not is_closed or (chat["assignee"] or {}).get("id") not in TARGETS:
        world.change(chat["id"], status="opened" if is_closed else "closed")


def check_skipped(world: World, result: dict[str, Any], rules: Rules, before: Counter[int]) -> None:
    """Check that each chat that was left alone has a reason, and that a rule which is the reason is true."""
    tried = Counter(
        agent
        for _, agent in {
            (each.chat, each.body["assignee"]) for each in world.sandbox.requests(ASSIGNEE, "PUT")
        }
    )
    for row in result["chats"]:
        if row["outcome"] != "skipped":
            continue
        reason, agent = row["error"] or "", row["after"]
        is_full = rules.most is not None and before[agent] + tried[agent] >= rules.most
        is_outsider = agent not in rules.colleagues(row["id"])
        if (
            not reason
            or ("open chats or more" in reason and not is_full)
            or ("is not a member" in reason and not is_outsider)
        ):
            message = f"chat {row['id']} was skipped: {reason or 'no reason'}"
            raise Wrong(message)


def check_conditions(world: World, planned: Mapping[int, Any], sent: int) -> None:
    """
    Check that each chat was as planned when it was last read before its first write.

    Between that reading and the write a person may act: nobody can close this gap.
    """
    for chat, row in planned.items():
        writes = world.sandbox.writes(chat)
        if not writes:
            continue
        reads = [
            request.at
            for request in world.sandbox.journal[sent:]
            if request.path == f"/v1/chats/{chat}" and request.status == 200 and request.at <= writes[0].at
        ]
        if not reads:
            message = f"chat {chat} was changed without being read"
            raise Wrong(message)
        now = [change for change in world.story(chat) if change.at <= reads[-1]][-1]
        if (now.assignee, now.status) != (row["before"], row["status"]):
            message = f"chat {chat} was changed although it was {now.status} and with {now.assignee}"
            raise Wrong(message)
