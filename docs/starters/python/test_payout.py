"""The keys of payouts, against the vectors that every language shares; and what makes two requests differ."""

import json
import unittest
from pathlib import Path

from payout import Sad, differences, payout_key

VECTORS = json.loads((Path(__file__).parents[3] / "domain/vectors/keys.json").read_text(encoding="utf-8"))


class Keys(unittest.TestCase):
    def test_every_published_vector_derives_its_key_or_is_refused(self) -> None:
        self.assertGreaterEqual(len(VECTORS), 40)
        for vector in VECTORS:
            external_id = vector["id"] * vector.get("repeat", 1)
            with self.subTest(vector["why"]):
                if vector["key"] is None:
                    self.assertRaises(Sad, payout_key, external_id)
                else:
                    self.assertEqual(payout_key(external_id), vector["key"])

    def test_what_is_no_text_or_no_whole_text_has_no_key(self) -> None:
        for external_id in (None, 7, b"a", "a\ud800"):
            self.assertRaises(Sad, payout_key, external_id)

    def test_a_line_break_at_the_end_is_part_of_the_id(self) -> None:
        self.assertTrue(payout_key("a\n").startswith("h-"))


class Requests(unittest.TestCase):
    def test_requests_differ_by_facts_not_by_spelling(self) -> None:
        one = {"asset": {"kind": "Erc20", "contract": "0xaB"}, "amount": "1", "program": None}
        self.assertEqual(differences(one, {"amount": "1", "asset": {"contract": "0xAb", "kind": "Erc20"}}), [])
        self.assertEqual(differences(one, {**one, "amount": "2", "program": "payroll"}), ["amount", "program"])


if __name__ == "__main__":
    unittest.main()
