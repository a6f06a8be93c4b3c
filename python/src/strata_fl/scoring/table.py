"""Scores of clients and units, as ``strata score`` writes them and every planner reads them."""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from .. import _core

if TYPE_CHECKING:  # pandas is asked for when a frame is
    import pandas


class ScoreTable:
    """How important each unit is to each client.

    Attributes:
        clients, units: Names of rows and columns.
        scores: (clients, units), each row of ``raw`` divided by its sum; a row of zeros becomes uniform.
        raw: (clients, units), for example λ₁; None where a file does not hold it.
        roles: What each unit is to the model (``"body"``, ``"embeddings"``, ``"head"``, …); may be empty.
        parameters: Unit -> names of its weights; empty where a file was read.
        residuals: (clients, units) of eigenvalues, ‖Θv − λv‖ / λ₁; None of other metrics.
        metric, samples, model_fingerprint: As in the file (docs/score_files.md).

    >>> table = ScoreTable(["ct", "mr"], ["block.0", "head"], [[3, 1], [1, 1]])
    >>> table.scores.tolist()
    [[0.75, 0.25], [0.5, 0.5]]
    >>> table["ct"]
    {'block.0': 0.75, 'head': 0.25}
    """

    def __init__(
        self,
        clients: Sequence[str],
        units: Sequence[str],
        raw: Any,
        *,
        roles: Sequence[str] = (),
        parameters: Optional[Mapping[str, Sequence[str]]] = None,
        metric: str = "",
        samples: int = 0,
        model_fingerprint: str = "",
        residuals: Any = None,
        scores: Any = None,
    ):
        self.clients, self.units, self.roles = list(clients), list(units), list(roles)
        self.parameters = {unit: list(names) for unit, names in (parameters or {}).items()}
        self.metric, self.samples = metric, int(samples)
        self.model_fingerprint = model_fingerprint
        self.raw = None if raw is None else self._matrix(raw, "raw")
        self.residuals = None if residuals is None else self._matrix(residuals, "residuals")
        self.scores = normalised(self.raw) if scores is None else self._matrix(scores, "scores")
        if self.roles and len(self.roles) != len(self.units):
            raise ValueError(f"roles: found {len(self.roles)} of {len(self.units)} units")
        for names, what in ((self.clients, "client"), (self.units, "unit")):
            twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
            if twice is not None:
                raise ValueError(f'{what}s: the {what} "{twice}" stands twice')

    def _matrix(self, values: Any, what: str) -> np.ndarray:
        matrix = np.array(values, dtype=np.float64, ndmin=2)
        shape = len(self.clients), len(self.units)
        if matrix.shape != shape:
            raise ValueError(
                f"{what}: found the shape {matrix.shape}, {shape} (clients, units) was expected"
            )
        bad = ~(np.isfinite(matrix) & (matrix >= 0))
        if bad.any():
            i, l = np.argwhere(bad)[0]
            raise ValueError(
                f'{what}: client "{self.clients[i]}", unit "{self.units[l]}": found {matrix[i, l]}; '
                "numbers must be finite and at least 0"
            )
        return matrix

    def __getitem__(self, client: str) -> dict[str, float]:
        """The client's score of every unit."""
        if client not in self.clients:
            raise KeyError(f'there is no client "{client}"; there are {", ".join(self.clients)}')
        return dict(zip(self.units, self.scores[self.clients.index(client)].tolist()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.clients)

    def __len__(self) -> int:
        return len(self.clients)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """``scores``, so that NumPy and the planner take the table for its matrix."""
        return np.array(self.scores, dtype=dtype)

    def __repr__(self) -> str:
        metric = f", {self.metric}" if self.metric else ""
        return f"ScoreTable({len(self.clients)} clients x {len(self.units)} units{metric})"

    def __str__(self) -> str:
        width = max(len("client"), *(len(client) for client in self.clients))
        columns = [max(len(unit), 5) for unit in self.units]
        lines = [
            "  ".join(
                ["client".ljust(width), *(u.rjust(c) for u, c in zip(self.units, columns))]
            )
        ]
        for client, row in zip(self.clients, self.scores):
            numbers = (f"{score:.3f}".rjust(c) for score, c in zip(row, columns))
            lines.append("  ".join([client.ljust(width), *numbers]))
        return "\n".join(lines)

    def to_frame(self) -> "pandas.DataFrame":
        """``scores`` as a DataFrame with clients as the index and units as columns.

        >>> frame = ScoreTable(["ct", "mr"], ["block.0", "head"], [[3, 1], [1, 1]]).to_frame()
        >>> frame["head"].to_dict()
        {'ct': 0.25, 'mr': 0.5}
        """
        import pandas

        index = pandas.Index(self.clients, name="client")
        return pandas.DataFrame(self.scores.copy(), index=index, columns=self.units)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Writes scores.json or, by the extension ``.csv``, scores.csv: whole or not at all.

        The bytes are those that ``strata score`` writes for the same numbers (docs/score_files.md).

        Raises:
            ValueError: A name is empty.
            OSError: The file cannot be written.

        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ScoreTable(["ct"], ["block.0", "head"], [[3, 1]]).save(pathlib.Path(folder) / "scores.csv")
        ...     print((pathlib.Path(folder) / "scores.csv").read_text(), end="")
        client,block.0,head
        ct,0.75,0.25
        """
        table = _core.ScoreTable(
            self.clients,
            self.units,
            np.ascontiguousarray(self.scores),
            metric=self.metric,
            model_fingerprint=self.model_fingerprint,
            samples=self.samples,
            roles=self.roles,
            raw=None if self.raw is None else np.ascontiguousarray(self.raw),
            source=os.fspath(path),
        )
        _core.write_scores(table, os.fspath(path))

    @classmethod
    def load(cls, path: "str | os.PathLike[str]", metric: str = "") -> "ScoreTable":
        """Reads a file of scores, a table of them, or a folder of clients' files.

        Raises:
            ValueError: with file and line or key.

        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "scores.json"
        ...     ScoreTable(["ct"], ["block.0", "head"], [[3, 1]], metric="lntk").save(file)
        ...     found = ScoreTable.load(file)
        >>> found["ct"], found.metric
        ({'block.0': 0.75, 'head': 0.25}, 'lntk')
        """
        found = _core.read_scores(os.fspath(path), metric)
        raw = np.array(found.raw)
        return cls(
            found.clients,
            found.units,
            raw if raw.size else None,
            scores=np.array(found.scores),
            roles=found.roles,
            metric=found.metric,
            samples=found.samples,
            model_fingerprint=found.model_fingerprint,
        )

    def __add__(self, other: "ScoreTable") -> "ScoreTable":
        """The rows of both."""
        if not isinstance(other, ScoreTable):
            return NotImplemented
        return ScoreTable.concat([self, other])

    @classmethod
    def concat(cls, tables: Iterable["ScoreTable"]) -> "ScoreTable":
        """The rows of several clients' tables, of the same model, metric and units.

        Raises:
            ValueError: There is none; they are of different units, metrics or models; a client stands twice.

        >>> one = ScoreTable(["ct"], ["block.0", "head"], [[3, 1]])
        >>> two = ScoreTable(["mr"], ["block.0", "head"], [[1, 1]])
        >>> (one + two).clients
        ['ct', 'mr']
        """
        tables = list(tables)
        if not tables:
            raise ValueError("there is no table")
        first = tables[0]
        for table in tables[1:]:
            for what in ("units", "roles", "metric", "model_fingerprint", "samples"):
                mine, others = getattr(first, what), getattr(table, what)
                if mine != others:
                    raise ValueError(
                        f"{what}: client \"{table.clients[0]}\" has {others!r}, and client "
                        f'"{first.clients[0]}" {mine!r}'
                    )

        def rows(what: str) -> Optional[np.ndarray]:
            values = [getattr(table, what) for table in tables]
            return None if any(v is None for v in values) else np.concatenate(values)

        return cls(
            [client for table in tables for client in table.clients],
            first.units,
            rows("raw"),
            roles=first.roles,
            parameters=first.parameters,
            metric=first.metric,
            samples=first.samples,
            model_fingerprint=first.model_fingerprint,
            residuals=rows("residuals"),
            scores=rows("scores"),
        )


def normalised(raw: Optional[np.ndarray]) -> np.ndarray:
    """Each row divided by its sum, a row of zeros as 1 / units (F3OCUS, arXiv 2411.11912)."""
    if raw is None:
        raise ValueError("raw or scores: one of them is needed")
    found = np.full_like(raw, 1 / raw.shape[1])
    for own, row in zip(found, raw):
        # From the left, as the command line adds: np.sum and Python's own sum round otherwise.
        total = functools.reduce(operator.add, row.tolist())
        if total > 0:
            own[:] = row / total
    return found
