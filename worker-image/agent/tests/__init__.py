"""Tests of the agent's parts; test/int/kernelContract.test.ts tests the whole through its socket."""
