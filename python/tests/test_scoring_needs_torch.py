"""The module does without torch until scores are asked for."""

import pytest

import strata_fl as st


def test_scoring_is_there_with_torch():
    pytest.importorskip("torch", reason="python/tests/scoring needs torch")
    assert st.score is st.scoring.score and st.ScoreTable is st.scoring.ScoreTable


def test_unknown_names_are_unknown():
    with pytest.raises(AttributeError, match="strata_fl.*has no attribute 'scores'"):
        st.scores
