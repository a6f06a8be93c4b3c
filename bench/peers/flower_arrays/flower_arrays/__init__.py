"""FedAvg of arrays that nobody trains."""
