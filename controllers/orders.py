"""What the api-server wants of this node: watched by a long poll, on disk before it is obeyed, read again at start.

With the server away the last answer holds. Without one there is nothing to start and nothing to stop.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from controllers.contact import Contact
from controllers.cycle import Setpoint
from controllers.heart import Heart
from duckconf.errors import DuckconfError, NotNow, SetupError
from duckconf.reach.api.agent_config import AgentConfig
from duckconf.reach.state import secrets
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.secrets import SecretFile
from duckconf.share import Share, read_share

log = logging.getLogger("agent")

FILE_NAME = "desired.json"
# Seconds that the server may hold a question: shorter finds out sooner about a server that went without a word.
HELD = 25.0
# Within as many seconds after a heartbeat, an answer comes from a server that has heard it.
BREATH = 2.0
TRIES = 3


class Orders:
    """The share that is obeyed. `present` gives the instances that have a copy here; `on_news` is called after each change, and
    `on_questions` with what else is asked of this node."""

    def __init__(
        self,
        config: AgentConfig,
        heart: Heart,
        present: Callable[[], Collection[str]],
        on_news: Callable[[], None],
        on_questions: Callable[[object], None],
    ) -> None:
        """Raises SetupError for a file that cannot be read."""
        self.asked = threading.Event()
        self._path = Path(config.state_dir) / FILE_NAME
        self._address = f"/apps?nodeName={config.node}"
        self._secrets_address = f"/node/{config.node}/secrets"
        self._secrets = SecretFile(Path(config.state_dir) / secrets.FILE_NAME)
        self._interval = config.interval
        self._contact = Contact(config)
        self._heart = heart
        self._present = present
        self._on_news = on_news
        self._on_questions = on_questions
        self._trouble = ""
        self._share = _read(self._path)

    def setpoint(self) -> Setpoint:
        share = self._share
        return Setpoint(share.desired, share.faults)

    @property
    def again(self) -> int:
        """Another number than before: what the engine refused is to be tried at once."""
        return self._share.asked

    def value(self, name: str, revision: str) -> bytes:
        """Of a secret that an app here uses. Raises DuckconfError."""
        return self._secrets.value(name, revision)

    def run(self) -> None:
        """For a thread of its own: watches for ever. `asked` is set after the first try, whether it succeeded or not."""
        self._heart.has_seen.wait()
        while True:
            before, begun = self._share.revision, time.monotonic()
            try:
                self._follow()
                self._contact.fine()
                self._note_trouble("")
                if self._share.revision == before and time.monotonic() - begun < 1:
                    # A server that cannot hold the question, or whose answer is not news, is not asked at once again.
                    time.sleep(random.uniform(1, max(1.0, self._interval)))  # noqa: S311
            except DuckconfError as error:
                self._note_trouble(str(error))
                self._first_try_is_over()
                time.sleep(self._contact.pause())

    def _follow(self) -> None:
        if not self._contact.open:
            # The server may be another process now, which must know first what runs here.
            self._heart.beat()
        held = HELD if self.asked.is_set() else 0.0
        answer = self._ask(f"&since={self._share.revision}&wait={held:g}" if held and self._share.revision >= 0 else "", held)
        if answer.revision != self._share.revision or not self._has_secrets(answer):
            self._obey(self._confirmed() if answer.costs(self._share, self._present()) else answer)
        self._first_try_is_over()

    def _ask(self, more: str, held: float = 0.0) -> Share:
        answer = self._contact.call("GET", self._address + more, held=held)
        if questions := answer.pop("questions", None):
            self._on_questions(questions)
        try:
            share = read_share(answer)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NotNow(f"the api-server's answer cannot be understood: {type(error).__name__} {error}") from error
        if share.goes_back_from(self._share):
            raise NotNow(f"ignored revision {share.revision} of the api-server, which is older than {self._share.revision}")
        return share

    def _confirmed(self) -> Share:
        """What a server says that has just heard what runs here: only then may its answer take something away.

        One that has just begun again, or that was not asked before, does not know what must stay for now.
        """
        for _ in range(TRIES):
            self._heart.beat()
            heard = time.monotonic()
            answer = self._ask("")
            if time.monotonic() - heard < BREATH and self._contact.server == self._heart.server:
                return answer
        raise NotNow("the api-server answered too slowly to confirm a removal")

    def _has_secrets(self, share: Share) -> bool:
        return share.secrets.items() <= self._kept_revisions().items()

    def _kept_revisions(self) -> Mapping[str, str]:
        """What cannot be read is asked for again."""
        try:
            return self._secrets.revisions()
        except NotNow:
            self._secrets.path.unlink(missing_ok=True)
            return {}

    def _take_secrets(self, share: Share) -> None:
        """On disk before the share is obeyed, for the time when the server is away, and no others than it needs. The server has
        the newest value of each: an instance that still runs an older one goes on with it."""
        if not self._has_secrets(share):
            answer = self._contact.call("GET", self._secrets_address)
            try:
                found = {str(name): secrets.from_json(entry) for name, entry in answer["secrets"].items()}
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise NotNow(f"the api-server's secrets cannot be understood ({type(error).__name__})") from None
            self._secrets.replace(found)
        elif self._kept_revisions().keys() - share.secrets.keys():
            kept = self._secrets.current()
            self._secrets.replace({name: kept[name] for name in share.secrets})

    def _obey(self, share: Share) -> None:
        try:
            self._take_secrets(share)
            write_durably(self._path, json.dumps(share.answer).encode() + b"\n")
        except OSError as error:
            raise NotNow(f"{self._path.parent} cannot be written; keeping the last desired state: {error.strerror}") from error
        self._share = share
        self._on_news()

    def _first_try_is_over(self) -> None:
        if not self.asked.is_set():
            self.asked.set()
            self._on_news()

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("using the last desired state: %s", trouble) if trouble else log.info("the api-server answers")


def _read(path: Path) -> Share:
    if not path.exists():
        return Share()
    try:
        content: Any = json.loads(path.read_bytes())
        return read_share(content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SetupError(f"{path} cannot be read: {error}", "move it away: the agent then reads the whole state again") from error
