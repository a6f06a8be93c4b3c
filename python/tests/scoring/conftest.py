"""Without torch there is nothing to test here; test_scoring_needs_torch.py says so."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]
