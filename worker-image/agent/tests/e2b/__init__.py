"""Tests of what a kernel shows in a sandbox of E2B."""
