"""
Engines that change many chats, without Airflow: the operators only run them.

::

    reassignment   the chats of some agents go to others    → drain → source_pages, selection, recipients
    plan_run       a plan is applied                        → plan
    checkpoint     what a retry or a deferral goes on from  → results

Both engines yield a :class:`~.results.Result` for each change, note it in their :class:`~.checkpoint.Checkpoint`, and
can be interrupted between any two changes.
"""
