"""The twin app in Flower's simulation, of two nodes in this process and Ray's.

    PYTHONPATH=python/tests/twin_app TWIN_FOLDER=FOLDER TWIN_OUT=OUT python3 python/tests/simulate_twin.py
"""

from flwr.simulation import run_simulation
from twin_app import client_app, server_app

if __name__ == "__main__":
    run_simulation(
        server_app=server_app.app,
        client_app=client_app.app,
        num_supernodes=2,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
