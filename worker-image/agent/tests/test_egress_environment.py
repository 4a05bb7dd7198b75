"""The environment variables of code that has egress."""

import unittest

from cellhouse_agent.egress import egress_environment


class TestEgressEnvironment(unittest.TestCase):
    """The variables that depend on the index."""

    def test_pip_trusts_the_host_of_an_index_without_tls(self) -> None:
        for index, pip in {
            "": {},
            "https://pypi.test/simple": {"PIP_INDEX_URL": "https://pypi.test/simple"},
            "http://me:secret@10.0.0.5:8080/simple": {
                "PIP_INDEX_URL": "http://me:secret@10.0.0.5:8080/simple",
                "PIP_TRUSTED_HOST": "10.0.0.5:8080",
            },
        }.items():
            with self.subTest(index):
                found = egress_environment(index)
                self.assertEqual({name: found[name] for name in found if "PIP" in name}, pip)
