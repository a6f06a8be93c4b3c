"""Strata's planner: who trains which layers of a model that several clients fine-tune together."""

from . import _core

__version__ = _core.version()
