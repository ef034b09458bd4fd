"""What is looked at for the value of a secret on a node, and where it should be found."""

from __future__ import annotations

import os

from duckconf.command import Command, Runner
from duckconf.model import App, parse_app
from duckconf.naming import NGINX_IMAGE
from duckconf.secrets import at_revisions

# With what shells, files of variables and JSON would change.
VALUE = f"hunter2 '\"$HOME\\n#{os.getpid()}"
# Of it, what stays the same however it is quoted.
TELLING = f"#{os.getpid()}"
SHOW = """\
cat /run/secrets/db /run/secrets/sub/own /etc/app.key
stat -c '%u:%g %a' /run/secrets/db /run/secrets/sub/own
printf %s "$DB_PASSWORD\""""
SHOWN = f"{VALUE}{VALUE}{VALUE}0:0 444\n1000:1001 400\n{VALUE}"
# What everybody who may look at the node sees of a container. Its variables are told apart: an engine keeps them.
PLACES = """\
for name in "$@"; do
  docker inspect --format '{{json .Config.Labels}} {{json .Args}} {{json .HostConfig}}' "$name"
  docker inspect --format '{{json .Mounts}} {{.Name}} {{.Path}}' "$name"
  docker logs "$name"
  docker ps -a --no-trunc --format '{{.Command}} {{.Labels}} {{.Mounts}}'
done
docker events --since 10m --until 0s
grep -rs 'hunter2' /etc /root /home /tmp /dev/shm /run/duckconf /var/log
ls /dev/shm /tmp"""


def app(name: str, revision: str, **more: object) -> App:
    uses = ["db", "db:sub/own,uid=1000,gid=1001,mode=0400", "db:env=DB_PASSWORD", *([] if more else ["db:/etc/app.key"])]
    body = {"name": name, "image": NGINX_IMAGE, "command": ["sh", "-c", "sleep 1000"], "secrets": uses, "stop_signal": "SIGKILL"}
    return at_revisions(parse_app({**body, **more}), {"db": revision})


def said(runner: Runner, *words: str) -> str:
    done = runner.run(Command(words, deadline=60.0))
    return done.stdout + ("" if done.ok else done.stderr)


def seen_of(runner: Runner, *names: str) -> str:
    return said(runner, "sh", "-c", PLACES, "sh", *names)


def volumes_of(runner: Runner, container: str) -> list[str]:
    mounts = said(runner, "docker", "inspect", "--format", "{{range .Mounts}}{{if .Name}}{{.Name}} {{end}}{{end}}", container)
    return mounts.split()


def volumes(runner: Runner) -> set[str]:
    return set(said(runner, "docker", "volume", "ls", "--quiet").split())
