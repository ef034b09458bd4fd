"""The steps of the explained tours as data: what `./inv demo` tells, and what docs/demo.md lists. Does nothing itself.

In braces stand names that are known only when the step comes; the page shows them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from duckconf.naming import WEB_IMAGE

PAGE = Path("docs") / "demo.md"


@dataclass(frozen=True)
class Step:
    """`will` says what the step does before it does it, `command` is what a person types for it, `call` what goes over the wire
    then, and `changed` what is another way afterwards."""

    title: str
    will: str
    command: str
    call: str
    changed: str

    def of(self, **names: object) -> Step:
        """With these names in place of their braces."""
        return Step(*(text.format(**names) for text in (self.title, self.will, self.command, self.call, self.changed)))


PUSH_UP = Step(
    "Hosts and API",
    "Three demo hosts with sshd start as containers, and the API server of push mode on this machine.",
    "./inv up push",
    "podman run for each host; a process that listens on the address of the API",
    "The nodes answer over SSH, and the API waits for requests. Nothing else runs.",
)
PUSH_START = Step(
    "One request for each node",
    "The API takes each request and starts a container at once, on one node after the other (round-robin).",
    f"./inv start-app {WEB_IMAGE}",
    "POST /app/start, and for each request one SSH call to one node: docker run",
    "Each answer says 201 with the node: the app runs already.",
)
PUSH_LIST = Step(
    "List the apps of all nodes",
    "Nobody keeps what runs: all nodes are asked now.",
    "./inv ps",
    "to each node over SSH: docker ps",
    "There is one app on each node.",
)
PUSH_CRASH = Step(
    "One app crashes",
    "The process of {app} on {node} is killed on purpose.",
    "./inv kill-app {app}",
    "to {node} over SSH: docker kill",
    "It stays down: push mode acts once per request and does not observe what happens later.",
)
LOOP_UP = Step(
    "Hosts, API and the control loop",
    "The same hosts; beside the API runs a loop that compares what is desired with what runs.",
    "./inv up reconcile",
    "podman run for each host; two processes, the API and the loop, which meet in a file",
    "The loop asks all nodes every ten seconds, and at once when something happens.",
)
LOOP_DECLARE = Step(
    "Declare three apps",
    "The API only writes three rows. The loop sees that they are desired and do not run, and starts them.",
    f"./inv start-app {WEB_IMAGE}",
    "POST /app/start, one row of desired_state.csv each; then from the loop over SSH: docker run",
    "Each answer says 202, declared. What starts the apps is the difference between the file and the nodes.",
)
LOOP_CRASH = Step(
    "One app crashes",
    "The process of {app} on {node} is killed on purpose, as in push mode. This time somebody observes it.",
    "./inv kill-app {app}",
    "to {node} over SSH: docker kill; its engine tells the loop, which starts the container again",
    "It runs again, and nobody asked for it.",
)
LOOP_FREEZE = Step(
    "A node freezes with its apps",
    "{node} and its apps stand still. They count as running for {timeout} s: a short interruption starts nothing twice.",
    "./inv stop-node {node}",
    "podman pause; from the loop to the other nodes over SSH: docker run",
    "The apps of {node} run on other nodes.",
)
LOOP_THAW = Step(
    "The node thaws",
    "{node} goes on with its old containers, so that some apps run twice for a moment.",
    "./inv start-node {node}",
    "podman unpause; from the loop to {node} over SSH: docker rm for what is placed elsewhere by now",
    "Its old containers were stale and are removed: no app runs twice.",
)
AGENTS_UP = Step(
    "Hosts, control plane and agents",
    "Ansible roles install the control plane on one host and an agent on each node.",
    "./inv up agents",
    "podman run for each host; ansible-playbook; systemd starts API, scheduler, node-controller and agents",
    "The components talk to the API alone, over HTTP. There is no SSH between them.",
)
AGENTS_SUBMIT = Step(
    "Submit three apps without a node",
    "The scheduler gives each app a node, and the agent of that node starts it.",
    f"./inv start-app {WEB_IMAGE} --name duck-1",
    "POST /app/start; PUT /apps from the scheduler; the agents' long poll GET /apps returns; docker run on the node",
    "The apps run, and each step was done by another component.",
)
AGENTS_CRASH = Step(
    "One app crashes",
    "The process of {app} on {node} is killed on purpose.",
    "./inv kill-app {app}",
    "to {node} over SSH: docker kill; the engine there tells the agent, which starts the container again",
    "Its agent restarted it, and asked nobody.",
)
AGENTS_FREEZE = Step(
    "A node freezes with its apps",
    "{node} and its agent stand still. After {timeout} s without a heartbeat the node is lost.",
    "./inv stop-node {node}",
    "podman pause; PUT /apps from the node-controller and then from the scheduler",
    "The apps of {node} run on other nodes.",
)
AGENTS_THAW = Step(
    "The node thaws",
    "The agent of {node} asks what it has to run, and its old containers are no longer part of it.",
    "./inv start-node {node}",
    "podman unpause; PUT /node/{node}/heartbeat and GET /apps from its agent",
    "Its old containers are removed, because the new ones run: no app runs twice.",
)
AGENTS_ALONE = Step(
    "The control plane stops, and a node reboots",
    "The api-server stops. Apps keep running, and {node} reboots: its agent starts {app} again without anybody to ask.",
    "./inv stop-api",
    "systemctl stop on the control plane; podman kill and start for {node}",
    "{app} runs again: the agent on {node} keeps its desired state on disk. The api-server is started again.",
)
STACK_UP = Step(
    "Three nodes and a front",
    "A cluster of its own, of which node-1 is in the group edge of the inventory.",
    "./inv up reconcile",
    "podman run for each host; ansible-playbook for the front",
    "The front on node-1 waits for something to serve.",
)
STACK_APPLY = Step(
    "A compose file becomes a stack",
    "Its services are declared, all or none, and the loop starts them.",
    "./inv apply compose.yaml --wait",
    "PUT /stacks/shop; from the loop over SSH: docker run",
    "Three instances run, and the front has their addresses.",
)
STACK_ASK = Step(
    "Over HTTPS",
    "Requests go to the front, which passes them on to the instances in turn.",
    "curl --cacert root.crt --connect-to {host}:443:127.0.0.1:{port} https://{host}/",
    "HTTPS to the front on node-1, HTTP from there to the instances",
    "All instances answer.",
)
STACK_UPDATE = Step(
    "An update while people use it",
    "VERSION becomes 2, at {rate} requests/s. Each instance is replaced when the new one is ready.",
    "./inv apply compose.yaml --wait",
    "PUT /stacks/shop; from the loop over SSH: docker run and docker stop, one instance at a time",
    "No request failed.",
)
STACK_BACK = Step(
    "And back, in the same way",
    "The revision before runs again, at {rate} requests/s.",
    "./inv rollback {app} --wait",
    "POST /app/{app}/rollback; from the loop over SSH: docker run and docker stop, one instance at a time",
    "No request failed.",
)
STACK_STOP = Step(
    "The stack goes",
    "All its services are withdrawn.",
    "./inv stop-stack shop",
    "DELETE /stacks/shop; from the loop over SSH: docker rm",
    "Nothing is desired any more. The cluster is taken away next.",
)

HA_UP = Step(
    "Three hosts for the control plane",
    "A cluster of its own, with two nodes. Each of three hosts has an API server, a scheduler, a node-controller and an etcd.",
    "./inv up agents --control-planes 3",
    "podman run for each host; ansible-playbook; systemd starts the services on all three",
    "All servers answer, and each knows all of the state.",
)
HA_LOOK = Step(
    "Who leads",
    "One scheduler and one node-controller lead by a lease of 5 s; the others wait.",
    "./inv status",
    "GET /leases; etcd's own status from each member",
    "One host may fail: two of three members are a majority.",
)
HA_SUBMIT = Step(
    "An app, as ever",
    "The leading scheduler gives {app} a node.",
    f"./inv start-app {WEB_IMAGE} --name {{app}}",
    "POST /app/start to any server; one transaction of etcd; PUT /apps from the scheduler",
    "It runs.",
)
HA_FREEZE = Step(
    "The leader's host freezes",
    "{host} stands still with all that is on it. {app} is declared meanwhile.",
    f"./inv start-app {WEB_IMAGE} --name {{app}}",
    "podman pause; POST /app/start to another server; PUT /leases/scheduler from another scheduler",
    "{app} runs: another server took it, and another scheduler leads. The agents report to other servers.",
)
HA_THAW = Step(
    "The host returns",
    "The scheduler of {host} believes that it leads still. What it writes is refused.",
    "./inv ps; ./inv status",
    "podman unpause; 412 for each write of the former leader; its API server follows what it has missed",
    "Each app runs once, and nothing was restarted. The cluster is taken away next.",
)

TOURS: Mapping[str, Sequence[Step]] = {
    "push": (PUSH_UP, PUSH_START, PUSH_LIST, PUSH_CRASH),
    "reconcile": (LOOP_UP, LOOP_DECLARE, LOOP_CRASH, LOOP_FREEZE, LOOP_THAW),
    "agents": (AGENTS_UP, AGENTS_SUBMIT, AGENTS_CRASH, AGENTS_FREEZE, AGENTS_THAW, AGENTS_ALONE),
    "ha": (HA_UP, HA_LOOK, HA_SUBMIT, HA_FREEZE, HA_THAW),
    "stack": (STACK_UP, STACK_APPLY, STACK_ASK, STACK_UPDATE, STACK_BACK, STACK_STOP),
}
HEAD = """\
# The tours

`./inv demo MODE` makes a cluster and explains it step by step: what a step will do, the command that a person types for it, the
call behind that, and what has changed then. With `--pause` it waits before each step: Enter or space goes on (so do → and Page
Down, the keys of a presenter's remote control), `q` ends the tour. Keys that are pressed while a step runs are dropped. Ctrl-C
ends it at any point (exit code 130); a node that the tour has frozen is thawed, and it says what runs and how to take it down or
go on. The terminal is as it was before.

This page is written by `./inv field-docs` from the same steps that the tours tell (`duckconf/cli/demo/script.py`).
"""


def write_page(root: Path) -> Path:
    (root / PAGE).write_text(page(), "utf-8")
    return root / PAGE


def page() -> str:
    return HEAD + "".join(f"\n## ./inv demo {mode}\n{_told(steps)}" for mode, steps in TOURS.items())


def _told(steps: Sequence[Step]) -> str:
    return "".join(
        f"\n{number}. **{step.title}**. {step.will}\n   - command: `{step.command}`\n   - call: {step.call}\n"
        f"   - then: {step.changed}\n"
        for number, step in enumerate(steps, 1)
    )
