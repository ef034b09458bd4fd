"""Secrets: a new value is a new spec, a missing one leaves its app alone, and no value is where it could be read."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

import pytest

from duckconf import engine
from duckconf.actions import Remove, Restart, Start
from duckconf.codec import runs_as, spec_hash, to_label
from duckconf.command import Command, Completed
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import BadInput, Conflict, DuckconfError, EngineRefused, NotFound, NotNow
from duckconf.instance import instances_of
from duckconf.model import App, parse_app
from duckconf.naming import LABEL_SECRETS
from duckconf.placement import Assignment, Fleet, Placement
from duckconf.plan import plan
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.state.secrets import SecretFile
from duckconf.secrets import LARGEST, at_revisions, check_name, check_value, digest, require_unused, resolved, users
from tests.fakes import FakeNode

VALUE = b"hunter2-in-the-open"
WEB = parse_app({"name": "web", "image": "web", "secrets": ["db", "db:env=DB_PASSWORD"]})
DB = parse_app({"name": "db", "image": "db"})


def at(revision: str, app: App = WEB) -> App:
    return at_revisions(app, {"db": revision})


def start(app: App, node: FakeNode, value: bytes = VALUE) -> None:
    execute(Start("n1", "c-web", app), "demo", node, lambda *_: value)


def test_another_revision_is_another_spec_and_the_same_is_not() -> None:
    assert spec_hash(at("one")) == spec_hash(at("one"))
    assert len({spec_hash(WEB), spec_hash(at("one")), spec_hash(at("two"))}) == 3
    assert runs_as(at("one"), "another hash", to_label(at("one")))
    assert not runs_as(at("two"), spec_hash(at("one")), to_label(at("one")))


def test_an_app_without_secrets_has_the_spec_that_it_always_had() -> None:
    assert at("one", DB) is DB


def test_the_same_target_in_other_words_is_the_same_spec() -> None:
    short, long = (at("one", parse_app({"image": "a", "secrets": [text]})) for text in ("db", "db:/run/secrets/db,mode=0444"))
    assert runs_as(long, spec_hash(short), to_label(short))


def test_an_app_whose_secret_is_not_set_is_left_alone_and_the_others_are_not() -> None:
    desired, words = resolved(Desired(instances_of([WEB, DB])), {})
    assert (set(desired.instances), set(desired.unreadable)) == ({"db"}, {"web"})
    assert words == ("web: the secret db is not set; set it first: ./inv secret set db; the app is left unchanged",)
    desired, words = resolved(Desired(instances_of([WEB, DB])), {"db": "one", "other": "x"})
    assert (desired.instances["web"].app.secret_revisions, words) == ({"db": "one"}, ())


def test_a_container_that_was_made_and_not_started_is_made_anew_when_it_has_secrets() -> None:
    """A loop that was killed between the two has put none or some of them into it."""

    def step(app: App) -> object:
        made = Container("1", "c-web", "n1", app.name, spec_hash(app), app.image, "created", 0.0)
        place = Placement("n1", "c-web", 1)
        fleet = Fleet(("n1",), {"n1": (made,)})
        return plan(Desired(instances_of([app])), fleet, Assignment({app.name: place}), {}).steps[0].action

    assert isinstance(step(at("one")), Start)
    assert isinstance(step(DB), Restart)


def test_the_values_are_in_no_argument_and_no_label_and_in_nothing_that_is_printed() -> None:
    node = FakeNode("n1")
    start(at("one"), node)
    sent = [command for command in node.asked if command.stdin]
    assert [command.argv[1] for command in sent] == ["-c", "cp"]
    assert node.verbs == ["create", "cp", "start"]
    assert all(VALUE in command.stdin for command in sent)
    said = "".join(f"{command} {command!r} {command.argv}" for command in node.asked) + str(node.containers)
    assert "hunter2" not in said
    assert sent[0].stdin == b"DB_PASSWORD=" + VALUE + b"\n"


def test_an_app_without_secrets_is_started_at_once() -> None:
    node = FakeNode("n1")
    start(DB, node)
    assert node.verbs == ["run"]


def test_the_files_have_the_owner_and_the_mode_that_are_asked_for() -> None:
    app = parse_app({"name": "web", "image": "a", "secrets": ["db:sub/key,uid=7,gid=8,mode=0400", "db:/etc/x"]})
    node = FakeNode("n1")
    start(at("one", app), node)
    (copied,) = [command for command in node.asked if command.argv[1] == "cp"]
    assert copied.argv[-1] == "c-web:/"
    with tarfile.open(fileobj=io.BytesIO(copied.stdin)) as tar:
        told = {item.name: (item.uid, item.gid, item.mode, item.size) for item in tar}
    size = len(VALUE)
    assert told == {"run/secrets/sub/key": (7, 8, 0o400, size), "etc/x": (0, 0, 0o444, size)}


@pytest.mark.parametrize("more", [{"read_only": True}, {"tmpfs": ["/run:size=1m"]}, {"tmpfs": ["/"]}])
def test_where_files_would_be_refused_or_hidden_they_are_in_a_volume_that_goes_too(
    more: dict[str, object],
) -> None:
    app = parse_app({"name": "web", "image": "a", "secrets": ["db"], **more})
    node = FakeNode("n1", version="podman version 4.3.1")
    start(at("one", app), node)
    created = next(command.argv for command in node.asked if "create" in command.argv)
    assert "--volume=/run/secrets" in created
    assert node.containers["c-web"][LABEL_SECRETS] == "volume"
    assert next(command.argv[-1] for command in node.asked if "cp" in command.argv) == "c-web:/run/secrets"
    node.containers["c-web"]["duckconf.cluster"] = "demo"
    execute(Remove("n1", "c-web"), "demo", node)
    assert next(command.argv for command in node.asked if "rm" in command.argv)[2] == "-fv"


@pytest.mark.parametrize("value", [b"two\nlines", b"a\rb", b"\xff\xfe", b"a\0b"])
def test_a_value_that_is_no_line_of_text_is_no_variable_and_is_not_quoted(value: bytes) -> None:
    node = FakeNode("n1")
    with pytest.raises(DuckconfError, match="DB_PASSWORD: it should be one line of text") as caught:
        start(at("one"), node, value)
    assert "lines" not in str(caught.value)
    assert not node.verbs


def test_the_last_line_break_is_no_part_of_a_variable_and_of_the_file_it_is() -> None:
    node = FakeNode("n1")
    start(at("one"), node, b"x\r\n")
    variables, files, _ = node.asked
    assert variables.stdin == b"DB_PASSWORD=x\n"
    assert b"x\r\n" in files.stdin


def test_a_container_into_which_the_secrets_cannot_be_put_is_not_started_and_not_left() -> None:
    node = FakeNode("n1", copy_refusal="Error: no space left on that thing")
    with pytest.raises(EngineRefused):
        start(at("one"), node)
    assert "start" not in node.verbs
    assert not node.containers


def test_without_variables_no_shell_is_between() -> None:
    command = engine.create("c", engine.run("c", DB, {}, {}))
    assert command.argv[:4] == ("docker", "create", "--name", "c")
    assert command.deadline == engine.RUN_DEADLINE


def test_a_command_does_not_print_its_input() -> None:
    assert "hunter2" not in repr(Command(("x",), VALUE))


class TestFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> SecretFile:
        return SecretFile(tmp_path / "secrets.json")

    def test_only_its_owner_reads_it(self, file: SecretFile) -> None:
        file.put("db", VALUE, 1.0)
        assert [stat.S_IMODE(path.stat().st_mode) for path in file.path.parent.iterdir()] == [0o600, 0o600]
        assert VALUE not in repr(file.current()).encode()

    def test_the_same_value_again_is_no_news_and_keeps_its_revision(self, file: SecretFile) -> None:
        first, _ = file.put("db", VALUE, 1.0)
        again, changed = SecretFile(file.path).put("db", VALUE, 2.0)
        assert (again, changed) == (first, False)
        other, changed = file.put("db", b"other", 3.0)
        assert changed
        assert other.revision != first.revision

    def test_two_secrets_of_one_value_have_different_revisions(self, file: SecretFile) -> None:
        assert file.put("a", VALUE, 1.0)[0].revision != file.put("b", VALUE, 1.0)[0].revision

    def test_a_value_that_comes_with_its_salt_keeps_its_revision(self, file: SecretFile, tmp_path: Path) -> None:
        kept, _ = file.put("db", VALUE, 1.0)
        moved, _ = SecretFile(tmp_path / "other.json").put("db", VALUE, 2.0, kept.salt)
        assert moved.revision == kept.revision == digest(kept.salt, VALUE)

    def test_a_value_is_given_at_its_revision_only(self, file: SecretFile) -> None:
        kept, _ = file.put("db", VALUE, 1.0)
        assert file.value("db", kept.revision) == VALUE
        with pytest.raises(NotNow):
            file.value("db", "older")
        with pytest.raises(DuckconfError, match="secret set x"):
            file.value("x", "")

    def test_what_another_process_writes_is_seen(self, file: SecretFile) -> None:
        assert file.revisions() == {}
        SecretFile(file.path).put("db", VALUE, 1.0)
        assert set(file.revisions()) == {"db"}
        SecretFile(file.path).remove("db")
        assert file.revisions() == {}

    def test_one_that_is_not_there_cannot_be_removed(self, file: SecretFile) -> None:
        with pytest.raises(NotFound):
            file.remove("db")

    @pytest.mark.parametrize("text", ["hunter2", '{"secrets": {"db": {"value": "hunter2"}}}', "[]", ""])
    def test_a_file_that_is_cut_is_told_without_its_words_and_is_not_written_over(self, file: SecretFile, text: str) -> None:
        file.path.write_text(text)
        for attempt in (file.current, lambda: file.put("db", VALUE, 1.0)):
            with pytest.raises(NotNow) as caught:
                attempt()
            assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
        assert file.path.read_text() == text


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "ä", "x" * 64, "../x"])
def test_a_name_is_short_and_plain(name: str) -> None:
    with pytest.raises(BadInput):
        check_name(name)


@pytest.mark.parametrize("value", [b"", b"x" * (LARGEST + 1)])
def test_a_value_has_a_size(value: bytes) -> None:
    with pytest.raises(BadInput):
        check_value(value)
    assert check_value(b"x" * LARGEST)


def test_a_secret_that_an_app_uses_is_not_removed_and_the_app_is_named() -> None:
    with pytest.raises(Conflict, match="used by web"):
        require_unused("db", users([WEB, DB]))
    require_unused("other", users([WEB, DB]))


def test_an_answer_in_other_words_than_the_engines_ends_the_start() -> None:
    node = FakeNode("n1", answers={"sh": Completed(0, "Welcome", "", ours=False)})
    with pytest.raises(DuckconfError):
        start(at("one"), node)
    assert "cp" not in node.verbs
