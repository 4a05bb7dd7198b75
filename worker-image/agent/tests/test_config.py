"""Settings from the environment."""

import unittest

from cellhouse_agent.config import ConfigError, read_config


class ReadConfig(unittest.TestCase):
    """read_config."""

    def test_has_the_defaults_of_the_protocol(self) -> None:
        config = read_config({})
        self.assertEqual(config.orphan_timeout_ms, 900_000)
        self.assertEqual(config.replay_buffer_bytes, 33_554_432)
        self.assertEqual(config.max_message_bytes, 16_777_216)
        self.assertEqual(config.cpus, 1)
        self.assertEqual((config.has_egress, config.pip_index_url), (False, ""))

    def test_has_egress_only_if_it_is_switched_on(self) -> None:
        self.assertTrue(read_config({"CELLHOUSE_EGRESS": "on"}).has_egress)
        self.assertFalse(read_config({"CELLHOUSE_EGRESS": "off"}).has_egress)

    def test_names_every_problem_at_once(self) -> None:
        with self.assertRaises(ConfigError) as caught:
            read_config({"CELLHOUSE_CPUS": "0", "CELLHOUSE_ORPHAN_TIMEOUT_MS": "soon"})
        self.assertIn("CELLHOUSE_CPUS", str(caught.exception))
        self.assertIn("CELLHOUSE_ORPHAN_TIMEOUT_MS", str(caught.exception))
