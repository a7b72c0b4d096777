"""A whole reassignment: several sources, one after the other, to one set of agents."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import Strategy, least_loaded
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.operators.chats.drain import Drain
from airflow_provider_helpcrunch.operators.chats.outcome import columns, from_columns
from airflow_provider_helpcrunch.operators.chats.selection import Selection
from airflow_provider_helpcrunch.operators.chats.targets import Targets, count_open_chats, names_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exceptions import HelpCrunchError
    from airflow_provider_helpcrunch.operators.chats.outcome import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """
    What is to be done.

    :param sources: ids of agents whose chats go to others; ``None`` among them: nobody's chats
    :param targets: ids of the agents who get them
    :param department: only chats of this department
    :param statuses: only chats with these statuses; ``None``: all that are open
    :param strategy: name or import path of the strategy
    :param most: how many chats are moved at most; ``None``: all
    :param dry_run: whether nothing is written
    """

    sources: tuple[int | None, ...]
    targets: tuple[int, ...]
    department: int | None
    statuses: tuple[str, ...] | None
    strategy: str
    most: int | None
    dry_run: bool

    def __post_init__(self) -> None:
        """Refuse an order that cannot be right."""
        if both := [agent for agent in self.targets if agent in self.sources]:
            msg = (
                f"Agent {both[0]} is in from_agents and in to_agents; chats cannot go to the agent "
                "they are taken from. Take the agent out of one of them."
            )
            raise HelpCrunchConfigurationError(msg)

    @property
    def fingerprint(self) -> str:
        """A short text that is the same for the same order only."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]

    def columns(self, outcomes: Sequence[Outcome]) -> list[list[Any]]:
        """Return outcomes as plain JSON that packs well."""
        return columns(outcomes)

    def from_columns(self, written: Sequence[Sequence[Any]]) -> list[Outcome]:
        """Return the outcomes that :meth:`columns` was given."""
        return from_columns(written)


class Reassignment:
    """
    Carries out an order. After an error of the budget, :meth:`outcomes` may be called again: it goes on.

    :param order: what is to be done
    :param strategy: the strategy that the order names
    :param done: outcomes of this task so far
    :param earlier: how many of these are from earlier tries
    :param allow_unknown: whether a source may be nobody whom the account knows, and have no chats
    """

    def __init__(
        self,
        order: Order,
        strategy: Strategy,
        done: Sequence[Outcome] = (),
        earlier: int = 0,
        *,
        allow_unknown: bool = False,
    ) -> None:
        self.names: dict[int, str] = {}
        """Names of the agents that are meant, by id."""
        self.error: HelpCrunchError | None = None
        """Why the latest chat was refused or failed."""
        self._order = order
        self._strategy = strategy
        self._allow_unknown = allow_unknown
        self._moved = [outcome for outcome in done if outcome.outcome in ("changed", "planned")]
        self._met = {outcome.before for outcome in done}
        self._this_try = list(done[earlier:])
        self._count = len(self._moved)
        self._loads: dict[int, int] = {}
        # How many of the targets have their load counted; None: the agents are not looked up yet.
        self._counted: int | None = None
        self._unknown: list[int] = []
        self._drained = 0
        self._skipped = 0
        self._drain_place: dict[str, Any] | None = None
        self._drain: Drain | None = None

    @property
    def requests_left(self) -> int:
        """How many requests may be needed still, one at least."""
        if self._drain is None:
            return 10 + (0 if self._counted is None else len(self._order.targets) - self._counted)
        chats = self._drain.remaining
        searches = 2 + chats // 100
        return searches + (0 if self._order.dry_run else chats)

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands, as plain JSON; see :meth:`go_on_from`."""
        return {
            "counted": self._counted,
            "loads": [self._loads.get(agent) for agent in self._order.targets],
            "unknown": list(self._unknown),
            "drained": self._drained,
            "count": self._count,
            "skipped": self._skipped,
            "drain": self._drain.place if self._drain else self._drain_place,
        }

    def go_on_from(self, place: dict[str, Any]) -> None:
        """Take up the work where another object of this class, with the same order, stood."""
        loads = zip(self._order.targets, place["loads"], strict=True)
        self._loads = {agent: load for agent, load in loads if load is not None}
        self._counted, self._unknown = place["counted"], list(place["unknown"])
        self._drained, self._count = place["drained"], place["count"]
        self._skipped, self._drain_place = place["skipped"], place["drain"]

    def outcomes(self, client: HelpCrunchClient) -> Iterator[Outcome]:
        """
        Move chats, source by source.

        :param client: the account
        :return: what became of each chat
        :raises HelpCrunchConfigurationError: a target does not exist, and nothing was written; or a source does not
            exist and has no chats, and those of the others were moved
        :raises HelpCrunchRateLimitError: the budget is spent; nothing was changed since the latest outcome
        :raises HelpCrunchError: see :meth:`.drain.Drain.outcomes`
        """
        self._prepare(client)
        targets = Targets(self._loads, self._strategy)
        self._loads = targets.loads
        while self._is_to_drain():
            source = self._order.sources[self._drained]
            self._drain = drain = self._drain_of(source, targets)
            for outcome in drain.outcomes(client):
                self._count += outcome.outcome in ("changed", "planned")
                self._this_try.append(outcome)
                self.error = drain.error
                yield outcome
            self._skipped += len(drain.skipped)
            if source in self._unknown and drain.has_met:
                self._unknown.remove(source)
            self._drained += 1
            self._drain = self._drain_place = None
        if not self._this_try and not self._skipped:
            self._refuse_unknown_department(client)
        self._refuse_unknown_sources()
        self.names = self.names or names_of(client, {*self._order.targets, *self._order.sources})

    def _is_to_drain(self) -> bool:
        """Say whether a source is left, or a drain that was interrupted, be it only in looking at what it moved."""
        if self._drain is not None or self._drain_place is not None:
            return True
        return self._drained < len(self._order.sources) and self._room() != 0

    def _room(self) -> int | None:
        """Return how many more chats may be moved."""
        return None if self._order.most is None else max(self._order.most - self._count, 0)

    def _refuse_unknown_sources(self) -> None:
        """A mistake in an id must not look like an agent who has no chats."""
        drained = self._order.sources[: self._drained]
        missing = [agent for agent in self._unknown if agent in drained]
        if not missing or self._allow_unknown:
            return
        rest = "" if len(missing) <= 20 else f" and {len(missing) - 20} more"
        msg = (
            f"from_agents names {', '.join(map(str, missing[:20]))}{rest}, but the account has no such agent, and "
            "nothing assigned to them was found. Correct the id; or, where an agent who has left may have no chats "
            "any more, set allow_unknown_agents=True. Chats of other agents are not concerned by this."
        )
        raise HelpCrunchConfigurationError(msg)

    def _refuse_unknown_department(self, client: HelpCrunchClient) -> None:
        """Where nothing was found, the department may be a mistake."""
        department = self._order.department
        if department is not None and all(found["id"] != department for found in client.iter_departments()):
            msg = f"department names {department}, but the account has no such department. Nothing was moved."
            raise HelpCrunchConfigurationError(msg)

    def summary(self) -> dict[str, Any]:
        """Return what the result says beside the outcomes."""
        drain = self._drain
        return {"skipped": self._skipped + (len(drain.skipped) if drain else 0)}

    def _drain_of(self, source: int | None, targets: Targets) -> Drain:
        order = self._order
        statuses = None if order.statuses is None else frozenset(order.statuses)
        # Not those that were refused for an agent who has left since: somebody else may get them.
        settled = {
            outcome.id
            for outcome in self._this_try
            if outcome.outcome != "refused" or outcome.after in targets.loads
        }
        latest = {outcome.id: outcome for outcome in self._this_try}
        given = {chat: outcome.after for chat, outcome in latest.items() if outcome.outcome == "changed"}
        drain = Drain(
            Selection(source, order.department, statuses),
            targets,
            settled,
            given,
            room=self._room(),
            dry_run=order.dry_run,
        )
        if self._drain is not None:
            drain.place = self._drain.place
        elif self._drain_place is not None:
            drain.place = self._drain_place
        return drain

    def _prepare(self, client: HelpCrunchClient) -> None:
        """Look all agents up, and count what the targets have; what is known already is not asked again."""
        if self._counted is None:
            self._look_up(client)
            self._counted = 0 if self._strategy is least_loaded else len(self._order.targets)
        for agent in self._order.targets[self._counted :]:
            self._loads[agent] = count_open_chats(client, agent)
            self._counted += 1

    def _look_up(self, client: HelpCrunchClient) -> None:
        meant = {*self._order.targets, *self._order.sources}
        found = {int(agent["id"]): str(agent.get("name") or "") for agent in client.iter_agents()}
        self._check(found)
        self.names = {agent: name for agent, name in found.items() if agent in meant}
        if self._strategy is least_loaded:
            return
        self._loads = dict.fromkeys(self._order.targets, 0)
        for outcome in self._moved:
            if outcome.after in self._loads:
                self._loads[outcome.after] += 1

    def _check(self, found: dict[int, str]) -> None:
        if missing := [agent for agent in self._order.targets if agent not in found]:
            known = (
                f"{len(found)} agents" if len(found) > 20 else ", ".join(map(str, sorted(found))) or "none"
            )
            msg = (
                f"to_agents names {', '.join(map(str, missing))}, but the account has no such agent. "
                f"Nothing was moved. It has {known}; ListAgentsOperator lists them."
            )
            raise HelpCrunchConfigurationError(msg)
        missing = [agent for agent in self._order.sources if agent is not None and agent not in found]
        self._unknown = [agent for agent in missing if agent not in self._met]
        if missing:
            names = ", ".join(map(str, missing[:20])) + (" …" if len(missing) > 20 else "")
            log.warning("The account has no agent %s; chats that are still theirs are moved.", names)
