-- Time to close: how long each closed chat took from its creation to its closing.
--
-- Reads chats. One row per chat that is closed now.
--
-- chat              id of the chat
-- department        id of the department that the chat is in, null without one
-- department_name   its name
-- assignee          id of the agent whom the chat is assigned to, null without one
-- assignee_name     the agent's name
-- closed_by         'agent' or 'customer'; HelpCrunch does not say which agent
-- created_at        time of creation
-- closed_at         time of closing
-- seconds_to_close  seconds between the two, with fractions; null if HelpCrunch sent no time of closing
--
-- Reopening: a chat that was reopened is not closed, so it has no row. When it is closed again, its row has the last closing,
-- and the time counts from the creation through the earlier closings. Earlier closings are not in the chat. In an export
-- repeated often, chat_changes may hold them.
--
-- Without status, which may be left out of an export, no chat is known to be closed, and so none has a row.
--
-- Calendar time: nights, weekends and snoozed time count.
--
-- Compared with dbt packages for other help desks: this is final_resolution_calendar_minutes of dbt_zendesk, which also has the
-- first resolution, and keeps the row of a reopened ticket. time_to_last_close_minutes of dbt_intercom counts from the
-- customer's first reply instead of from the creation. Both are in minutes.

select
    id as chat,
    department.id as department,
    department.name as department_name,
    assignee.id as assignee,
    assignee.name as assignee_name,
    closedBy as closed_by,
    createdAt as created_at,
    closedAt as closed_at,
    (epoch_us(closedAt) - epoch_us(createdAt)) / 1e6 as seconds_to_close
from chats
where status = 'closed'
order by id
