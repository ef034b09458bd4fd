"""Secrets by name: how an app uses them, what they are called, and how a new value is told from the old one. Pure.

No value is ever part of an app. What changes with a value is its revision, a digest keyed with a salt that only the control
plane has: it says nothing about the value, and a change of it rolls out as any other change of a spec does.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from duckconf.desired import Desired
from duckconf.errors import BadInput, Conflict, DuckconfError, Fault, NotNow
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.secret_kinds import NAME, Use, read_use

# Of one value, in bytes. Docker reads no longer line of variables.
LARGEST = 64 * 1024
LONGEST_NAME = 63

Values = Callable[[str, str], bytes]
"""The value of a secret, by its name and the revision that it should be at. Raises DuckconfError."""


def check_name(name: str) -> str:
    """Raises BadInput."""
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise BadInput(Fault("secret", f"should be a name of letters, digits, '.', '_' and '-', {LONGEST_NAME} at most"))
    return name


def check_value(value: bytes) -> bytes:
    """Raises BadInput, which never quotes the value."""
    if not value:
        raise BadInput(Fault("value", "is empty"))
    if len(value) > LARGEST:
        raise BadInput(Fault("value", f"should have {LARGEST // 1024} KiB at most, got {len(value)} bytes"))
    return value


def digest(salt: bytes, value: bytes) -> str:
    """The revision of a value."""
    return hmac.new(salt, value, hashlib.sha256).hexdigest()[:16]


def uses(app: App) -> tuple[Use, ...]:
    return tuple(map(read_use, app.secrets))


def names_of(app: App) -> frozenset[str]:
    return frozenset(use.source for use in uses(app))


def using(apps: Iterable[App], names: Iterable[str]) -> list[str]:
    """The apps that use one of these secrets."""
    wanted = frozenset(names)
    return [app.name for app in apps if wanted & names_of(app)]


def users(apps: Iterable[App]) -> dict[str, list[str]]:
    """The apps that use each secret."""
    found: dict[str, list[str]] = {}
    for app in apps:
        for name in names_of(app):
            found.setdefault(name, []).append(app.name)
    return {name: sorted(using) for name, using in found.items()}


def require_known(app: App, known: Iterable[str]) -> None:
    """Raises BadInput for an app that uses a secret which is not set."""
    missing = sorted(names_of(app) - set(known))
    if missing:
        raise BadInput(Fault("secrets", not_set(missing)))


def require_unused(name: str, using: Mapping[str, list[str]]) -> None:
    """Raises Conflict that names the apps."""
    if apps := using.get(name):
        raise Conflict(f"the secret {name} is used by {', '.join(apps)}", "change or stop these apps first")


def not_set(names: Iterable[str]) -> str:
    first, *more = sorted(names)
    which = f"the secrets {', '.join([first, *more])} are" if more else f"the secret {first} is"
    return f"{which} not set; set it first: ./inv secret set {first}"


def at_revisions(app: App, revisions: Mapping[str, str]) -> App:
    """The app with the revisions of its secrets: what its containers are made from. Those that are not set are left out."""
    found = {name: revisions[name] for name in sorted(names_of(app)) if name in revisions} if app.secrets else {}
    return app if found == app.secret_revisions else replace(app, secret_revisions=found)


def lacking(app: App) -> frozenset[str]:
    """Secrets of the app of which no revision is known."""
    return names_of(app) - app.secret_revisions.keys() if app.secrets else frozenset()


def resolved(desired: Desired, revisions: Mapping[str, str]) -> tuple[Desired, tuple[str, ...]]:
    """The desired state at these revisions. An app that uses a secret which is not set is left as it is; the words say so."""
    if not any(app.secrets for app in (*(instance.app for instance in desired.instances.values()), *desired.everywhere.values())):
        return desired, ()
    instances = {
        name: replace(instance, app=at_revisions(instance.app, revisions)) if instance.app.secrets else instance
        for name, instance in desired.instances.items()
    }
    everywhere = {name: at_revisions(app, revisions) for name, app in desired.everywhere.items()}
    without = {app_of(name): found for name, instance in instances.items() if (found := lacking(instance.app))}
    without |= {name: found for name, app in everywhere.items() if (found := lacking(app))}
    words = tuple(f"{app}: {not_set(names)}; the app is left unchanged" for app, names in sorted(without.items()))
    kept = {name: instance for name, instance in instances.items() if app_of(name) not in without}
    everywhere = {name: app for name, app in everywhere.items() if name not in without}
    return replace(desired, instances=kept, unreadable=desired.unreadable | without.keys(), everywhere=everywhere), words


@dataclass(frozen=True)
class KeptSecret:
    """One value with what keys its revision."""

    value: bytes
    salt: bytes
    since: float = 0.0

    @property
    def revision(self) -> str:
        return digest(self.salt, self.value)

    def __repr__(self) -> str:
        return f"KeptSecret({self.revision})"


def value_at(secrets: Mapping[str, KeptSecret], name: str, revision: str) -> bytes:
    """Raises NotNow when the value is another one by now: the app is looked at again with its revision."""
    found = secrets.get(name)
    if found is None:
        raise DuckconfError(f"the secret {name} is not set", f"./inv secret set {name}")
    if found.revision != revision:
        raise NotNow(f"the secret {name} has just changed", "the next pass uses its new value")
    return found.value


def no_values(name: str, _: str) -> bytes:
    """For those who start no app with secrets."""
    raise DuckconfError(f"the secret {name} is not known here")
