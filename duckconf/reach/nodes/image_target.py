"""The node's side of a push: what it has, the upload into a file of the login's own, and the engine that loads it.

Everything runs over the node's open SSH connection as constant scripts with arguments. An upload that was cut off goes
on where it was, if what is there are the archive's first bytes. What arrives is checked by SSH, and again by the engine,
which compares each layer with its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from duckconf.architecture import architecture
from duckconf.command import Command, Completed, Runner
from duckconf.engine_output import engine_words, last_line
from duckconf.errors import NodeFailure
from duckconf.image import Part, bare_id, id_on_node, resume_at
from duckconf.reach.nodes.image_source import Archive

LOAD_DEADLINE = 900.0
INCOMPLETE = 65
# What the kernel hands to an emulator by itself runs too. The last line is the image's id.
HELD = """\
echo "architecture $(uname -m)"
for way in /proc/sys/fs/binfmt_misc/qemu-*; do
  [ ! -e "$way" ] || echo "emulates ${way##*/qemu-}"
done
docker image inspect --format '{{.Id}}' "$1"
"""
FOLDER = """set -u
folder=${XDG_CACHE_HOME:-$HOME/.cache}/duckconf/images
"""
# One that is there under another name gets this one too. Else what is left of an earlier push: its size and digest.
LOOK = (
    FOLDER
    + """name=$1 part=$folder/$2.part
shift 2
for id in "$@"; do
  if docker tag "$id" "$name" 2>/dev/null; then
    echo named
    exit
  fi
done
[ -f "$part" ] || exit 0
digest=$(sha256sum <"$part") || exit
echo "$(wc -c <"$part") ${digest%% *}"
"""
)
RECEIVE = (
    FOLDER
    + """part=$folder/$1.part begin=$2
umask 077
mkdir -p "$folder" || exit
if [ "$begin" -eq 0 ]; then
  find "$folder" -name '*.part' -mtime +7 -exec rm -f {} +
  : >"$part" || exit
elif [ "$(wc -c <"$part")" -ne "$begin" ]; then
  echo "another push of this image is under way" >&2
  exit 75
fi
cat >>"$part" || {
  code=$?
  rm -f "$part"
  exit "$code"
}
"""
)
LOAD = (
    FOLDER
    + f"""part=$folder/$1.part name=$3
[ "$(wc -c <"$part")" -eq "$2" ] || exit {INCOMPLETE}
# The id, or the name that was loaded. Podman reads a zstd archive and not every gzip one, docker the other way round.
# Podman's `load` unpacks it as another kind of archive first, to see whether it is one; a podman that is asked from afar
# has nothing else.
load() {{
  case $part in
    *.gz.part) gzip -dc "$part" | docker load -q ;;
    *) docker pull -q "docker-archive:$part" 2>/dev/null || docker load -q -i "$part" ;;
  esac
}}
words=$(load 2>&1) || {{
  case $words in
    *"o space left"*) rm -f "$part" ;;
    *) ;;
  esac
  printf '%s\\n' "$words" >&2
  exit 1
}}
loaded=$(printf '%s\\n' "$words" | sed 's/^Loaded image[^:]*: //' | tail -n 1)
# Both in one call: the id of what was loaded, and of what the name means here, if anything.
ids=$(docker image inspect --format '{{{{.Id}}}}' "$loaded" "$name" 2>/dev/null)
set -- $ids
if [ "${{1-}}" != "${{2-}}" ]; then
  docker tag "$loaded" "$name" || exit
fi
rm -f "$part"
echo "$1"
"""
)


class Pourer(Runner, Protocol):
    """A runner that can also send what does not fit into memory."""

    def pour(self, command: Command, pieces: Iterable[bytes]) -> Completed: ...  # pragma: no cover


@dataclass(frozen=True)
class Held:
    """The id of the image that a node has under a name, "" for none, and the architectures whose programs it runs."""

    id: str
    architecture: str = ""
    emulated: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Delivered:
    """The node has the image now: its id there, and how many bytes that took."""

    id: str
    sent: int


@dataclass(frozen=True)
class ImageTarget:
    """One node."""

    node: str
    runner: Pourer

    def held(self, name: str) -> Held:
        """Raises NodeFailure."""
        done = self.runner.run(_script(HELD, name))
        *told, last = done.stdout.splitlines() or [""]
        words = [line.partition(" ")[::2] for line in (told if done.ok else done.stdout.splitlines())]
        machine = next((architecture(value) for word, value in words if word == "architecture"), "")
        emulated = frozenset(architecture(value) for word, value in words if word == "emulates")
        return Held(id_on_node(self.node, replace(done, stdout=last)), machine, emulated)

    def name_or_part(self, name: str, archive: Archive, ids: Iterable[str]) -> Part | None:
        """None when one of these ids was there and bears the name now; else what it has of the archive."""
        done = self._must("looking for it", self.runner.run(_script(LOOK, name, archive.key, *sorted(ids), deadline=120)))
        if done.stdout.strip() == "named":
            return None
        size, _, digest = done.stdout.strip().partition(" ")
        return Part(int(size), digest) if size.isdigit() else Part()

    def deliver(self, name: str, archive: Archive, part: Part, on_bytes: Callable[[int, int], None]) -> Delivered:
        """Upload what is missing and load it. `on_bytes` hears of each piece: where it begins, how long it is."""
        begin = resume_at(part, archive.digest_of_first)
        self._upload(archive, begin, on_bytes)
        size = archive.whole()
        load = _script(LOAD, archive.key, str(size), name, deadline=LOAD_DEADLINE)
        done = self.runner.run(load)
        if done.code == INCOMPLETE:
            raise NodeFailure(self.node, "the image did not arrive as a whole", "push it again: it goes on where it was")
        return Delivered(bare_id(self._must("loading it", done).stdout), size - begin)

    def _upload(self, archive: Archive, begin: int, on_bytes: Callable[[int, int], None]) -> None:
        on_bytes(begin, 0)
        pieces = _told(archive.pieces(begin), begin, on_bytes)
        self._must("receiving it", self.runner.pour(_script(RECEIVE, archive.key, str(begin)), pieces))

    def _must(self, what: str, done: Completed) -> Completed:
        if done.ok:
            return done
        words = engine_words(done.stderr) if done.stderr.strip() else last_line(done)
        raise NodeFailure(self.node, f"{what} failed: {words}")


def _script(script: str, *arguments: str, deadline: float | None = None) -> Command:
    return Command(("sh", "-c", script, "sh", *arguments), deadline=deadline)


def _told(pieces: Iterable[bytes], begin: int, on_bytes: Callable[[int, int], None]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        on_bytes(begin, len(piece))
        begin += len(piece)
