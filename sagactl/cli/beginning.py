"""Beginning sagas of one definition: one with `run`, many with `run --each`. An id of the user's own is used once.

What all of them have in common is made once: of each further one only its id, time and parameters are its own.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final

from sagactl.cli import driving, wiring
from sagactl.cli.options import Common
from sagactl.cli.output import result
from sagactl.cli.starting import new_id, new_token, started, surroundings
from sagactl.core import events as e
from sagactl.core.saga import Saga, replay
from sagactl.core.states import FINAL
from sagactl.errors import ConflictError, NotFoundError
from sagactl.model import Definition
from sagactl.plain import dumps
from sagactl.ports import Surroundings

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ID_RULE: Final = "letters, digits, dot, _ and -, at most 128, the first a letter or digit"


@dataclasses.dataclass(frozen=True)
class Beginning:
    """`data` are the bytes of `file`, the definition's; `-` is stdin."""

    common: Common
    definition: Definition
    file: str
    data: bytes

    @cached_property
    def first(self) -> e.SagaStarted:
        """The first event of each, with nothing yet that is its own. Raises InvalidError."""
        return started(self.definition, {}, saga_id=self.definition.saga, file="" if self.file == "-" else self.file,
                       data=self.data, at_s=time.time(), holder=wiring.me())

    @cached_property
    def around(self) -> Surroundings:
        """What this process gives to the commands of all of them. Raises InvalidError."""
        return surroundings(self.first)

    def turn(self, params: Mapping[str, Any], saga_id: str | None = None) -> wiring.Turn:
        """The turn of a new saga. One that has this id of the user's own already goes on instead, or is reported.

        Raises:
            InvalidError: a variable or a secret is missing.
        """
        first = dataclasses.replace(self.first, id=saga_id or new_id(self.definition.saga),
                                    token=new_token(), at_s=time.time(), params=params)
        around = self.around

        def prepare() -> tuple[Saga, Sequence[e.Event], Surroundings]:
            return replay([first]), [first], around

        instead = partial(self._met, saga_id, params) if saga_id else partial(self.turn, params)  # an id made twice
        return wiring.Turn(id=first.id, token=first.token, prepare=prepare, otherwise=instead)

    def again(self, saga_id: str, params: Mapping[str, Any]) -> wiring.Turn | Saga:
        """The saga of this id where it rests, else its turn to go on.

        Raises:
            NotFoundError: there is none.
            ConflictError: it is another saga.
        """
        saga = driving.existing(self.common.database).load(saga_id)
        different = [what for what, same in (
            ("another definition", saga.definition.fingerprint() == self.definition.fingerprint()),
            ("other parameters", dumps(dict(saga.started.params)) == dumps(dict(params))),
        ) if not same]
        if different:
            raise ConflictError(f"{saga_id} names a saga with {' and '.join(different)}",
                                hint=f"sagactl inspect {saga_id} shows it; choose another id for this one")
        if saga.state not in driving.UNFINISHED:
            return saga
        return wiring.Turn(id=saga_id, token=saga.started.token,
                           prepare=driving.going_on(self.common.database, saga_id, lambda *_: ()))

    def _met(self, saga_id: str, params: Mapping[str, Any]) -> wiring.Turn | Saga:
        """The same, for a saga that was met with when it was to be begun."""
        found = self.again(saga_id, params)
        if self.common.quiet and isinstance(found, Saga):
            result(saga_id)
        if isinstance(found, Saga) and found.state in FINAL:
            wiring.fold(self.common.database, found)
        return found

    def known(self, saga_id: str, params: Mapping[str, Any]) -> wiring.Turn | Saga | None:
        """What `again` gives, or None where there is none. Raises ConflictError."""
        if wiring.reader(self.common.database) is None:
            return None
        try:
            return self.again(saga_id, params)
        except NotFoundError:
            return None
