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
-- Compared with dbt packages for other help desks: dbt_zendesk and dbt_intercom give such figures per ticket or teammate, to
-- be grouped by the reader; intercom__admin_metrics joins a teammate's teams to the teammate's figures. Here a chat
-- counts once, for the department that it is in, whatever departments its agents are in.

with written as (
    select
        chat,
        id,
        createdAt as sent,
        agent,
        "from" = 'customer' as of_customer,
        "from" = 'agent' and coalesce(broadcastType, '') = '' as of_agent
    from messages
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
    select department.id, department.name, 2 from chats
),

names as (
    select distinct on (id) id, name
    from places
    order by id, source, name
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
    coalesce(figures.created, 0) as created,
    coalesce(figures.open_now, 0) as open_now,
    coalesce(figures.closed, 0) as closed,
    coalesce(figures.replies, 0) as replies,
    figures.response as median_first_response_seconds,
    figures.close as median_seconds_to_close
from names
left join figures on figures.department is not distinct from names.id
order by names.id nulls last
