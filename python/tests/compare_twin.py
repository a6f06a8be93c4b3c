"""Whether a twin app ended with the plans and the weights of the run.

    python3 python/tests/compare_twin.py FOLDER OUT

FOLDER has the run (`run`) and its foundation (`vit`), OUT what twin_app wrote.
"""

import json
import sys
from pathlib import Path

import numpy as np
from transformers import ViTForImageClassification

TOLERANCE = 1e-5  # of float32 sums in two libraries


def weights(folder: Path) -> dict[str, np.ndarray]:
    model = ViTForImageClassification.from_pretrained(folder)
    return {key: value.numpy() for key, value in model.state_dict().items()}


def main(folder: Path, out: Path) -> None:
    plans = json.loads((out / "plans.json").read_text())
    rounds = sorted((folder / "run" / "rounds").iterdir())
    assert len(plans) == len(rounds) > 2
    for planned, of_round in zip(plans, rounds):
        expected = json.loads((of_round / "plan.json").read_text())["clients"]
        assert planned == expected, (of_round.name, planned, expected)
    before, after, twin = weights(folder / "vit"), weights(folder / "run" / "model"), np.load(out / "arrays.npz")
    assert set(twin) == set(after)
    apart = max(float(np.abs(twin[key] - after[key]).max()) for key in after)
    moved = {key: float(np.abs(after[key] - before[key]).max()) for key in after}
    still = [key for key, change in moved.items() if change == 0]
    assert still and all(np.array_equal(twin[key], before[key]) for key in still)
    print(f"the weights are at most {apart:.1e} apart, having moved by up to {max(moved.values()):.1e}; "
          f"{len(still)} of {len(moved)} arrays have not moved")
    assert apart <= TOLERANCE and max(moved.values()) > 1000 * TOLERANCE


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
