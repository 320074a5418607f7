"""How odd a window is, by the kind of traffic that there is more of than usual.

A count is compared with what is usual for its destination on a logarithmic scale, so that the
same settings fit any volume. Not all that is unusual is an attack: the rules below ask, kind by
kind, for what tells an attack from a busy client.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pydatastream.parts.traffic.baseline import (
    ENTROPY,
    FLOWS,
    OF_KIND,
    SOURCES,
    Floats,
    Usual,
    Windows,
)
from pydatastream.parts.traffic.features import TUNNELS
from pydatastream.parts.traffic.kinds import KINDS

Bools = npt.NDArray[np.bool_]

TCP = KINDS.index("tcp")

SPREAD_DEVIATIONS, SPREAD_SOURCES = 3.0, 10
SPREAD_FLOWS_DEVIATIONS, SPREAD_FLOWS = 5.0, 50
"""Traffic is spread if there are unusually many sources, or very many flows."""
LOUD, LOUD_TUNNEL = 5.0, 50.0
"""From few sources it is loud: so many times all packets usual for it, and for the network."""
LOUDNESS = np.where(np.isin(np.arange(len(KINDS)), TUNNELS), LOUD_TUNNEL, LOUD)
CALM = 0.9
"""What lacks one of the signs of an attack scores at most so much of the threshold."""
HALF, CROWD, CROWD_DEVIATIONS = 0.5, 3.0, 2.0
"""Connections that are in order need twice the deviation, so many times the least, as flows, and
more sources: clients come in crowds."""
SHIFT, SHIFTED_FLOWS, SHIFT_MOST = 0.25, 20, 4.0
"""A change of the sources' entropy adds so much per deviation, to what is odd already."""
SMALL = 120
"""Bytes per packet of connections that are held open and used for nothing."""
CAP, SLACK, HEIGHT = 6.0, 2.5, 30.0
"""Of the CUSUM: the most that a window adds, what is taken off, and where it alarms. A window at
3.5 deviations adds 1, so that a slow ramp is told half a minute after it stands out."""
PATIENCE = {"spread": 1, "tcp": 3, "loud": 3}
"""Windows in a row before an alarm is raised."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of k windows."""

    score: Floats
    why: npt.NDArray[np.int64]
    """The place in KINDS of the kind that scores most."""
    blame: Floats
    """Packets above the usual, of the kinds that are odd, (k, KINDS)."""
    patience: npt.NDArray[np.int64]
    """Windows in a row that must be so odd for an alarm."""
    creeping: Floats
    """What the window adds to the CUSUM, before the slack is taken off."""


def judge(seen: Windows, usual: Usual, threshold: float, least: float) -> Verdict:
    """Compare windows with what is usual."""
    away = (seen.logs() - usual.mean) / usual.deviation
    above = np.maximum(seen.counts - usual.highest(), 0.0)
    excess, flows = above[:, OF_KIND], above[:, FLOWS]
    spread = _spread(seen, away)
    loud = excess > LOUDNESS * np.maximum(usual.packets(), usual.network)[:, None]
    scores = away[:, OF_KIND].copy()
    scores[:, TCP] = np.minimum(_crowd(away), scores[:, TCP])
    enough = excess / max(least, 1.0)
    enough[:, TCP] = flows / (CROWD * max(least, 1.0))
    calm = (enough < 1) | ~(spread | loud)
    calm[:, TCP] |= ~spread[:, TCP]
    most = CALM * threshold * np.minimum(enough, 1.0)
    scores = np.where(calm, np.minimum(scores, most), scores)
    why, rows = np.argmax(scores, axis=1), np.arange(len(scores))
    score = np.maximum(scores[rows, why], 0.0)
    score += np.where(calm[rows, why] | (score < HALF * threshold), 0.0, _shift(seen, away))
    ramps = _ramps(seen, away, excess, flows, least)
    odd = (~calm & (scores >= HALF * threshold)) | (ramps > SLACK)
    patience = _patience(spread[rows, why], why)
    score, creeping = (np.where(usual.known, one, 0.0) for one in (score, ramps.max(axis=1)))
    return Verdict(score, why, excess * odd, patience, creeping)


def _spread(seen: Windows, away: Floats) -> Bools:
    """Whether each kind, (k, KINDS), comes from many sources, or in many flows."""
    sources, flows = seen.counts[:, SOURCES], seen.counts[:, FLOWS]
    many = (away[:, SOURCES] >= SPREAD_DEVIATIONS) & (sources >= SPREAD_SOURCES)
    many |= (away[:, FLOWS] >= SPREAD_FLOWS_DEVIATIONS) & (flows >= SPREAD_FLOWS)
    spread = np.repeat(many[:, None], len(KINDS), axis=1)
    spread[:, TUNNELS] &= (seen.tunnels >= SPREAD_SOURCES)[:, None]
    return spread


def _crowd(away: Floats) -> Floats:
    return HALF * np.where(away[:, SOURCES] >= CROWD_DEVIATIONS, away[:, FLOWS], 0.0)


def _shift(seen: Windows, away: Floats) -> Floats:
    """What the change of the sources' entropy adds."""
    shifted = np.minimum(np.abs(away[:, ENTROPY]), SHIFT_MOST)
    return np.where(seen.counts[:, FLOWS] >= SHIFTED_FLOWS, SHIFT * shifted, 0.0)


def _patience(spread: Bools, why: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    usual = np.where(spread, PATIENCE["spread"], PATIENCE["loud"])
    return np.where(why == TCP, np.maximum(usual, PATIENCE["tcp"]), usual)


def _ramps(seen: Windows, away: Floats, excess: Floats, flows: Floats, least: float) -> Floats:
    """How far the kinds are above the usual that do not grow by themselves, (k, KINDS).

    References: Page (1954), Continuous Inspection Schemes, Biometrika 41.
    """
    packets = seen.counts[:, OF_KIND].sum(axis=1)
    kinds = away[:, OF_KIND].copy()
    kinds[:, TUNNELS] *= (seen.tunnels >= SPREAD_SOURCES)[:, None]
    idle = seen.bytes < SMALL * np.maximum(packets, 1.0)
    kinds[:, TCP] = np.where(idle, np.minimum(away[:, FLOWS], away[:, SOURCES]), 0.0)
    more = np.maximum(away[:, FLOWS], away[:, SOURCES]) >= 1.0
    enough = np.concatenate([excess, flows[:, None]], axis=1).max(axis=1) >= least / 5
    return np.where((more & enough)[:, None], np.clip(kinds, 0.0, CAP), 0.0)
