"""Link to a chat in HelpCrunch, on the pages of a task in Airflow's user interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import Context
    from airflow_provider_helpcrunch.client import HelpCrunchClient

ADDRESS = "helpcrunch_chat_address"
"""XCom key of the address, from a task that is about one chat."""


class HelpCrunchChatLink(BaseOperatorLink):
    """Link to the one chat that a task is about, where the connection says what the account's ``inbox_domain`` is."""

    name = "Open chat in HelpCrunch"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """
        Return the address of the chat.

        Airflow 3 asks on the worker when the task has ended, Airflow 2 on the web server.

        :param operator: the operator, from Airflow; not used
        :param ti_key: the task instance, one of a mapped task too
        :return: the address; empty where it is not known
        """
        from airflow_provider_helpcrunch._airflow import XCom

        return str(XCom.get_value(key=ADDRESS, ti_key=ti_key) or "")


def link_to_chat(context: Context, client: HelpCrunchClient, chat_id: int) -> None:
    """
    Let the task have a link to a chat, if its address is known without a request.

    :param context: the context of the task, from Airflow
    :param client: the account
    :param chat_id: the chat
    """
    from airflow_provider_helpcrunch.client.addresses import chat_address

    if address := chat_address(client.inbox_domain, chat_id):
        context["ti"].xcom_push(key=ADDRESS, value=address)
