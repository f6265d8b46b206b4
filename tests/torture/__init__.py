"""Long proofs of the promise, against the real command. `make torture` runs them whole, `make test` a small sample."""
