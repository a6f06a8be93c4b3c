import pytest

pytest.importorskip("torch", reason="scoring needs torch")
