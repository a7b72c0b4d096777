"""
A HelpCrunch account on 127.0.0.1: the same paths, key check and rate limit, and faults on request.

HelpCrunch offers no test account, so this package brings one, for tests of DAGs and for a first try by hand::

    from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

    with Sandbox(agents=250, faults=[Fault("status", status=500, nth=2)]) as sandbox:
        os.environ["AIRFLOW_CONN_HELPCRUNCH_DEFAULT"] = sandbox.connection()
        ...
        assert sandbox.count(500) == 1

On a command line: ``python -m airflow_provider_helpcrunch.sandbox``. In pytest: the ``helpcrunch_sandbox``
fixture of :mod:`airflow_provider_helpcrunch.sandbox.pytest_plugin`. All of it needs the extra ``[sandbox]``
(aiohttp).

It is not HelpCrunch: where the documentation is silent, it answers with the likeliest guess.
"""

from __future__ import annotations

from airflow_provider_helpcrunch.sandbox.faults import Fault
from airflow_provider_helpcrunch.sandbox.happenings import Happening
from airflow_provider_helpcrunch.sandbox.journal import Request
from airflow_provider_helpcrunch.sandbox.sandbox import Sandbox

__all__ = ["Fault", "Happening", "Request", "Sandbox"]
