"""Plans: who trains what."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from . import _core

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas
    import torch

    Choice = Union[list[str], dict[str, int]]


@dataclass(frozen=True)
class Gap:
    """How far a plan and its front are from what any assignment can reach; certified.

    Attributes:
        importance: What a plan that is as even could have more of, at most; 0 on the exact front.
        relative: The same as a share of that bound.
        hypervolume_ratio: Hypervolume of the front over that of the bound.
        certificate: ``"exact"``: measured from the exact front; ``"prices"``: from a bound by
            duality, so that the distance is at most this.

    >>> import strata_fl as st
    >>> st.plan({"ct": [6, 4], "mri": [6, 5]}, 1).gap
    Gap(importance=0.0, relative=0.0, hypervolume_ratio=1.0, certificate='exact')
    """

    importance: float
    relative: float
    hypervolume_ratio: float
    certificate: str


class Plan(Mapping[str, "Choice"]):
    """A mapping from clients to the names of the units that they train.

    Of a plan of ranks, ``plan[client]`` is a dict of units to ranks instead.

    >>> import strata_fl as st
    >>> scores = {"ct": {"block.0": 3, "block.1": 2}, "mri": {"block.0": 3, "block.1": 1}}
    >>> plan = st.plan(scores, budgets=1, choose="importance:80")
    >>> plan["ct"], plan["mri"]
    (['block.1'], ['block.0'])
    >>> plan.importance, plan.usage_variance, plan.gap.relative
    (5.0, 0.0, 0.0)
    >>> dict(st.plan(scores, budgets=4, ranks=3))["ct"]
    {'block.0': 2, 'block.1': 2}

    All that plan.json says is there, too:

    >>> plan.clients, plan.units, plan.X.tolist()
    (['ct', 'mri'], ['block.0', 'block.1'], [[False, True], [True, False]])
    >>> plan.objectives, plan.front.tolist(), plan.row
    ({'importance': 5.0, 'usage_variance': 0.0}, [[5.0, 0.0], [6.0, 1.0]], 1)
    >>> plan.used, plan.budgets, plan.counted, plan.ranks, plan.always
    ({'ct': 1, 'mri': 1}, {'ct': 1, 'mri': 1}, 'units', 1, [])
    >>> plan.algorithm, plan.choose, plan.seed, plan.evaluations, plan.provenance["normalise"]
    ('exact', 'importance:80', 1, 0, False)
    """

    def __init__(self, core: _core.Plan, parameters: Optional[Mapping[str, Sequence[str]]] = None):
        self._core = core
        self._parameters = {unit: list(names) for unit, names in (parameters or {}).items()}
        self._assignment = core.assignment
        self._rows = {client: row for row, client in enumerate(core.clients)}

    # What a mapping has.

    def __getitem__(self, client: str) -> Choice:
        units = self._core.units
        chosen = np.flatnonzero(row := self._assignment[self._row(client)])
        if self.ranks > 1:
            return {units[unit]: int(row[unit]) for unit in chosen}
        return [units[unit] for unit in chosen]

    def _row(self, client: str) -> int:
        row = self._rows.get(client)
        if row is None:
            raise UnknownClientError(client, self.clients)
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, client: object) -> bool:
        return client in self._rows

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Plan):
            return self.to_json() == other.to_json()
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        gap = f", gap {100 * self.gap.relative:.3f} %" if self.gap else ""
        return (
            f"Plan({self.algorithm}, {self.choose}: {len(self)} clients, {len(self.units)} units, "
            f"importance {self.importance:g}, usage variance {self.usage_variance:g}{gap})"
        )

    # What plan.json says.

    @property
    def clients(self) -> list[str]:
        """All of them, those that train nothing included."""
        return self._core.clients

    @property
    def units(self) -> list[str]:
        """Those that competed."""
        return self._core.units

    @property
    def always(self) -> list[str]:
        """Units that every client trains besides, outside its budget."""
        return self._core.always

    @property
    def X(self) -> np.ndarray:
        """(clients, units): bool, or the ranks as whole numbers."""
        return self._assignment if self.ranks > 1 else self._assignment.astype(bool)

    @property
    def ranks(self) -> int:
        """The largest rank that a unit can have; 1 of a plan of units."""
        return self._core.ranks

    @property
    def importance(self) -> float:
        """The sum of the scores of all that is trained."""
        return float(self._core.point[0, 0])

    @property
    def usage_variance(self) -> float:
        """How unevenly the clients are spread over the units; 0 is even."""
        return float(self._core.point[0, 1])

    @property
    def objectives(self) -> dict[str, float]:
        """All of them by name."""
        return dict(zip(self._core.objectives, self._core.point[0].tolist()))

    @property
    def front(self) -> npt.NDArray[np.float64]:
        """(points, objectives): the front that the plan was chosen from."""
        return self._core.front

    @property
    def row(self) -> int:
        """The plan's place in `front`, from 1; 0 where it is not known."""
        return self._core.row

    @property
    def gap(self) -> Optional[Gap]:
        """None where it was not asked for."""
        gap = self._core.gap
        if not gap.known:
            return None
        return Gap(gap.importance, gap.relative, gap.hypervolume_ratio, gap.certificate)

    @property
    def used(self) -> dict[str, int]:
        """What each client spends of its budget."""
        return dict(zip(self._core.clients, self._core.used))

    @property
    def budgets(self) -> dict[str, int]:
        """What each client may spend, of what `counted` says."""
        return dict(zip(self._core.clients, self._core.budgets))

    @property
    def counted(self) -> str:
        """units, ranks, bytes, flops or memory."""
        return self._core.counted

    @property
    def algorithm(self) -> str:
        """What planned: ``"exact"``, ``"nsga2"``, …"""
        return self._core.algorithm

    @property
    def choose(self) -> str:
        """The rule that picked the plan from its front."""
        return self._core.choose

    @property
    def seed(self) -> int:
        """Of the algorithm's random numbers."""
        return self._core.seed

    @property
    def evaluations(self) -> int:
        """Objective evaluations spent; 0 where none are counted."""
        return self._core.evaluations

    @property
    def provenance(self) -> dict[str, Any]:
        """Version, commit, options, whether rows were normalised."""
        return dict(self._core.provenance)

    # Files.

    def to_json(self) -> str:
        """The content of plan.json: byte for byte what ``strata plan --out`` writes.

        >>> import json
        >>> import strata_fl as st
        >>> json.loads(st.plan({"ct": [6, 4], "mri": [6, 5]}, 1).to_json())["clients"]
        {'ct': ['block.0'], 'mri': ['block.1']}
        """
        return self._core.json()

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Writes plan.json, whole or not at all. It holds no names of parameters.

        >>> import pathlib, tempfile
        >>> import strata_fl as st
        >>> plan = st.plan({"ct": [6, 4], "mri": [6, 5]}, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plan.save(pathlib.Path(folder) / "plan.json")
        ...     [file.name for file in pathlib.Path(folder).iterdir()]
        ['plan.json']
        """
        self._core.write(os.fspath(path))

    @classmethod
    def load(cls, path: Union[str, os.PathLike[str]]) -> Plan:
        """Reads plan.json, of this program or of ``strata plan`` and ``strata run``.

        Raises:
            ValueError: With file and key.

        >>> import pathlib, tempfile
        >>> import strata_fl as st
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "plan.json"
        ...     st.plan({"ct": [6, 4], "mri": [6, 5]}, 1).save(file)
        ...     Plan.load(file)["mri"]
        ['block.1']
        """
        return cls(_core.read_plan(os.fspath(path)))

    def to_frame(self) -> pandas.DataFrame:
        """`X` as a DataFrame of clients × units.

        >>> import strata_fl as st
        >>> st.plan({"ct": [6, 4], "mri": [6, 5]}, 1).to_frame()
             block.0  block.1
        ct      True    False
        mri    False     True
        """
        import pandas

        return pandas.DataFrame(self.X, index=self.clients, columns=self.units)

    # What is done with it.

    @property
    def parameters(self) -> dict[str, list[str]]:
        """Unit → names of its parameters, where the scores said them or `with_parameters` did.

        >>> import strata_fl as st
        >>> plan = st.plan({"ct": {"low": 1, "high": 2}}, 1)
        >>> plan.parameters
        {}
        >>> plan.with_parameters({"low": ["0.weight"], "high": ["1.weight"]}).parameters["high"]
        ['1.weight']
        """
        return self._parameters

    def with_parameters(self, parameters: Mapping[str, Sequence[str]]) -> Plan:
        """The same plan, with the names (or regular expressions of whole names) of units' parameters.

        Raises:
            ValueError: A unit of the plan is not among them.

        >>> import strata_fl as st
        >>> plan = st.plan({"ct": {"low": 1, "high": 2}}, 1)
        >>> plan = plan.with_parameters({"low": ["0.weight"], "high": ["1.weight", "1.bias"]})
        >>> plan.unfrozen_parameters("ct")
        ['^1[.]weight$', '^1[.]bias$']
        """
        missing = [unit for unit in self.units + self.always if unit not in parameters]
        if missing:
            raise ValueError(f'parameters: none of the unit "{missing[0]}"')
        return Plan(self._core, parameters)

    def trained_units(self, client: str) -> list[str]:
        """The client's units, and those that everyone trains.

        >>> import strata_fl as st
        >>> st.plan({"ct": {"block.0": 6, "block.1": 4, "head": 0}}, 1, always=["head"]).trained_units("ct")
        ['block.0', 'head']
        """
        chosen = list(self[client])
        return chosen + [unit for unit in self.always if unit not in chosen]

    def apply(self, model: torch.nn.Module, client: str) -> list[str]:
        """Sets ``requires_grad`` of all parameters: true of what the client trains.

        Which parameters a unit has the scores say (`parameters`). Where they do not, the units are
        the model's by the rule ``"block"`` of ``strata_fl.score``: its repeated modules, its head.

        Args:
            model: Any module; of PEFT's models the adapters' parameters are matched by the modules
                that they stand beside.
            client: One of `clients`.

        Returns:
            Names of the parameters that now train.

        Raises:
            ValueError: A unit that the model does not have.

        >>> import strata_fl as st
        >>> from torch import nn
        >>> blocks = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(2)))
        >>> model = nn.Sequential(nn.Embedding(5, 3), blocks, nn.Linear(3, 2))
        >>> st.plan({"ct": {"block.0": 1, "block.1": 2}}, 1).apply(model, "ct")
        ['1.1.0.weight', '1.1.0.bias']
        """
        from .applying import apply

        return apply(self, model, client)

    def unfrozen_parameters(self, client: str, model: Optional[torch.nn.Module] = None) -> list[str]:
        """Regular expressions of what the client trains, as axolotl's ``unfrozen_parameters`` takes.

        Args:
            client: One of `clients`.
            model: Makes one expression of a module whose parameters are all trained. Without it, where
                the plan does not know its units' `parameters` either, units are what they are called in
                most models, as ``strata plan --export unfrozen:DIR`` writes them: layers by number,
                ``head``, and names, with a warning, as parts of parameters' names.

        Raises:
            ValueError: Layers by number of several towers, without a model; a plan of ranks.

        >>> import strata_fl as st
        >>> plan = st.plan({"ct": {"block.3": 1.0, "block.4": 0.0}}, 1)
        >>> plan.unfrozen_parameters("ct")
        ['^(.+[.])?(layer|layers|block|blocks|h)[.]3[.]']
        """
        from .applying import unfrozen_parameters

        return unfrozen_parameters(self, client, model)

    def peft_config(self, client: str, base: Any, model: Optional[torch.nn.Module] = None) -> Any:
        """A copy of PEFT's ``LoraConfig`` that trains the client's layers alone.

        Layers are the numbers in the units' names (``block.3``, ``model.layers.3.mlp``); ranks of
        the plan become ``r``, ``rank_pattern`` and, so that alpha / r stays, ``alpha_pattern``.

        Args:
            client: One of `clients`.
            base: Has ``target_modules``, and whatever else training needs.
            model: The one that gets the pairs, before PEFT has it. It says what expressions in `parameters`
                match, and a head is then all that stands behind its blocks, as where it is scored. Without it, where the plan does not know its units'
                `parameters` either, a head is what last layers are called in most models.

        Raises:
            ValueError: The client trains no numbered layer, of which PEFT would make all of them.

        >>> import strata_fl as st
        >>> from peft import LoraConfig
        >>> plan = st.plan({"ct": {"block.0": 1, "block.1": 2, "head": 0}}, 1, always=["head"])
        >>> config = plan.peft_config("ct", LoraConfig(target_modules=["q_proj", "v_proj"]))
        >>> config.layers_to_transform, config.modules_to_save
        ([1], ['classifier', 'lm_head', 'score'])
        """
        from .peft_configs import peft_config

        return peft_config(self, client, base, model)


class UnknownClientError(KeyError, ValueError):
    """A client that a plan does not have; both errors, as a mapping's and as a wrong input's."""

    def __init__(self, client: object, clients: Sequence[str]):
        shown = ", ".join(f'"{name}"' for name in clients[:12])
        self.message = f'the plan has no client "{client}"; there are {shown}'
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


def read_plan(path: Union[str, os.PathLike[str]]) -> Plan:
    """`Plan.load`.

    >>> import os, tempfile
    >>> import strata_fl as st
    >>> plan = st.plan({"ct": [6, 4], "mri": [6, 5]}, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plan.save(os.path.join(folder, "plan.json"))
    ...     read_plan(os.path.join(folder, "plan.json")) == plan
    True
    """
    return Plan.load(path)
