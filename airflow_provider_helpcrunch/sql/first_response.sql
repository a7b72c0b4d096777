-- First response: how long the customer of each chat waited for the first reply of an agent.
--
-- Reads chats, messages. One row per chat, also for a chat that nobody has answered.
--
-- chat                    id of the chat
-- department              id of the department that the chat is in now, null without one
-- department_name         its name
-- agent                   id of the agent who sent the first reply, null without a reply or if HelpCrunch names no sender
-- agent_name              the agent's name
-- first_message_at        time of the customer's first message, null if the customer wrote none
-- first_reply_at          time of the first reply, null without one
-- first_response_seconds  seconds between the two, with fractions; null without a reply
--
-- A message is one of type message or email. A reply is the first such message of an agent after the customer's first one,
-- by time and then by id. Private notes, tech rows, articles of the knowledge base and everything with a broadcastType
-- (proactive and automatic messages, broadcasts) are no replies. What an agent wrote before the customer did is none either.
--
-- Without type, from or broadcastType of messages, it cannot be told what is a reply, so there is none. leftOut, which
-- reports.views creates, names the columns that were left out of an export. Without it, all are taken as exported.
--
-- Calendar time: nights, weekends and snoozed time count. Reopening a chat changes nothing.
--
-- Compared with dbt packages for other help desks: first_reply_time_calendar_minutes of dbt_zendesk also counts from the
-- customer's first public comment, but where an agent began the ticket, from its creation to that agent's comment;
-- time_to_first_response_minutes of dbt_intercom counts from the creation of the conversation. Both are in minutes.

with exported_messages as (
    from messages
    union all by name
    select null::varchar[] as leftOut where false
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
    select distinct on (written.chat) written.chat, written.sent, written.agent
    from written
    join asked on asked.chat = written.chat
    where written.of_agent and (written.sent > asked.sent or (written.sent = asked.sent and written.id > asked.id))
    order by written.chat, written.sent, written.id
)

select
    chats.id as chat,
    chats.department.id as department,
    chats.department.name as department_name,
    answered.agent.id as agent,
    answered.agent.name as agent_name,
    asked.sent as first_message_at,
    answered.sent as first_reply_at,
    (epoch_us(answered.sent) - epoch_us(asked.sent)) / 1e6 as first_response_seconds
from chats
left join asked on asked.chat = chats.id
left join answered on answered.chat = chats.id
order by chats.id
