"""
Engines that change, find and watch chats, without Airflow: operators, sensors and triggers only run them.

::

    reassignment   moves the chats of some agents to others     → drain → source_pages, selection, recipients
                                                                and notes → sent_messages
    plan_run       applies a plan                               → plan
    delivery       sends one message at most once               → sent_messages
    checkpoint     progress, for a retry or after a deferral    → results
    criteria       conditions of a search
    waiting        finds out whether enough chats match         → criteria, source_pages
    watching       finds out what is new since a cursor         → waiting

The first two yield a :class:`~.results.Result` for each change, record it in their :class:`~.checkpoint.Checkpoint`,
and can be interrupted between any two changes.
"""
