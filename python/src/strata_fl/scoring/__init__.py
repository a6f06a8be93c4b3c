"""Scores of the units of any PyTorch model, by the gradients of its own torch.

``score`` is what to begin with; docs/python_scoring.md says what is captured, and what it costs.
"""

from .draws import sample_rows
from .outputs import answer, logits, loss, sample_losses
from .scorer import METRICS, score
from .table import ScoreTable
from .units import Units, find_units

__all__ = [
    "METRICS",
    "ScoreTable",
    "Units",
    "answer",
    "find_units",
    "logits",
    "loss",
    "sample_losses",
    "sample_rows",
    "score",
]
