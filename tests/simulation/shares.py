"""Scenario of a hand-over with fair shares: caps, departments and notes, and what the account must show afterwards."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from scenarios import (
    ASSIGNEE,
    COLLEAGUE,
    LEAVER,
    OPEN,
    TARGETS,
    check_drained_but,
    check_report,
    check_writes,
    hand_on,
    task,
)
from world import BROKEN, READS, WRITES, World, Wrong

from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator

NOTE = "Handed over."
MESSAGES = "/v1/messages"


class Rules(NamedTuple):
    """
    Rules of a hand-over.

    :param most: most open chats that an agent may have, if any
    :param members: members of each department who alone may get its chats, if so
    :param departments: department of each chat that has one
    """

    most: int | None
    members: dict[int, set[int]] | None
    departments: dict[int, int]

    def colleagues(self, chat: int) -> set[int]:
        """Return the targets who may get a chat by its department."""
        department = self.departments.get(chat)
        if self.members is None or department is None:
            return set(TARGETS)
        return self.members[department] & set(TARGETS)


def shares(world: World) -> None:
    """Chats go to others who may take so many, in their departments, with a note, while people work and workers die."""
    chance = world.chance
    account = world.open(agents=6, departments=3, chats=0, page_cap=chance.choice((3, 100, 100)))
    places = [None, *(each["id"] for each in account.departments)]
    departments: dict[int, int] = {}

    def arrive(owner: int) -> None:
        place = chance.choice(places)
        chat = world.arrive(owner, chance.choice((*OPEN, "opened", "closed")), place)
        if place is not None:
            departments[chat] = place

    for _ in range(chance.randint(0, 40)):
        arrive(chance.choice((*[LEAVER] * 5, COLLEAGUE, *TARGETS)))
    before = Counter(chat["assignee"]["id"] for agent in TARGETS for chat in account.chats_of(agent))
    within = chance.random() < 0.5
    members = {each["id"]: {agent["id"] for agent in each["agents"]} for each in account.departments}
    rules = Rules(chance.choice((None, 1, 3, 6)), members if within else None, departments)
    note = chance.choice((None, NOTE, NOTE))
    world.faults(READS, most=2, path="/v1/chats/search")
    world.faults(READS, most=1, method="GET")
    world.faults(WRITES, most=2, refusals=(400, 404), method="PUT")
    world.faults((*BROKEN, "latency", "status"), most=2, refusals=(400, 404), path=MESSAGES)
    acts = [
        lambda: hand_on(world, COLLEAGUE),
        lambda: arrive(LEAVER),
        lambda: close(world),
    ]
    world.people(acts, pause=chance.choice((0.5, 3.0, 30.0)), most=chance.choice((0, 15)))
    arguments: dict[str, Any] = {
        "from_agents": LEAVER,
        "to_agents": list(TARGETS),
        "strategy": chance.choice(("round_robin", "least_loaded")),
        "deferrable": chance.random() < 0.5,
        "max_per_agent": rules.most,
        "within_department": within,
        "note": note,
        "on_error": chance.choice(("fail_at_end", "report")),
    }
    try:
        result = task(world, lambda: ReassignChatsOperator(task_id="shares", **arguments), lives=15)
    finally:
        check_writes(world, [LEAVER])
        check_caps(world, rules)
        check_members(world, rules)
        check_notes(world, note)
    left = {row["id"]: row["error"] for row in result["chats"] if row["outcome"] == "left"}
    told = {row["id"] for row in result["chats"] if row["outcome"] in ("refused", "failed")}
    check_drained_but(world, [LEAVER], left.keys() | told)
    check_left(world, rules, left, before)
    check_report(world, result)
    if note:
        check_told(world, result)


def close(world: World) -> None:
    """Let a person close any chat."""
    if chats := world.sandbox.chats:
        world.change(world.chance.choice(chats)["id"], status="closed")


def check_caps(world: World, rules: Rules) -> None:
    """Replay what people and requests did, and check that no request gave an agent an open chat above the most."""
    if rules.most is None:
        return
    state: dict[int, tuple[int | None, str]] = {}
    stories = [(change, chat["id"]) for chat in world.sandbox.chats for change in world.story(chat["id"])]
    by_us = {(write.chat, write.at) for write in world.sandbox.writes() if write.path == ASSIGNEE}
    for change, chat in sorted(stories):
        was = state.get(chat)
        state[chat] = (change.assignee, change.status)
        owned = sum(each == (change.assignee, each[1]) and each[1] in OPEN for each in state.values())
        is_given = (chat, change.at) in by_us and was is not None and was[0] != change.assignee
        if is_given and change.status in OPEN and owned > rules.most:
            message = f"chat {chat} gave {change.assignee} {owned} open chats instead of at most {rules.most}"
            raise Wrong(message)


def check_members(world: World, rules: Rules) -> None:
    """Check that each chat went to a member of its department."""
    for write in world.sandbox.writes():
        if write.path == ASSIGNEE and write.body["assignee"] not in rules.colleagues(write.chat or 0):
            message = (
                f"chat {write.chat} was given to {write.body['assignee']}, who is no member of its department"
            )
            raise Wrong(message)


def check_notes(world: World, note: str | None) -> None:
    """Check that no chat has a note twice, and none that was not moved has any."""
    moved = {write.chat for write in world.sandbox.writes() if write.path == ASSIGNEE}
    for chat, count in noted(world).items():
        if count > 1 or chat not in moved or note is None:
            message = f"chat {chat} has {count} notes"
            raise Wrong(message)


def check_left(world: World, rules: Rules, left: dict[int, str], before: Counter[int]) -> None:
    """Check that nobody could take the chats that are left, for the reason that is given."""
    tried = Counter(
        agent
        for _, agent in {
            (each.chat, each.body["assignee"]) for each in world.sandbox.requests(ASSIGNEE, "PUT")
        }
    )
    for chat, reason in left.items():
        colleagues = rules.colleagues(chat)
        roomy = [
            agent for agent in colleagues if rules.most is None or before[agent] + tried[agent] < rules.most
        ]
        if roomy or ("No agent in to_agents is a member" in reason) == bool(colleagues):
            message = f"chat {chat} was left ({reason}), and {roomy or colleagues} could have taken it"
            raise Wrong(message)


def check_told(world: World, result: dict[str, Any]) -> None:
    """Check that a moved chat without a note is reported, and that no note is reported that is not there."""
    there = noted(world)
    moved = {
        row["id"] for row in result["chats"] if row["field"] == "assignee" and row["outcome"] == "changed"
    }
    told = {row["id"] for row in result["chats"] if row["field"] == "note"}
    if (silent := moved - there.keys() - told) or result["notes"] > len(there):
        message = f"notes are missing without a word: {silent}; {result['notes']} are said to be there"
        raise Wrong(message)
    if result["notes_missing"] != len(moved) - result["notes"]:
        message = f"{result['notes_missing']} notes are said to be missing of {len(moved)} chats"
        raise Wrong(message)


def noted(world: World) -> dict[int, int]:
    """Return the number of notes in each chat that has any."""
    found = {
        chat["id"]: sum(
            message["type"] == "private" and message["text"] == NOTE
            for message in world.sandbox.messages(chat["id"])
        )
        for chat in world.sandbox.chats
    }
    return {chat: count for chat, count in found.items() if count}
