-- Chats per agent: how many chats each agent has and had, how much each wrote, and how fast.
--
-- Reads agents, chats, messages. One row per agent of the account, one per agent who is in chats or messages only (because
-- the account has the agent no more), and one with a null agent for chats that are assigned to nobody, if there are any.
--
-- agent                          id of the agent
-- agent_name                     the agent's name
-- created                        chats assigned to the agent now, in any status
-- open_now                       those that are neither closed nor empty: the agent's load
-- closed                         those that are closed now
-- replies                        messages of type message or email that the agent wrote, in any chat, without broadcasts
-- median_first_response_seconds  median over the chats where the agent gave the first reply; null without any
-- median_seconds_to_close        median over the closed chats assigned to the agent; null without any
--
-- First response and time to close are those of first_response.sql and time_to_close.sql. A chat counts for its assignee at
-- the time of the export, whoever had it before; the first response counts for the agent who gave it. Replies in chats
-- that were deleted since count as long as messages has them. For a period, give the views chats and messages a condition
-- on createdAt.
--
-- A figure is null, too, if a column that it needs was left out of an export: assignee or status of chats, or, for replies
-- and first responses, type, from, broadcastType or agent of messages. leftOut, which reports.views creates, names the
-- columns that were left out. Without it, all are taken as exported.
--
-- Compared with dbt packages for other help desks: intercom__admin_metrics of dbt_intercom puts a conversation under the
-- teammate who closed it last. HelpCrunch does not say who closed a chat, so it is the assignee here. There, the median
-- first response goes by that teammate too; here, by the agent who replied.

with exported_chats as (
    from chats
    union all by name
    select null::varchar[] as leftOut where false
),

exported_messages as (
    from messages
    union all by name
    select null::varchar[] as leftOut where false
),

unknown as (
    select
        (select bool_or(list_contains(leftOut, 'assignee.id')) from exported_chats) as assignee,
        (select bool_or(list_contains(leftOut, 'status')) from exported_chats) as status,
        (select bool_or(list_contains(leftOut, 'agent.id')) from exported_messages) as sender,
        (select bool_or(list_has_any(leftOut, ['type', 'from', 'broadcastType'])) from exported_messages) as reply
),

written as (
    select
        chat,
        id,
        createdAt as sent,
        agent,
        "from" = 'customer' as of_customer,
        "from" = 'agent'
            and coalesce(broadcastType, '') = ''
            and list_contains(leftOut, 'broadcastType') is not true as of_agent
    from exported_messages
    where type in ('message', 'email')
),

asked as (
    select distinct on (chat) chat, id, sent
    from written
    where of_customer
    order by chat, sent, id
),

answered as (
    select distinct on (written.chat)
        written.chat,
        written.agent.id as agent,
        (epoch_us(written.sent) - epoch_us(asked.sent)) / 1e6 as seconds
    from written
    join asked on asked.chat = written.chat
    where written.of_agent and (written.sent > asked.sent or (written.sent = asked.sent and written.id > asked.id))
    order by written.chat, written.sent, written.id
),

people as (
    select id, name, 1 as source from agents
    union all
    select assignee.id, assignee.name, 2 from exported_chats where list_contains(leftOut, 'assignee.id') is not true
    union all
    select agent.id, agent.name, 3 from written where of_agent and agent.id is not null
),

names as (
    select distinct on (id) id, name
    from people
    order by id, name is null, source, name
),

assigned as (
    select
        assignee.id as agent,
        count(*) as created,
        count(*) filter (where status not in ('closed', 'empty')) as open_now,
        count(*) filter (where status = 'closed') as closed,
        median((epoch_us(closedAt) - epoch_us(createdAt)) / 1e6) filter (where status = 'closed') as seconds
    from chats
    group by assignee.id
),

replied as (
    select agent.id as agent, count(*) as replies
    from written
    where of_agent and agent.id is not null
    group by agent.id
),

responses as (
    select answered.agent, median(answered.seconds) as seconds
    from answered
    join chats on chats.id = answered.chat
    group by answered.agent
)

select
    names.id as agent,
    names.name as agent_name,
    if(unknown.assignee, null, coalesce(assigned.created, 0)) as created,
    if(unknown.assignee or unknown.status, null, coalesce(assigned.open_now, 0)) as open_now,
    if(unknown.assignee or unknown.status, null, coalesce(assigned.closed, 0)) as closed,
    if(unknown.sender or unknown.reply, null, coalesce(replied.replies, 0)) as replies,
    responses.seconds as median_first_response_seconds,
    assigned.seconds as median_seconds_to_close
from names
cross join unknown
left join assigned on assigned.agent is not distinct from names.id
left join replied on replied.agent = names.id
left join responses on responses.agent = names.id
order by names.id nulls last
