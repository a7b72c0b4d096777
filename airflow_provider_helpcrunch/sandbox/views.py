"""Views of a sandbox for a test: the data of the account, and the requests it got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox import truth
from airflow_provider_helpcrunch.sandbox.chat_fields import BY_PERSON
from airflow_provider_helpcrunch.sandbox.chat_words import OPEN
from airflow_provider_helpcrunch.sandbox.journal import Request, busiest_window
from airflow_provider_helpcrunch.sandbox.night import HOURS_8, night

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.happenings import Happening
    from airflow_provider_helpcrunch.sandbox.records import Position, Record
    from airflow_provider_helpcrunch.sandbox.state import State


class AccountView:
    """The data of a sandbox. All methods may be called from any thread, while clients read."""

    _state: State

    @property
    def agents(self) -> list[Record]:
        """A copy of the agents the account has now, in the server's order."""
        return self._state.account.agents.all()

    @property
    def departments(self) -> list[Record]:
        """A copy of the departments, each with its agents of now."""
        return self._state.account.departments.all()

    @property
    def customers(self) -> list[Record]:
        """A copy of the customers the account has now, as the API sends them, in the order of their ids."""
        return self._state.account.customers.records()

    @property
    def chats(self) -> list[Record]:
        """A copy of the chats the account has now, as the API would show them, in the order of their ids."""
        return self._state.account.chats.records()

    def messages(self, chat_id: int) -> list[Record]:
        """
        Return copies of the messages of a chat, as the API sends them, from the oldest to the newest.

        :param chat_id: the id
        :raises KeyError: there is no such chat
        """
        return truth.messages(self._state.account, chat_id)

    def truth(self, resource: str) -> list[Record]:
        """
        Return copies of all records of a resource, as the API would send them now, to compare an export with.

        :param resource: ``agents``, ``departments``, ``applications``, ``customers``, ``chats`` or ``messages``
        :return: in the order of the ids, agents in the server's order, messages by chat from the oldest to the newest
        :raises ValueError: there is no such resource
        """
        return truth.truth(self._state.account, resource)

    def night(
        self,
        seconds: float = HOURS_8,
        *,
        chats: int = 0,
        customers: int = 0,
        messages: int = 0,
        late_messages: int = 0,
        message_edits: int = 0,
        silent: int = 0,
        closed: int = 0,
        customer_edits: int = 0,
        deletions: int = 0,
        lost_chats: int = 0,
    ) -> list[Happening]:
        """
        Let time pass at once while people work, without any request: the account's clock goes ahead.

        The changes happen at moments spread over that time, in an order drawn from the seed. Each number says how
        often; less often where nothing is left to change.

        :param seconds: how long (8 hours); a clock that was set with ``now`` goes on by a second with each change,
            even beyond that
        :param chats: new chats, of customers the account has
        :param customers: new customers
        :param messages: new messages, of customers and agents, some of them private notes
        :param late_messages: messages with a new id and a time before the last message of their chat
        :param message_edits: new texts of older messages, which their chats do not show
        :param silent: changes of a chat's assignee, department, status, snoozing, rating or read mark
        :param closed: chats that are closed
        :param customer_edits: changes of a customer's name, email, phone, notes, block or custom data
        :param deletions: customers who are deleted, with their chats unless ``keep_chats`` is set
        :param lost_chats: chats that disappear with their messages. HelpCrunch documents no way to do so
        :return: what was done, in order
        :raises ValueError: a number is below 0
        """
        return night(
            self._state.account,
            seconds,
            chats=chats,
            customers=customers,
            messages=messages,
            late_messages=late_messages,
            message_edits=message_edits,
            silent=silent,
            closed=closed,
            customer_edits=customer_edits,
            deletions=deletions,
            lost_chats=lost_chats,
        )

    @property
    def happenings(self) -> list[Happening]:
        """Everything that people did in all nights so far, in order."""
        return list(self._state.account.happenings)

    @property
    def unsubscribed(self) -> set[int]:
        """The ids of the agents who were unsubscribed so far."""
        return set(self._state.account.unsubscribed)

    @property
    def events(self) -> list[Record]:
        """A copy of the events recorded so far, each with its ``customer``."""
        return list(self._state.account.events)

    @property
    def taken(self) -> list[tuple[int, int]]:
        """The chats that the fault ``take`` took so far, in order: id of the chat, id of the agent who has it now."""
        return self._state.account.chats.taken

    def insert_agents(self, n: int, at: Position = "front") -> list[Record]:
        """
        Add agents with fresh ids and return them.

        :param n: how many
        :param at: ``front`` (default), ``end``, ``random`` (each at a place of its own) or an index
        """
        return self._state.account.agents.insert(n, at)

    def delete_agents(self, n: int, at: Position = "front") -> list[Record]:
        """
        Remove agents.

        :param n: how many; fewer where the account has fewer
        :param at: ``front`` (default), ``end``, ``random`` or the index of the first
        :return: copies of what was removed
        """
        return self._state.account.agents.delete(n, at)

    def remove_agent(self, agent_id: int) -> None:
        """
        Let one agent leave the account. Their chats stay assigned to them, but they cannot be given another one.

        :param agent_id: the id
        :raises KeyError: the account has no such agent
        """
        if not self._state.account.remove_agent(agent_id):
            raise KeyError(agent_id)

    def chat(self, chat_id: int) -> Record:
        """
        Return a copy of one chat, as the API would show it.

        :param chat_id: the id
        :raises KeyError: there is no such chat
        """
        return self._state.account.chats.record(chat_id)

    def chats_of(self, agent_id: int | None, *, open_only: bool = True) -> list[Record]:
        """
        Return copies of the chats that are assigned to an agent, in the order of their ids.

        :param agent_id: the id, ``None`` for unassigned chats
        :param open_only: leave out those that are closed or empty (default)
        """
        return self._state.account.chats.records(
            lambda chat: chat.assignee == agent_id and (chat.status in OPEN or not open_only)
        )

    def insert_chats(
        self,
        n: int,
        *,
        assignee: int | None = None,
        status: str = "opened",
        department: int | None = None,
        customer: int | None = None,
    ) -> list[Record]:
        """
        Add chats with fresh ids, each created later than all others, and return them.

        :param n: how many
        :param assignee: the id of an agent, or of one who left; default: nobody
        :param status: in any documented spelling, ``opened`` by default
        :param department: the id of a department; default: none
        :param customer: the id of a customer of the account; default: any
        :raises ValueError: there is no such agent, status, department or customer
        """
        values = self._checked(assignee=assignee, status=status, department=department)
        account = self._state.account
        if customer is not None and account.customers.get(customer) is None:
            message = f"the account has no customer {customer}"
            raise ValueError(message)
        return [account.chats.record(account.open_chat(customer, **values)) for _ in range(n)]

    def update_chat(self, chat_id: int, **changes: Any) -> Record:
        """
        Change a chat the way a person does in HelpCrunch's own user interface: the journal knows nothing of it.

        :param chat_id: the id
        :param changes: new values by their names in the API: ``assignee`` (id or ``None``), ``department`` (the
            same), ``status``, ``rating``, ``snoozedUntil`` (UNIX seconds or ``None``), ``readByAgent``,
            ``readByCustomer``, ``closedAt``, ``closedBy``, ``lastMessageAt``, ``lastCustomerMessageAt``,
            ``lastMessageText``, ``lastCommunicatedAgentId``
        :return: a copy of the chat as it is then
        :raises KeyError: there is no such chat
        :raises ValueError: a name or a value is wrong
        """
        self._state.account.chats.change(chat_id, **self._checked(**changes))
        return self.chat(chat_id)

    def _checked(self, **changes: Any) -> dict[str, Any]:
        account = self._state.account
        if not BY_PERSON.keys() >= changes.keys():
            message = f"a chat has no {', '.join(changes.keys() - BY_PERSON.keys())} that could be changed"
            raise ValueError(message)
        for name, known in (("assignee", account.knew_agent), ("department", account.has_department)):
            if changes.get(name) is not None and not known(changes[name]):
                message = f"the account has no {name} {changes[name]}"
                raise ValueError(message)
        try:
            return {BY_PERSON[name][0]: BY_PERSON[name][1](value) for name, value in changes.items()}
        except KeyError as wrong:
            message = f"there is no status {wrong}"
            raise ValueError(message) from None


class JournalView:
    """The requests a sandbox got."""

    _state: State

    @property
    def journal(self) -> list[Request]:
        """Every request that reached the server so far, refused ones included."""
        return self._state.journal.entries()

    def requests(self, path: str | None = None, method: str | None = None) -> list[Request]:
        """
        Return entries of the journal, in order of arrival.

        :param path: only those with this path, prefix included, such as ``/v1/agents``; default: any
        :param method: only those with this method, such as ``GET``; default: any
        """
        return [e for e in self.journal if path in (None, e.path) and method in (None, e.method)]

    def writes(self, chat_id: int | None = None) -> list[Request]:
        """
        Return the updates of chats that were applied, whether or not their responses arrived.

        :param chat_id: only those of this chat; default: of any
        """
        applied = [entry for entry in self.requests(method="PUT") if entry.applied and entry.chat]
        return [entry for entry in applied if chat_id in (None, entry.chat)]

    def count(self, status: int | None) -> int:
        """
        Return how many requests were answered with a status.

        :param status: the HTTP status; ``None`` counts those that got no complete response
        """
        return sum(entry.status == status for entry in self.journal)

    def busiest_window(self, seconds: float) -> int:
        """
        Return the most requests, 429s aside, that arrived in any half-open window.

        :param seconds: length of the window, above 0
        """
        return busiest_window(self.journal, seconds)
