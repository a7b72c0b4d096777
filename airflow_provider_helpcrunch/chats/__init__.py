"""
Engines that change many chats, without Airflow: the operators only run them.

::

    reassignment   moves the chats of some agents to others     → drain → source_pages, selection, recipients
    plan_run       applies a plan                               → plan
    checkpoint     progress, for a retry or after a deferral    → results

Both engines yield a :class:`~.results.Result` for each change, record it in their :class:`~.checkpoint.Checkpoint`, and
can be interrupted between any two changes.
"""
