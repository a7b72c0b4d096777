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
-- seen_before  when the export before began, which still had the chat with the assignee before
-- seen         when the export that saw the change began; it was made after seen_before, and before this export ended
--
-- What happened between two exports is one change: a chat that went from 1 to 2 and on to 3 went from 1 to 3, and one that
-- came back to 1 has no row. The first version of a chat in chat_changes has nothing to be compared with, and so no row.
-- The row of a deletion is no version: a chat that comes back is compared with what it was before the deletion, and
-- seen_before is when it had that version. An export without any change is not in chat_changes; then seen_before is the last
-- one that is. An agent's new name, e-mail address or role is no reassignment.
--
-- What an export that left out or hashed assignee.id has is no version either: the next one with it sees what changed
-- since the last one with it. leftOut, which reports.views creates, names the columns that were left out. Without it, all
-- are taken as exported.
--
-- Compared with dbt packages for other help desks: assignee_stations_count of dbt_zendesk and count_assignments of
-- dbt_intercom count every assignment in the log of events, at its own time, the first one included. HelpCrunch has no such
-- log in its API, so these are the changes that exports saw: the more often they run, the more of them.

with exported_changes as (
    from chat_changes
    union all by name
    select null::varchar[] as leftOut where false
),

changes as (
    select id, change, seenAt, assignee, list_contains(leftOut, 'assignee.id') is not true as known
    from exported_changes
),

exports as (
    select seenAt as seen, lag(seenAt) over (order by seenAt) as seen_before
    from (select distinct seenAt from changes where known)
),

history as (
    select
        id,
        change,
        seenAt,
        assignee,
        lag(change) over (partition by id order by seenAt, change <> 'inserted') as change_before
    from changes
    where known or change = 'deleted'
),

versions as (
    select
        id as chat,
        seenAt as seen,
        assignee as agent,
        change_before,
        lag(assignee) over version as agent_before,
        lag(seenAt) over version as version_before,
        row_number() over version as number
    from history
    where change <> 'deleted'
    window version as (partition by id order by seenAt, change <> 'inserted')
)

select
    versions.chat,
    case
        when versions.agent_before.id is null then 'assigned'
        when versions.agent.id is null then 'unassigned'
        else 'reassigned'
    end as kind,
    versions.agent_before.id as from_agent,
    versions.agent_before.name as from_name,
    versions.agent.id as to_agent,
    versions.agent.name as to_name,
    case
        when versions.change_before = 'deleted' then versions.version_before
        else coalesce(exports.seen_before, versions.version_before)
    end as seen_before,
    versions.seen
from versions
join exports on exports.seen = versions.seen
where versions.number > 1 and versions.agent.id is distinct from versions.agent_before.id
order by versions.seen, versions.chat
