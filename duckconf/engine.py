"""Command lines for the container engine on a node, as argv lists.

`docker` on a node is the docker-wrapper, which adds the node's label and filter, over podman or docker alike.
Nothing here runs or quotes anything; `engine_output.py` reads what comes back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from duckconf.codec import USUAL_GRACE
from duckconf.command import Command
from duckconf.durations import seconds_in
from duckconf.engine_api import DOCKER as DOCKER
from duckconf.engine_api import PODMAN as PODMAN
from duckconf.engine_api import Act, ReadLabels, make, path
from duckconf.model import DECLARED, App
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, LABEL_NODE, LABELS_READ, stack_network
from duckconf.secret_kinds import FOLDER
from duckconf.together import unit_of

# A first start may pull the image; silence on the way is told from a dead node by probing the connection.
RUN_DEADLINE = 600.0
# The field whose values podman reads as CSV and may have such signs.
CSV, CSV_SIGNS = "sysctls", ',"\r\n'
# The field that the engines take in a network of a stack only.
ALIASES = "aliases"
# The node's own name, found as the docker-wrapper finds it, is the first line of the answer.
SAY_NAME_AND_DIAL = """\
read -r node <"${DUCKCONF_NODE_FILE:-/etc/duckconf/node}"
printf '%s\\n' "$node"
exec docker system dial-stdio"""

# The engine reads variables from a file that has no name any more: a start that is cut off leaves nothing behind, and the
# docker-wrapper may read it twice. Over SSH stdin is a socket, which cannot be opened again by its name.
WITH_VARIABLES = """\
umask 077
file=$(mktemp /dev/shm/duckconf.XXXXXXXX 2>/dev/null || mktemp) || exit
exec 3<>"$file" && rm -f "$file" && cat >&3 && exec "$@" </dev/fd/3 3>&-"""

MAKE_NETWORK = """\
exec 3>&1 >/dev/null
docker network inspect "$1" 2>/dev/null && exit
said=$(docker network create --label "$2" "$1" 2>&1) || docker network inspect "$1" 2>/dev/null || {
  echo "$said" >&2
  exit 125
}"""

# Not `timeout … docker wait`: where `docker` is run by sudo, the login may not end it.
SEE_IT_STAY = """\
sleep "$1"
seen=$(docker inspect --type=container '--format={{.State.Running}} {{.State.ExitCode}}' "$2") || exit
case $seen in
  "true "*) exit 124 ;;
  *) echo "${seen#* }" ;;
esac"""

# While nobody attends it any more, it is removed again and again: it may be made only now, its image was being pulled.
# A client that was ended by a signal may leave its container.
ATTENDED = """\
name=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
run=$!
{
  read -r _ <&3
  kill "$run"
  while :; do
    docker rm -f "$name"
    sleep 1
  done
} >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$run"
code=$?
kill "$watch" 2>/dev/null
[ "$code" -lt 125 ] || docker rm -f "$name" >/dev/null 2>&1
exit "$code"
"""

# What a container prints on either stream, in the order in which the engine tells it.
TOGETHER = 'exec "$@" 2>&1'
# The same for as long as our input is open: the engine's client would notice only with the next line that nobody reads it.
FOLLOWED = """\
exec 2>&1 3<&0 </dev/null
"$@" 3<&- &
run=$!
{
  read -r _ <&3
  kill "$run"
} >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$run"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"""


# Docker's own JSON has all labels in one text with commas between them, where a value can pass for another label.
DOCKER_CELLS = [f'"{name}":{{{{json .{name}}}}}' for name in ("ID", "Names", "Image", "State", "Status", "CreatedAt", "Ports")]
DOCKER_LABELS = [f'"{label}":{{{{json (.Label "{label}")}}}}' for label in LABELS_READ]
DOCKER_ROW = f'{{{",".join(DOCKER_CELLS)},"Labels":{{{",".join(DOCKER_LABELS)}}}}}'


def run(container: str, app: App, labels: Mapping[str, str], env: Mapping[str, str], engine: str = "") -> Command:
    """Start `app` detached under the name `container`; the user's own labels and variables come last. `engine` counts only
    for an app that `depends_on_engine`."""
    # The wrapper first stops a container of this name, which has had about the same grace.
    deadline = RUN_DEADLINE + (seconds_in(app.stop_grace_period) if app.stop_grace_period else 0)
    values = _values(app, labels, env)
    request = make(container, app, values)
    return Command((DOCKER, "run", "-d", "--name", container, *_words(app, values, engine)), b"", deadline, request)


def attended_run(container: str, app: App, labels: Mapping[str, str], env: Mapping[str, str], engine: str = "") -> Command:
    """As `run`, in the foreground. Its exit code is the container's, and nothing is left when it ends or its input does."""
    argv = (DOCKER, "run", "--rm", "--name", container, *_words(app, _values(app, labels, env), engine))
    return Command(("sh", "-c", ATTENDED, "sh", container, *argv))


def _values(app: App, labels: Mapping[str, str], env: Mapping[str, str]) -> dict[str, Any]:
    mode = app.network_mode
    network = stack_network(labels.get(LABEL_CLUSTER, ""), unit_of(app)) if unit_of(app) else mode
    return {**vars(app), "labels": {**app.labels, **labels}, "env": {**env, **app.env}, "network_mode": network}


def running_of(cluster: str, app: str) -> Command:
    """The ids of the containers of an app that run on this node."""
    ours = [f"--filter=label={LABEL_CLUSTER}={cluster}", f"--filter=label={LABEL_APP}={app}", "--filter=status=running"]
    return Command((DOCKER, "ps", "-q", "--no-trunc", *ours))


def make_network(cluster: str, stack: str) -> Command:
    """The network of a stack on this node, where it is not there yet. Two starts may make it at once."""
    return Command(("sh", "-c", MAKE_NETWORK, "sh", stack_network(cluster, stack), f"{LABEL_CLUSTER}={cluster}"), b"", 60.0)


def drop_network(cluster: str, stack: str) -> Command:
    """Fails while a container is in it."""
    return Command((DOCKER, "network", "rm", stack_network(cluster, stack)), b"", 60.0)


def _words(app: App, values: Mapping[str, Any], engine: str) -> list[str]:
    argv: list[str] = []
    for name, declared in DECLARED.items():
        if declared.flag and values[name] and (name != ALIASES or unit_of(app)):
            arguments = declared.kind.arguments(values[name])
            argv += [f"{declared.flag}={as_csv(item) if engine == PODMAN and name == CSV else item}" for item in arguments]
    if app.read_only and engine == PODMAN:
        argv.append("--read-only-tmpfs=false")
    return [*argv, app.image, *app.entrypoint[1:], *app.command]


def create(container: str, like: Command, variables: bytes = b"", *, volume: bool = False) -> Command:
    """As the `run` that is given, without the start, and with more variables that stand on no command line. With `volume`,
    the folder of its secrets is a volume without a name."""
    more = [*([f"--volume={FOLDER}"] if volume else []), *(["--env-file=/dev/stdin"] if variables else [])]
    argv = (DOCKER, "create", *more, "--name", container, *like.argv[len((DOCKER, "run", "-d", "--name", container)) :])
    argv = ("sh", "-c", WITH_VARIABLES, "sh", *argv) if variables else argv
    return replace(like, argv=argv, stdin=variables, request=None)


def copy_in(container: str, folder: str, files: bytes) -> Command:
    """Put the files of a tar archive into a container, with the owners that the archive says. It need not run."""
    return Command((DOCKER, "cp", "--archive=false", "-", f"{container}:{folder}"), files, 60.0)


def depends_on_engine(app: App) -> bool:
    """Whether the engines spell what it asks for differently: podman splits kernel parameters at commas, and makes some
    folders of a read-only container writable."""
    return app.read_only or any(sign in value for value in app.sysctls.values() for sign in CSV_SIGNS)


def ask_version() -> Command:
    """Names the engine too."""
    return Command((DOCKER, "--version"))


def as_csv(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(sign in text for sign in CSV_SIGNS) else text


def list_ours(cluster: str, engine: str = PODMAN) -> Command:
    """All containers of the cluster on this node, running or not, as JSON (podman: a list, docker: lines)."""
    output = "json" if engine == PODMAN else DOCKER_ROW
    return Command((DOCKER, "ps", "-a", "--no-trunc", f"--filter=label={LABEL_CLUSTER}={cluster}", f"--format={output}"))


def dial() -> Command:
    """A line that carries the node's name, then HTTP to and from its engine, past the wrapper: who asks, filters."""
    return Command(("sh", "-c", SAY_NAME_AND_DIAL))


def listing_path(cluster: str, node: str, engine: str = PODMAN) -> str:
    """What `list_ours` asks, for the engine's HTTP API, with the filter that the docker-wrapper adds to `ps`."""
    filters = {"label": [f"{LABEL_CLUSTER}={cluster}", f"{LABEL_NODE}={node}"]}
    return f"{path(engine, 'json')}?{urlencode({'all': 'true', 'filters': json.dumps(filters)})}"


def start_again(container: str) -> Command:
    """Start a container that exited."""
    return Command((DOCKER, "start", container), b"", 60.0, Act(container, "POST", "start"))


def endings(cluster: str, engine: str = PODMAN) -> Command:
    """A stream with one line for each container of the cluster that ends or goes, until it is cut off."""
    ends = ("died", "remove") if engine == PODMAN else ("die", "destroy")
    filters = (f"label={LABEL_CLUSTER}={cluster}", "type=container", *(f"event={event}" for event in ends))
    return Command((DOCKER, "events", *(f"--filter={item}" for item in filters)))


def stop(container: str, grace: float = USUAL_GRACE) -> Command:
    """End it with the signal and the grace period that it was made with. The deadline only has to be longer."""
    return Command((DOCKER, "stop", container), b"", grace + 50.0, Act(container, "POST", "stop"))


def remove(container: str, *, volumes: bool = False) -> Command:
    """With `volumes`, also those that have no name."""
    request = Act(container, "DELETE", query="?force=true&v=true&volumes=true" if volumes else "?force=true")
    return Command((DOCKER, "rm", "-fv" if volumes else "-f", container), b"", 60.0, request)


def send_signal(container: str, name: str) -> Command:
    return Command((DOCKER, "kill", f"--signal={name}", container))


def describe_image(image: str) -> Command:
    """What it is, as JSON. No format: podman tells a digest of its own that docker does not know."""
    return Command((DOCKER, "image", "inspect", image))


def image_of(container: str) -> Command:
    """The id of the image that it was made from."""
    return Command((DOCKER, "inspect", "--type=container", "--format={{.Image}}", container))


def ask_entrypoint(image: str) -> Command:
    """As JSON; fails where the image is not there."""
    return Command((DOCKER, "image", "inspect", "--format={{json .Config.Entrypoint}}", image))


def kill(container: str) -> Command:
    return Command((DOCKER, "kill", container))


def inspect_labels(container: str) -> Command:
    """The container's labels as one JSON object."""
    argv = (DOCKER, "inspect", "--type=container", "--format={{json .Config.Labels}}", container)
    return Command(argv, request=ReadLabels(container))


def still_running(container: str, seconds: int) -> Command:
    """Ends after `seconds`: with 124 when the container still runs, else with 0 and its exit code on stdout."""
    return Command(("sh", "-c", SEE_IT_STAY, "sh", str(seconds), container), deadline=seconds + 30.0)


def ask_started(container: str) -> Command:
    """As JSON."""
    return Command((DOCKER, "inspect", "--type=container", "--format={{json .State.StartedAt}}", container))


def last_words(container: str, lines: int = 20, since: str = "") -> Command:
    return Command((DOCKER, "logs", f"--tail={lines}", *([f"--since={since}"] if since else []), container))


def words(container: str, *, tail: str = "", since: str = "", follow: bool = False) -> Command:
    """All that it printed, each line with its time, from the newest `tail` lines on; with `follow`, and all that it will print
    until it ends or our input does."""
    options = (*([f"--tail={tail}"] if tail else []), *([f"--since={since}"] if since else []), *(["-f"] if follow else []))
    return Command(("sh", "-c", FOLLOWED if follow else TOGETHER, "sh", DOCKER, "logs", "-t", *options, container))
