-- Chats per department: how many chats each department has and had, how much was written in them, and how fast.
--
-- Reads departments, chats, messages. One row per department of the account, one per department that is in chats only
-- (because the account has it no more), and one with a null department for chats in none, if there are any.
--
-- department                     id of the department
-- department_name                its name
-- created                        chats in the department now, in any status
-- open_now                       those that are neither closed nor empty
-- closed                         those that are closed now
-- replies                        messages of type message or email that agents wrote in them, without broadcasts
-- median_first_response_seconds  median over the chats that an agent replied to; null without any
-- median_seconds_to_close        median over the closed chats; null without any
--
-- First response and time to close are those of first_response.sql and time_to_close.sql. A chat counts for its department
-- at the time of the export, whichever it was in before. For a period, give the view chats a condition on
-- createdAt.
--
-- A figure is null, too, if a column that it needs was left out of an export: department or status of chats, or, for
-- replies and first responses, type, from or broadcastType of messages. leftOut, which reports.views creates, names the
-- columns that were left out. Without it, all are taken as exported.
--
-- Compared with dbt packages for other help desks: dbt_zendesk and dbt_intercom give such figures per ticket or teammate, to
-- be grouped by the reader; intercom__admin_metrics joins a teammate's teams to the teammate's figures. Here a chat
-- counts once, for the department that it is in, whatever departments its agents are in.

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
        (select bool_or(list_contains(leftOut, 'department.id')) from exported_chats) as department,
        (select bool_or(list_contains(leftOut, 'status')) from exported_chats) as status,
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
        (epoch_us(written.sent) - epoch_us(asked.sent)) / 1e6 as seconds
    from written
    join asked on asked.chat = written.chat
    where written.of_agent and (written.sent > asked.sent or (written.sent = asked.sent and written.id > asked.id))
    order by written.chat, written.sent, written.id
),

places as (
    select id, name, 1 as source from departments
    union all
    select department.id, department.name, 2 from exported_chats where list_contains(leftOut, 'department.id') is not true
),

names as (
    select distinct on (id) id, name
    from places
    order by id, name is null, source, name
),

replied as (
    select chat, count(*) as replies
    from written
    where of_agent
    group by chat
),

figures as (
    select
        chats.department.id as department,
        count(*) as created,
        count(*) filter (where chats.status not in ('closed', 'empty')) as open_now,
        count(*) filter (where chats.status = 'closed') as closed,
        coalesce(sum(replied.replies), 0)::bigint as replies,
        median(answered.seconds) as response,
        median((epoch_us(chats.closedAt) - epoch_us(chats.createdAt)) / 1e6)
            filter (where chats.status = 'closed') as close
    from chats
    left join replied on replied.chat = chats.id
    left join answered on answered.chat = chats.id
    group by chats.department.id
)

select
    names.id as department,
    names.name as department_name,
    if(unknown.department, null, coalesce(figures.created, 0)) as created,
    if(unknown.department or unknown.status, null, coalesce(figures.open_now, 0)) as open_now,
    if(unknown.department or unknown.status, null, coalesce(figures.closed, 0)) as closed,
    if(unknown.department or unknown.reply, null, coalesce(figures.replies, 0)) as replies,
    figures.response as median_first_response_seconds,
    figures.close as median_seconds_to_close
from names
cross join unknown
left join figures on figures.department is not distinct from names.id
order by names.id nulls last
