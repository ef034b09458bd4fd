"""A component's lease: had from the api-server and renewed by a thread of its own, also while a decision takes long.

A follower has one request held at the server, which answers it when the lease is free; it watches nothing else.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from duckconf.errors import DuckconfError
from duckconf.leading import HEADER, LEASE, Lead, Standing, Term, term_text
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of

# Seconds for which a follower's request is held, and beyond that for its answer.
HELD = 20.0
ANSWER_WITHIN = 10.0
# For the answer to a renewal, until it is tried again, and for letting go at the end.
RENEWED_WITHIN = 2.0
AGAIN = 0.3
LET_GO_WITHIN = 2.0


class NotLeading(DuckconfError):
    """Another one may lead by now: nothing is done."""


class LeaseHolder:
    """What one process knows of the lease `name`, for many threads. `changed` is called when it has taken or lost it."""

    def __init__(self, name: str, who: str, api: Callable[[], ApiClient], changed: Callable[[], None]) -> None:
        self.process = secrets.token_hex(4)
        self._name = name
        self._who = who
        self._api = api
        self._changed = changed
        self._log = logging.getLogger(name)
        self._path = path_of("leases", name)
        self._lead = Lead()
        self._begun = True
        self._follows = False
        self._told = ""
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="lease", daemon=True).start()

    def term(self) -> int:
        """The term in which this process may act now; 0 where it may not."""
        lead = self._lead
        return lead.term if lead.standing(time.monotonic()) == Standing.LEADER else 0

    def headers(self, term: int) -> Mapping[str, str]:
        """Those of all that is sent in this term. Raises NotLeading when it is over, or may be."""
        if self.term() != term:
            raise NotLeading(f"term {term} of {self._name} is over, or may be", "it waits until it leads again")
        return {HEADER: term_text(self._name, Term(term, self.process))}

    def end(self) -> None:
        """Let it go, so that another one takes it at once."""
        self._ended.set()
        try:
            self._api().call("DELETE", f"{self._path}?process={self.process}", deadline=LET_GO_WITHIN)
        except DuckconfError as error:
            self._log.info("the lease could not be let go, and ends in %g s: %s", LEASE, error)

    def _run(self) -> None:
        api: ApiClient | None = None
        while not self._ended.is_set():
            now = time.monotonic()
            if self._lead.is_over(now):
                self._lose("the lease was not renewed in time")
            elif self._lead.term and (due := self._lead.due(now)):
                self._ended.wait(due)
                continue
            try:
                api = api or self._api()
                self._ask(api, self._lead)
            except DuckconfError as error:
                status = error.status if isinstance(error, ApiRefused) else 0
                if status == HTTPStatus.UNAUTHORIZED:
                    # The token has been exchanged.
                    api = None
                if self._lead.term and status == HTTPStatus.PRECONDITION_FAILED:
                    self._lose(str(error))
                else:
                    self._say(f"no lease for now: {error}", logging.WARNING)
                    self._ended.wait(AGAIN)

    def _ask(self, api: ApiClient, lead: Lead) -> None:
        term = lead.term or self._take(api)
        if not term:
            return
        # From before it is asked: what was taken after a wait is renewed too, because when that began to count is not known here.
        begun = time.monotonic()
        api.call("PUT", self._path, self._wanted(term), RENEWED_WITHIN)
        waits, self._lead = not self.term(), Lead(term, begun)
        if not lead.term:
            self._say(f"leads, in term {term}")
        if waits:
            self._changed()

    def _take(self, api: ApiClient) -> int:
        """The term that was given to this process, 0 while another one leads."""
        # The first answer comes at once, and says who leads.
        held = HELD if self._follows else 0.0
        wanted = {**self._wanted(0), "begun": self._begun}
        answer = api.call("PUT", f"{self._path}?wait={held:g}", wanted, held + ANSWER_WITHIN)
        self._begun, self._follows = False, not answer["yours"]
        if answer["yours"]:
            return int(answer["term"])
        self._say(f"follows {answer['who']}, which leads in term {answer['term']}")
        return 0

    def _wanted(self, term: int) -> dict[str, object]:
        return {"who": self._who, "process": self.process, "term": term}

    def _lose(self, why: str) -> None:
        self._lead = Lead()
        self._say(f"does not lead any more: {why}", logging.WARNING)
        self._changed()

    def _say(self, words: str, level: int = logging.INFO) -> None:
        """What was said already is no news."""
        if words != self._told:
            self._log.log(level, "%s", words)
            self._told = words
