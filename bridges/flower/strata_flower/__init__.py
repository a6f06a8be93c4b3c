"""A Flower app that carries the orders and replies of a Strata run (docs/consortium.md)."""
