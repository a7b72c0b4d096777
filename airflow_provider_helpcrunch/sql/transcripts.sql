-- Transcripts: the messages of each chat as one text, for a reader or a language model.
--
-- Reads chats, customers, messages. One row per chat, also for a chat without messages.
--
-- chat             id of the chat
-- customer         id of the customer
-- customer_name    the customer's name: from customers, or else from the chat; null if neither has one
-- department_name  name of the department that the chat is in now, null without one
-- assignee_name    name of the agent whom the chat is assigned to now, null without one
-- status           status of the chat now
-- created_at       time of creation
-- messages         number of messages in the transcript
-- transcript       the messages, null if there are none
--
-- Messages are in the order of their times, and of their ids where times are equal. Each begins a line of its own:
--
--     [2024-05-01 09:30:00 UTC] Customer: Hello
--     [2024-05-01 09:30:20 UTC] Private note of agent 1: known customer
--     [2024-05-01 09:31:05 UTC] Agent agent 1: Good morning
--         A second line of the same message
--
-- A private note is labelled as one, as no customer has seen it; so is what HelpCrunch sent by itself ('Broadcast') and an
-- article of the knowledge base ('Article'). Tech rows are left out. The further lines of a message are indented, so that
-- no text can pass for a message of somebody else. A message without a text is '(no text)'. A file is its address. Times
-- are in UTC, without fractions of a second.
--
-- If type was left out of an export, messages and transcript are null: a private note could not be told from a reply.
-- Without from, a label is 'Message', without broadcastType 'Agent or broadcast', and a text that was left out is
-- '(text left out)'. leftOut, which reports.views creates, names the columns that were left out. Without it, all are
-- taken as exported.
--
-- The text holds what customers and agents wrote, with agents' names: personal data.
--
-- Compared with dbt packages for other help desks: dbt_unified_rag also makes texts for language models, of comments with their
-- authors' e-mail addresses, cut into chunks of limited length. Here a chat is one text, however long, without addresses.

with exported_messages as (
    from messages
    union all by name
    select null::varchar[] as leftOut where false
),

spoken as (
    select
        chat,
        id,
        createdAt as sent,
        case
            when type = 'private' then 'Private note'
            when type = 'knowledgeBase' then 'Article'
            when "from" = 'customer' then 'Customer'
            when coalesce(broadcastType, '') <> '' then 'Broadcast'
            when "from" is null then 'Message'
            when list_contains(leftOut, 'broadcastType') then 'Agent or broadcast'
            else 'Agent'
        end as label,
        nullif(
            trim(regexp_replace(agent.name, '[\s\v\x{1c}-\x{1f}\x{85}\x{a0}\x{2028}\x{2029}]+', ' ', 'g')),
            ''
        ) as agent_name,
        case
            when list_contains(leftOut, 'text') then '(text left out)'
            else coalesce(nullif(trim(text, E' \t\r\n'), ''), '(no text)')
        end as text
    from exported_messages
    where type is distinct from 'tech' and list_contains(leftOut, 'type') is not true
),

lines as (
    select
        chat,
        id,
        sent,
        concat(
            '[', coalesce(strftime(make_timestamp(epoch_us(sent)), '%Y-%m-%d %H:%M:%S UTC'), 'no time'), '] ',
            label,
            case when agent_name is null then '' when label = 'Agent' then ' ' else ' of ' end,
            agent_name,
            ': ',
            regexp_replace(text, '\r\n|[\n\r\v\f\x{1c}-\x{1e}\x{85}\x{2028}\x{2029}]', E'\n    ', 'g')
        ) as line
    from spoken
),

transcripts as (
    select chat, count(*) as messages, string_agg(line, E'\n' order by sent, id) as transcript
    from lines
    group by chat
),

unknown as (
    select bool_or(list_contains(leftOut, 'type')) as type
    from exported_messages
)

select
    chats.id as chat,
    chats.customer.id as customer,
    coalesce(customers.name, chats.customer.name) as customer_name,
    chats.department.name as department_name,
    chats.assignee.name as assignee_name,
    chats.status,
    chats.createdAt as created_at,
    if(unknown.type, null, coalesce(transcripts.messages, 0)) as messages,
    transcripts.transcript
from chats
cross join unknown
left join customers on customers.id = chats.customer.id
left join transcripts on transcripts.chat = chats.id
order by chats.id
