"""What ``--help`` says about faults: each kind with its own parameters and their defaults, and what happens."""

from __future__ import annotations

_KINDS: tuple[tuple[str, str, str], ...] = (
    ("insert", "rows=50,at=front", "agents are added just before the answer; at: front, end, random"),
    ("delete", "rows=50,at=front", "agents are removed just before the answer"),
    ("arrive", "rows=1,agent=ID", "new chats come in just before the answer, by default unassigned"),
    (
        "take",
        "rows=1,at=front,agent=ID",
        "persons take open chats (of agent, by default any) just before the answer; also by=ID: who",
    ),
    ("vanish", "agent=ID", "that agent leaves the account just before the answer"),
    ("latency", "seconds=1", "the answer is late"),
    (
        "status",
        "status=500,body=documented",
        "an error; body: documented, html, empty; also retry_after=TEXT",
    ),
    ("echo_key", "status=401", "an error whose message holds the whole Authorization header"),
    ("redirect", "location=URL", "302, by default to this server by its name localhost"),
    ("html", "", "200 with an HTML page"),
    ("garbage", "", "200 with what is no JSON"),
    ("errors", "", "200 with errors alone"),
    ("no_data", "", "200 without data"),
    ("data_null", "", "200 where data is null"),
    ("data_object", "", "200 where data is an object"),
    ("no_ids", "", "200 with records that have no id"),
    ("empty_page", "", "no rows, under the true total"),
    ("short_page", "rows=50", "only the first rows, under the true total"),
    ("duplicate_rows", "", "every row of the page twice"),
    ("shuffle", "", "the page is read from an order drawn anew"),
    ("ignore_offset", "", "the page is read from the start"),
    ("ignore_filter", "", "a search answers as if no filter had been given"),
    ("ignore_write", "", "200 with the chat as it was: nothing was changed"),
    ("reset", "", "the connection ends by RST, without an answer"),
    ("close", "", "the connection ends by FIN, without an answer"),
    ("truncate", "", "the full Content-Length, half the body, then the end of the connection"),
    ("drip", "seconds=1", "the headers, then one byte of the body every so many seconds"),
    ("hang", "", "never an answer"),
)


def epilog() -> str:
    """Return the part of ``--help`` about faults, a line for each kind."""
    kinds = "\n".join(f"  {kind:14} {own:27} {text}" for kind, own, text in _KINDS)
    return f"""\
kinds of faults, with their parameters:
{kinds}

parameters of every kind:
  path=*         only requests whose path matches this pattern, such as /v1/agents
  method=*       only requests with this method
  offset=N       only requests with this offset
  chat=ID        only requests about this chat
  nth=1          the first matching request that is hit
  times=1        how many matching requests in a row are hit; 0: for ever

A write is not carried out where a fault stands in place of its answer (status, echo_key, redirect, html,
errors, garbage), and is where the answer only does not arrive (reset, close, truncate, drip, hang)."""
