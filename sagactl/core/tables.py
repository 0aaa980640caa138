"""The two tables that alone change the states of sagas and steps. This file is the specification.

A table is keyed by state and type of event and has no conditions; what it does not allow is an error. The saga table
sees every event, the step table those about one step. `PRIOR` is a history state: an attempt that never started leaves
the step as it was before it. The README's diagrams are drawn from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from sagactl.core import events as e
from sagactl.core.states import SagaState, StepState


class History(StrEnum):
    PRIOR = "prior"


PRIOR: Final = History.PRIOR

SagaTable: TypeAlias = Mapping[SagaState, Mapping[type[e.Event], SagaState]]
StepTable: TypeAlias = Mapping[StepState, Mapping[type[e.StepEvent], StepState | History]]

_S, _T = SagaState, StepState

_CHECKS = (e.CheckStarted, e.EffectFound, e.EffectAbsent, e.CheckInconclusive, e.CheckVoided)
_ACTIONS = (e.ActionStarted, e.ActionSucceeded, e.ActionFailed, e.ActionInDoubt, e.ActionVoided)
_UNDOS = (e.UndoStarted, e.UndoSucceeded, e.UndoFailed, e.UndoInDoubt, e.UndoVoided)
_WORDS = (e.DeclaredUndone, e.DeclaredLanded, e.DeclaredNotLanded, e.DeclaredKept)

SAGA_TABLE: SagaTable = {
    _S.RUNNING: {
        **dict.fromkeys((*_ACTIONS, *_CHECKS, e.StepSkipped), _S.RUNNING),
        e.HolderChanged: _S.RUNNING,
        e.DeadlinePassed: _S.RUNNING,
        e.CompensationRequested: _S.RUNNING,
        e.SagaCompleted: _S.COMPLETED,
        e.CompensationStarted: _S.COMPENSATING,
        e.SagaPaused: _S.PAUSED,
        e.SagaEscalated: _S.ESCALATED,
        e.SagaAbandoned: _S.ABANDONED,
    },
    _S.PAUSED: {
        **dict.fromkeys((e.DeclaredLanded, e.DeclaredNotLanded, e.DeclaredKept), _S.PAUSED),
        e.HolderChanged: _S.PAUSED,
        e.CompensationRequested: _S.PAUSED,
        e.SagaResumed: _S.RUNNING,
        e.CompensationStarted: _S.COMPENSATING,
        e.SagaAbandoned: _S.ABANDONED,
    },
    _S.COMPENSATING: {
        **dict.fromkeys((*_UNDOS, *_CHECKS, e.CompensationFailed), _S.COMPENSATING),
        e.HolderChanged: _S.COMPENSATING,
        e.SagaCompensated: _S.COMPENSATED,
        e.SagaEscalated: _S.ESCALATED,
        e.SagaAbandoned: _S.ABANDONED,
    },
    _S.ESCALATED: {
        **dict.fromkeys(_WORDS, _S.ESCALATED),
        e.HolderChanged: _S.ESCALATED,
        e.CompensationRequested: _S.ESCALATED,
        e.SagaResumed: _S.RUNNING,
        e.CompensationResumed: _S.COMPENSATING,
        e.CompensationStarted: _S.COMPENSATING,
        e.SagaAbandoned: _S.ABANDONED,
    },
    _S.COMPLETED: {
        e.HolderChanged: _S.COMPLETED,
        e.CompensationRequested: _S.COMPLETED,
        e.CompensationStarted: _S.COMPENSATING,
    },
    _S.COMPENSATED: {},
    _S.ABANDONED: {},
}

STEP_TABLE: StepTable = {
    _T.PENDING: {e.ActionStarted: _T.EXECUTING},
    _T.EXECUTING: {
        e.ActionSucceeded: _T.COMMITTED,
        e.ActionFailed: _T.FAILED,
        e.ActionInDoubt: _T.IN_DOUBT,
        e.ActionVoided: PRIOR,
    },
    _T.FAILED: {
        e.ActionStarted: _T.EXECUTING,
        e.StepSkipped: _T.SKIPPED,
        e.UndoStarted: _T.COMPENSATING,
        e.CompensationFailed: _T.COMPENSATION_FAILED,
    },
    _T.IN_DOUBT: {
        e.CheckStarted: _T.IN_DOUBT,
        e.EffectFound: _T.COMMITTED,
        e.EffectAbsent: _T.FAILED,
        e.CheckInconclusive: _T.IN_DOUBT,
        e.CheckVoided: _T.IN_DOUBT,
        e.ActionStarted: _T.EXECUTING,
        e.StepSkipped: _T.SKIPPED,
        e.UndoStarted: _T.COMPENSATING,
        e.CompensationFailed: _T.COMPENSATION_FAILED,
        e.DeclaredLanded: _T.COMMITTED,
        e.DeclaredNotLanded: _T.FAILED,
        e.DeclaredKept: _T.KEPT,
    },
    _T.COMMITTED: {e.UndoStarted: _T.COMPENSATING, e.CompensationFailed: _T.COMPENSATION_FAILED},
    _T.SKIPPED: {},
    _T.COMPENSATING: {
        e.UndoStarted: _T.COMPENSATING,
        e.UndoSucceeded: _T.COMPENSATED,
        e.UndoFailed: _T.COMPENSATING,
        e.UndoInDoubt: _T.COMPENSATING,
        e.UndoVoided: _T.COMPENSATING,
        e.CheckStarted: _T.COMPENSATING,
        e.EffectFound: _T.COMPENSATING,
        e.EffectAbsent: _T.COMPENSATED,
        e.CheckInconclusive: _T.COMPENSATING,
        e.CheckVoided: _T.COMPENSATING,
        e.CompensationFailed: _T.COMPENSATION_FAILED,
    },
    _T.COMPENSATED: {},
    _T.COMPENSATION_FAILED: {
        e.UndoStarted: _T.COMPENSATING,
        e.DeclaredUndone: _T.COMPENSATED,
        e.DeclaredKept: _T.KEPT,
    },
    _T.KEPT: {},
}
