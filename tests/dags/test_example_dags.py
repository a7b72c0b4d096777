"""The example DAGs can be imported anywhere, without network or connection."""

from __future__ import annotations

import copy
import importlib.util
import re
import socket
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import airflow
import pytest
import sqlalchemy
from airflow.models import DagBag
from airflow.triggers import base
from airflow_names import Variable

from airflow_provider_helpcrunch._airflow import BaseHook

pytestmark = pytest.mark.older

AGENT_LEAVES = "example_helpcrunch_agent_leaves"
DORMANT = "example_helpcrunch_dormant_customers"
TO_FILE = "example_helpcrunch_agents_to_object_storage"
TO_XCOM = "example_helpcrunch_agents_to_xcom"
LISTS = "example_helpcrunch_lists"
MORNING_SHIFT = "example_helpcrunch_morning_shift"
NIGHTLY = "example_helpcrunch_nightly_warehouse"
NOBODY_ANSWERS = "example_helpcrunch_nobody_answers"
ONE_CHAT = "example_helpcrunch_one_chat"
OWN_PLAN = "example_helpcrunch_own_plan"
APPROVAL = "example_helpcrunch_approval"
CAN_ASK = tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 1)
"""Whether Airflow can wait for a person's answer."""
UNASSIGNED = "example_helpcrunch_unassigned_chats"
DAG_IDS = [
    *(AGENT_LEAVES, TO_FILE, TO_XCOM),
    *([APPROVAL] if CAN_ASK else []),
    *(DORMANT, LISTS, MORNING_SHIFT, NIGHTLY, NOBODY_ANSWERS, ONE_CHAT, OWN_PLAN, UNASSIGNED),
]
WRITE = [AGENT_LEAVES, DORMANT, MORNING_SHIFT, OWN_PLAN, UNASSIGNED]
HAS_WATCHERS = hasattr(base, "BaseEventTrigger")
STARTS_BY_ITSELF = [NIGHTLY, UNASSIGNED]


@pytest.fixture(scope="module")
def bag(dags_folder):
    def forbidden(*_, **__):
        pytest.fail(
            "A DAG file must not look at the network, the database, a connection or a variable when it is parsed."
        )

    with pytest.MonkeyPatch.context() as patch:
        # Not the class itself: a library that is imported while it is replaced cannot derive its own from it.
        patch.setattr(socket.socket, "connect", forbidden)
        patch.setattr(socket, "getaddrinfo", forbidden)
        patch.setattr(BaseHook, "get_connection", forbidden)
        patch.setattr(Variable, "get", forbidden)
        patch.setattr(sqlalchemy.engine.Engine, "connect", forbidden)
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        return DagBag(str(dags_folder))


def test_all_files_import_and_are_examples_of_this_provider(bag):
    assert bag.import_errors == {}
    assert sorted(bag.dags) == DAG_IDS


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_it_says_what_it_is_and_whose(bag, dag_id):
    dag = bag.dags[dag_id]
    assert dag.catchup is False
    assert set(dag.tags) == {"example", "helpcrunch"}
    assert {task.owner for task in dag.tasks} == {"support-operations"}
    assert "helpcrunch_default" in dag.doc_md
    # The list of DAGs has room for one line.
    assert 20 <= len(dag.description) <= 80
    assert "\n" not in dag.description


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_it_runs_only_on_request_or_once_it_is_switched_on(bag, dag_id):
    dag = bag.dags[dag_id]
    assert dag.timetable.can_be_scheduled is (dag_id == NIGHTLY or (dag_id == UNASSIGNED and HAS_WATCHERS))
    assert dag.is_paused_upon_creation or dag_id not in STARTS_BY_ITSELF


@pytest.mark.skipif(not HAS_WATCHERS, reason="Airflow 2.11 has no asset watchers")
def test_unassigned_chats_are_watched_once_a_minute(bag):
    (asset,) = bag.dags[UNASSIGNED].timetable.asset_condition.objects
    (watcher,) = asset.watchers
    assert watcher.trigger.serialize()[1] == {
        "event": "unassigned",
        "department": None,
        "helpcrunch_conn_id": "helpcrunch_default",
        "poll_interval": 60.0,
    }


def test_the_warehouse_is_filled_once_a_night_by_one_run_at_a_time(bag):
    dag = bag.dags[NIGHTLY]
    # The attribute has an underscore before Airflow 3.2.
    assert "0 2 * * *" in vars(dag.timetable).values() or dag.timetable.expression == "0 2 * * *"
    assert dag.max_active_runs == 1
    assert dag.description


def test_messages_follow_chats_and_the_report_follows_all(bag):
    dag = bag.dags[NIGHTLY]
    upstream = {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
    assert upstream.pop("messages") == ["chats"]
    assert upstream.pop("report") == ["agents", "customers", "departments", "messages"]
    assert set(upstream) == {"agents", "chats", "customers", "departments"}
    assert not any(upstream.values())


@pytest.mark.parametrize("name", ["agents", "departments", "chats", "customers", "messages"])
def test_each_export_is_parquet_with_an_asset_and_a_base_path_of_its_own(bag, name):
    task = bag.dags[NIGHTLY].get_task(name)
    assert (task.file_format, task.deferrable) == ("parquet", True)
    assert [asset.uri for asset in task.outlets] == [f"x-helpcrunch://warehouse/{name}"]
    assert task.base_path == f"{{{{ params.base_path }}}}/warehouse/{name}"


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_task_outlives_a_worker_that_does_not_start(bag, dag_id):
    assert {task.retries for task in bag.dags[dag_id].tasks} == {2}
    assert max(task.retry_delay for task in bag.dags[dag_id].tasks) <= timedelta(minutes=1)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_documentation_can_include_its_snippets(dags_folder, dag_id):
    text = (dags_folder / f"{dag_id}.py").read_text()
    marks = re.findall(r"^ *# \[(START|END) (howto_\w+)\]$", text, re.MULTILINE)
    starts, ends = marks[::2], marks[1::2]
    assert [("END", name) for kind, name in starts if kind == "START"] == ends
    assert re.search(r"\w(Operator|Sensor)\(", text[text.index("[START howto_") : text.rindex("[END")])


@pytest.mark.parametrize(
    ("dag_run", "date"),
    [
        ({"logical_date": datetime(2026, 11, 21, 23, 59, tzinfo=UTC)}, "2026-11-21"),
        ({"logical_date": None, "run_after": datetime(2026, 11, 22, tzinfo=UTC)}, "2026-11-22"),
    ],
)
def test_the_file_is_that_of_the_day_with_and_without_a_logical_date(bag, dag_run, date):
    dag = bag.dags[TO_FILE]
    template = dag.get_template_env().from_string(dag.get_task("list_agents").output_path)
    path = template.render(dag_run=SimpleNamespace(**dag_run), params={"base_path": "s3://bucket/a"})
    assert path == f"s3://bucket/a/agents/date={date}/agents.jsonl"


@pytest.mark.parametrize(
    ("base_path", "accepted"), [("s3://bucket", True), ("/data", True), ("/data/", False), ("", False)]
)
@pytest.mark.parametrize(
    "dag_id",
    [
        dag_id
        for dag_id in DAG_IDS
        if dag_id not in (TO_XCOM, MORNING_SHIFT, NOBODY_ANSWERS, ONE_CHAT, UNASSIGNED)
    ],
)
def test_the_form_refuses_a_base_path_that_would_make_an_empty_folder(bag, dag_id, base_path, accepted):
    param = bag.dags[dag_id].params.get_param("base_path")
    assert (param.resolve(base_path, suppress_exception=True) == base_path) is accepted


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_each_field_of_the_form_has_a_title_and_an_explanation(bag, dag_id):
    params = bag.dags[dag_id].params
    for name in params:
        param = params.get_param(name)
        assert param.description
        assert param.schema["title"]
        assert param.schema["type"]


@pytest.mark.parametrize("dag_id", WRITE)
def test_what_writes_is_a_dry_run_unless_told_otherwise_and_runs_alone(bag, dag_id):
    dag = bag.dags[dag_id]
    assert dag.params.get_param("dry_run").resolve() is True
    assert dag.max_active_runs == 1


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("agent_id", 1001, True),
        ("agent_id", "Ada Adler", False),
        ("agent_id", 0, False),
        ("agent_id", None, False),
        ("to_agents", None, True),
        ("to_agents", "", True),
        ("to_agents", "1002", True),
        ("to_agents", " 1002, 1003 ,1004", True),
        ("to_agents", "1002 1003", False),
        ("to_agents", "1002,", False),
        ("to_agents", "Ada", False),
        ("strategy", "least_loaded", True),
        ("strategy", "os.system", False),
        ("dry_run", False, True),
        ("dry_run", "no", False),
    ],
)
def test_the_form_of_an_agent_who_leaves_refuses_what_makes_no_sense(bag, name, value, accepted):
    param = copy.deepcopy(bag.dags[AGENT_LEAVES].params.get_param(name))
    if accepted:
        assert param.resolve(value) == value
    else:
        with pytest.raises(Exception, match="Failed validating"):
            param.resolve(value)


@pytest.mark.skipif(not CAN_ASK, reason="Airflow asks a person since 3.1")
class TestApproval:
    def test_nothing_is_changed_before_the_answer_and_silence_is_a_no(self, bag):
        dag = bag.dags[APPROVAL]
        approve = dag.get_task("approve")
        assert dag.get_task("plan").is_dry_run is True
        assert dag.get_task("apply").upstream_task_ids == {"plan", "approve"}
        assert approve.defaults == ["Reject"]
        # The cap that was shown is the one that is kept.
        assert dag.get_task("plan").max_per_agent == dag.get_task("apply").max_per_agent
        assert dag.get_task("apply").note == "{{ params.note }}"
        # The first is that of newer releases of the standard provider.
        limits = {getattr(approve, "response_timeout", None), approve.execution_timeout}
        assert limits - {None} == {timedelta(hours=4)}

    @pytest.mark.parametrize(
        ("given", "users"), [(None, None), ("", None), (" ", None), ("ann, bob", ["ann", "bob"])]
    )
    def test_who_may_answer(self, dags_folder, monkeypatch, given, users):
        if given is not None:
            monkeypatch.setenv("HELPCRUNCH_APPROVERS", given)
        bag = DagBag(str(dags_folder / f"{APPROVAL}.py"))
        assert bag.import_errors == {}
        found = bag.dags[APPROVAL].get_task("approve").assigned_users
        assert (found and [user["id"] for user in found]) == users

    @pytest.mark.parametrize(
        ("name", "value", "accepted"),
        [
            *(
                ("from_agents", text, True)
                for text in ("1001", "1001, 1002", "unassigned", "unassigned, 1001")
            ),
            *(("from_agents", text, False) for text in ("", "Ada", "1001,", "1001 1002", 1001)),
            *(("to_agents", text, True) for text in ("1002", " 1002 ,1003 ")),
            *(("to_agents", text, False) for text in ("", "unassigned", "Ada", "1002;1003")),
            *(("max_per_agent", number, number == 1) for number in (1, 0, 1.5, None)),
            *(("note", text, text == "Hi") for text in ("Hi", "", " ", None)),
        ],
    )
    def test_the_form(self, bag, name, value, accepted):
        param = copy.deepcopy(bag.dags[APPROVAL].params.get_param(name))
        if accepted:
            assert param.resolve(value) == value
        else:
            with pytest.raises(Exception, match="Failed validating"):
                param.resolve(value)


def test_nobody_leaves_by_default(bag):
    with pytest.raises(Exception, match="No value passed and Param has no default value"):
        bag.dags[AGENT_LEAVES].params.get_param("agent_id").resolve()


class TestAgentsInTheForm:
    AGENTS = ({"id": 1002, "name": "Bo\nBerg"}, {"id": 1001, "name": "Ada (vip) Adler"})

    @pytest.fixture
    def example(self, dags_folder, tmp_path, monkeypatch):
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))

        def load():
            spec = importlib.util.spec_from_file_location("agent_leaves", dags_folder / f"{AGENT_LEAVES}.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module, module.example_helpcrunch_agent_leaves().params.get_param("agent_id")

        return load

    def test_there_are_none_before_the_first_run(self, example):
        _, param = example()
        assert "examples" not in param.schema

    def test_a_run_keeps_their_names_for_the_form(self, example):
        module, _ = example()
        module.keep_for_the_form(self.AGENTS)
        _, param = example()
        assert param.schema["examples"] == ["Ada (vip) Adler (1001)", "Bo Berg (1002)"]
        assert all(param.resolve(name) == name for name in param.schema["examples"])

    @pytest.mark.parametrize("given", [1001, "1001", "Ada (vip) Adler (1001)", "Somebody new (1009)"])
    def test_a_suggestion_or_an_id_is_accepted(self, example, given):
        module, _ = example()
        module.keep_for_the_form(self.AGENTS)
        _, param = example()
        assert param.resolve(given) == given

    @pytest.mark.parametrize("given", ["Ada Adler", "Ada (1001) Adler", "0", 0, None])
    def test_a_name_without_its_id_is_refused(self, example, given):
        module, _ = example()
        module.keep_for_the_form(self.AGENTS)
        _, param = example()
        with pytest.raises(Exception, match="Failed validating|has no default value"):
            param.resolve(given)

    @pytest.mark.parametrize("given", [1001, "1001", "Ada (vip) Adler (1001)"])
    def test_a_suggestion_stands_for_its_id(self, bag, given):
        dag = bag.dags[AGENT_LEAVES]
        reassign = dag.get_task("reassign")
        render = dag.get_template_env().from_string
        assert render(reassign.from_agents).render(params={"agent_id": given}) == "1001"
        assert "agent=1001/" in render(reassign.report_path.partition("{{ (dag_run")[0]).render(
            params={"agent_id": given, "base_path": "/data"}
        )

    def test_a_folder_that_cannot_be_written_to_costs_only_the_suggestions(self, example, tmp_path, caplog):
        (tmp_path / "helpcrunch").write_text("a file, not a folder")
        module, param = example()
        module.keep_for_the_form(self.AGENTS)
        assert "The form of this DAG will not suggest these agents" in caplog.text
        assert "examples" not in param.schema


@pytest.mark.skipif(
    airflow.__version__.startswith("2."), reason="Assets have names and groups since Airflow 3.0"
)
@pytest.mark.parametrize("dag_id", [AGENT_LEAVES, TO_FILE, NIGHTLY])
def test_assets_have_names_and_a_group_that_a_person_reads(bag, dag_id):
    assets = [asset for task in bag.dags[dag_id].tasks for asset in task.outlets]
    assert assets
    assert all(asset.name.startswith("HelpCrunch ") for asset in assets)
    assert {asset.group for asset in assets} == {"HelpCrunch"}
