-- Reassignments: chats whose assignee an export found changed.
--
-- Reads chat_changes. One row per version of a chat whose assignee is not the one of the version before.
--
-- chat         id of the chat
-- kind         'assigned' (before, nobody), 'unassigned' (after, nobody) or 'reassigned' (one agent, then another)
-- from_agent   id of the assignee in the version before, null for nobody
-- from_name    the agent's name
-- to_agent     id of the assignee in this version, null for nobody
-- to_name      the agent's name
-- seen_before  when an export saw the version before
-- seen         when an export saw this version; the change was made between the two
--
-- What happened between two exports is one change: a chat that went from 1 to 2 and on to 3 went from 1 to 3, and one that
-- came back to 1 has no row. The first version of a chat in chat_changes has nothing to be compared with, and so no row. An
-- export that finds a chat unchanged writes no version of it, so seen_before may lie some exports before the change. The row
-- of a deletion is no version: a chat that comes back is compared with what it was before. An agent's new name, e-mail
-- address or role is no reassignment.
--
-- Compared with dbt packages for other help desks: assignee_stations_count of dbt_zendesk and count_assignments of
-- dbt_intercom count every assignment in the log of events, at its own time, the first one included. HelpCrunch has no such
-- log in its API, so these are the changes that exports saw: the more often they run, the more of them.

with versions as (
    select
        id as chat,
        seenAt as seen,
        assignee as agent,
        lag(assignee) over version as agent_before,
        lag(seenAt) over version as seen_before,
        row_number() over version as number
    from chat_changes
    where change <> 'deleted'
    window version as (partition by id order by seenAt)
)

select
    chat,
    case
        when agent_before.id is null then 'assigned'
        when agent.id is null then 'unassigned'
        else 'reassigned'
    end as kind,
    agent_before.id as from_agent,
    agent_before.name as from_name,
    agent.id as to_agent,
    agent.name as to_name,
    seen_before,
    seen
from versions
where number > 1 and agent.id is distinct from agent_before.id
order by seen, chat
