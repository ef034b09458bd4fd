"""Images on their way: the same or not, where to go on, how far."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from duckconf.architecture import architecture, runs
from duckconf.command import Command, Completed
from duckconf.engine_output import run_failure
from duckconf.errors import BadInput, EngineRefused, EngineUnavailable, NodeFailure, SetupError
from duckconf.image import Part, bare_id, check_name, flow, id_in_archive, id_on_node, resume_at
from duckconf.reach.nodes.image_source import Archive, ImageSource, SourceImage
from duckconf.reach.nodes.image_target import ImageTarget
from duckconf.reach.nodes.local import LocalRunner

ID = "a" * 64
CONTENT = bytes(range(256)) * 2000

PODMAN = """#!/bin/sh
case $1 in
  image) echo "$FAKE_ID" ;;
  save) cat "$FAKE_ARCHIVE" ;;
esac
"""
# Keeps what it loads; an image is called by the name that was given last. It pulls nothing, as podman from afar.
DOCKER = """#!/bin/sh
cd "$FAKE_STORE" || exit
case "$1 $2" in
  "load -q") if [ "${3-}" = -i ]; then cat "$4"; else cat; fi >loaded && echo "Loaded image: loaded" ;;
  "image inspect") shift 4; for name in "$@"; do [ -f "$name" ] && echo sha256:$(sha256sum <"$name" | cut -c 1-64); done ;;
  "tag "*) cp "$2" "$3" ;;
  *) exit 125 ;;
esac
"""


@pytest.mark.parametrize("manifest", ["sha/%s.json", "blobs/sha256/%s", "%s.json"])
def test_the_id_in_an_archive_is_its_configurations_name(manifest: str) -> None:
    assert id_in_archive(json.dumps([{"Config": manifest % ID, "RepoTags": ["x"]}]).encode()) == ID


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b"[1]", b"no json"])
def test_an_archive_without_an_image_is_told(manifest: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any words will do
        id_in_archive(manifest)


def test_podmans_and_dockers_ids_are_the_same() -> None:
    assert bare_id(f"sha256:{ID}\n") == bare_id(ID)


def test_an_engine_that_is_away_is_not_a_missing_image() -> None:
    assert id_on_node("n", Completed(125, "", "Error: inspecting object: x: image not known")) == ""
    for words, code in (("Cannot connect to the Docker daemon at unix:///x", 1), ("sh: docker: not found", 127)):
        with pytest.raises(EngineUnavailable):
            id_on_node("n", Completed(code, "", words))


def test_an_image_named_by_its_digest_is_refused() -> None:
    assert check_name("nginx") == "nginx"
    with pytest.raises(BadInput):
        check_name(f"nginx@sha256:{ID}")


def test_an_upload_goes_on_where_the_nodes_bytes_are_the_first_ones() -> None:
    def digest_of_first(size: int) -> str:
        return hashlib.sha256(CONTENT[:size]).hexdigest()

    assert resume_at(Part(1000, digest_of_first(1000)), digest_of_first) == 1000
    assert resume_at(Part(1000, digest_of_first(999)), digest_of_first) == 0
    assert resume_at(Part(len(CONTENT) + 1, hashlib.sha256(CONTENT + b"x").hexdigest()), digest_of_first) == 0
    assert resume_at(Part(), digest_of_first) == 0


def test_progress_counts_only_what_was_sent_now() -> None:
    assert flow(50_000_000, 100_000_000, 10_000_000, 2.0) == "50 % of 100.0 MB, 5.0 MB/s, 10 s left"
    assert flow(50_000_000, 100_000_000, 0, 2.0) == "50 % of 100.0 MB"
    assert flow(50_000_000, None, 50_000_000, 5.0) == "50.0 MB, 10.0 MB/s"


NO_IMAGE = [
    'Error: short-name "x" did not resolve to an alias and no unqualified-search registries are defined in "/etc/x.conf"',
    "Error: initializing source docker://localhost/x:latest: pinging container registry localhost: connection refused",
    "Unable to find image 'x:latest' locally\ndocker: Error response from daemon: Get \"https://registry-1.docker.io/v2/\": x",
    "docker: Error response from daemon: pull access denied for x, repository does not exist or may require 'docker login'",
    "docker: Error response from daemon: manifest for x:1 not found: manifest unknown: manifest unknown.",
    "Error: reading manifest 1 in docker.io/library/x: manifest unknown",
    "docker: Error response from daemon: No such image: x:latest.",
]


@pytest.mark.parametrize("words", NO_IMAGE)
def test_a_node_without_the_image_names_the_command_that_brings_it(words: str) -> None:
    failure = run_failure("node-1", Completed(125, "", words), "x")
    assert isinstance(failure, EngineRefused)
    assert "./inv push-image x --to node-1" in str(failure)


@pytest.mark.parametrize(
    "words",
    [
        "Error: the container name is already in use",
        "Unable to find image 'x:latest' locally\nStatus: Downloaded newer image for x\ndocker: port is already allocated",
    ],
)
def test_other_refusals_do_not_speak_of_images(words: str) -> None:
    assert "push-image" not in str(run_failure("node-1", Completed(125, "", words), "x"))


class LocalNode:
    """This machine as a node; `cut` ends an upload after so many bytes, as a broken connection does."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._runner = LocalRunner("node-1", environ)
        self.cut: int | None = None
        self.poured = 0

    def run(self, command: Command) -> Completed:
        return self._runner.run(command)

    def pour(self, command: Command, pieces: Iterable[bytes]) -> Completed:
        data = b"".join(pieces)[: self.cut]
        self.poured = len(data)
        done = self._runner.run(Command(command.argv, stdin=data))
        if self.cut is not None:
            raise NodeFailure("node-1", "the connection broke")
        return done


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an engine for each side, an archive in the source's, and an empty store in the node's."""
    for name, script in (("podman", PODMAN), ("docker", DOCKER)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "store").mkdir()
    with tarfile.open(tmp_path / "archive.tar", "w") as archive:
        for name, content in (("layer.tar", CONTENT), ("manifest.json", json.dumps([{"Config": f"{ID}.json"}]).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_ID", "b" * 64)
    monkeypatch.setenv("FAKE_ARCHIVE", str(tmp_path / "archive.tar"))
    monkeypatch.setenv("FAKE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def source(place: Path) -> ImageSource:
    return ImageSource(place / "images", dict(os.environ))


def nothing_told(begin: int, length: int) -> None:
    pass


def test_packing_learns_the_id_that_the_image_will_have(source: ImageSource) -> None:
    image = source.find("x")
    with source.packing(image, "gz"):
        pass
    assert source.known_ids(image) == {"b" * 64, ID}


def test_the_same_image_is_packed_into_the_same_bytes(source: ImageSource, place: Path) -> None:
    image = source.find("x")
    taken = []
    for _ in range(2):
        with source.packing(image, "gz") as archive:
            taken.append(b"".join(archive.pieces(0)))
        source.forget(image)
    assert taken[0] == taken[1]
    assert not list((place / "images").glob("*.tar.*"))


def test_an_image_that_cannot_be_saved_is_told_and_leaves_nothing(source: ImageSource, place: Path) -> None:
    image = source.find("x")
    (place / "podman").write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    with pytest.raises(SetupError, match="no space left"), source.packing(image, "gz") as archive:
        assert list(archive.pieces(0)) is not None
    assert not list((place / "images").glob("*tar*"))


def test_an_upload_that_was_cut_off_goes_on_and_a_damaged_one_begins_again(source: ImageSource, place: Path) -> None:
    node = LocalNode(dict(os.environ))
    target, image = ImageTarget("node-1", node), source.find("x")
    with source.packing(image, "gz") as archive:
        node.cut = 1000
        with pytest.raises(NodeFailure):
            target.deliver("x", archive, Part(), nothing_told)
        node.cut = None
        part = _part(target, archive, image, source)
        assert part.size == 1000
        changed = place / "cache" / "duckconf" / "images" / f"{archive.key}.part"
        first = changed.read_bytes()
        changed.write_bytes(b"?" + first[1:])
        assert resume_at(_part(target, archive, image, source), archive.digest_of_first) == 0
        changed.write_bytes(first)
        done = target.deliver("x", archive, _part(target, archive, image, source), nothing_told)
        assert (node.poured, done.sent) == (archive.size - 1000, archive.size - 1000)
    assert (place / "store" / "x").read_bytes() == (place / "archive.tar").read_bytes()
    assert not changed.exists()
    assert changed.parent.stat().st_mode & 0o777 == 0o700


def test_a_node_that_has_the_image_under_another_name_only_names_it(source: ImageSource, place: Path) -> None:
    (place / "store" / ID).write_bytes(b"content")
    target, image = ImageTarget("node-1", LocalNode(dict(os.environ))), source.find("x")
    with source.packing(image, "gz") as archive:
        archive.whole()
        assert target.name_or_part("x", archive, [ID]) is None
    held = target.held("x")
    assert (held.id, held.architecture) == (hashlib.sha256(b"content").hexdigest(), architecture(os.uname().machine))
    assert target.held("none").id == ""


@pytest.mark.parametrize(
    ("machine", "image", "emulated", "right"),
    [
        ("amd64", "amd64", (), True),
        ("amd64", "arm64", (), False),
        ("amd64", "arm64", ("arm64",), True),
        ("amd64", "386", (), True),
        ("arm64", "arm", (), True),
        ("arm", "arm64", (), False),
        ("", "arm64", (), True),
        ("amd64", "", (), True),
    ],
)
def test_an_image_of_another_architecture_is_told_and_what_is_not_known_runs(
    machine: str, image: str, emulated: tuple[str, ...], right: bool
) -> None:
    assert runs(machine, image, emulated) is right


def _part(target: ImageTarget, archive: Archive, image: SourceImage, source: ImageSource) -> Part:
    part = target.name_or_part("x", archive, source.known_ids(image))
    assert part is not None
    return part
