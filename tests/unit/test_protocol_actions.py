"""Refills, cancels and new orders: accepted, refused, or nobody knows."""

import json
from typing import Any

import pytest

from watcher.errors import BadKey, RateLimited, Refused, RemoteFault, ServerFault
from watcher.model import RowError
from watcher.panels.protocol import (
    Unmatched,
    decode_add,
    decode_cancels,
    decode_refill,
    decode_refills,
)

DISABLED = "Refill is disabled for this service"


def answer(value: Any) -> bytes:
    return json.dumps(value).encode()


class TestRefills:
    @pytest.mark.parametrize("refill", [12, "12", 12.0])
    def test_ids_as_numbers_or_strings(self, refill: Any) -> None:
        assert decode_refill(answer({"refill": refill}), "7") == "12"
        rows = [{"order": 8, "refill": 13}, {"order_id": "7", "refill": refill}]
        assert decode_refills(answer(rows), ["7", "8"]) == {"7": "12", "8": "13"}

    @pytest.mark.parametrize(
        "row",
        [
            {"order": 7, "refill": {"error": DISABLED}},
            {"order": 7, "error": DISABLED},
            {"order": 7, "refill": None, "error": DISABLED},
            {"order": 7, "refill": DISABLED},
            {"order": 7, "status": "error", "message": DISABLED},
        ],
    )
    def test_failures_nested_or_flat(self, row: Any) -> None:
        body = answer([row, {"order": 8, "refill": 13}])
        assert decode_refills(body, ["7", "8"]) == {"7": RowError(DISABLED), "8": "13"}
        assert decode_refill(answer(row), "7") == RowError(DISABLED)

    @pytest.mark.parametrize(
        "text",
        [
            DISABLED,
            "The order is not completed",
            "Refill days are over",
            "refill was requested less than 24 hours ago",
            "The refill task is not completed for this order",
            "Incorrect order ID",
        ],
    )
    def test_the_usual_refusals_of_one_order(self, text: str) -> None:
        assert decode_refill(answer({"error": text}), "7") == RowError(text)

    def test_refusals_of_the_request(self) -> None:
        with pytest.raises(Refused, match=DISABLED):
            decode_refills(answer({"error": DISABLED}), ["7", "8"])
        with pytest.raises(Refused, match="Incorrect request"):
            decode_refill(b'{"error": "Incorrect request"}', "7")
        with pytest.raises(BadKey):
            decode_refill(b'{"refill": null, "error": "Invalid API key"}', "7")
        with pytest.raises(RateLimited):
            decode_refill(b'{"error": "Rate limit exceeded"}', "7")

    def test_an_object_keyed_by_orders(self) -> None:
        body = answer({"7": {"refill": 12}, "8": {"error": DISABLED}, "9": DISABLED, "10": "?"})
        assert decode_refills(body, ["7", "8", "9", "10"]) == {
            "7": "12",
            "8": RowError(DISABLED),
            "9": RowError(DISABLED),
        }

    @pytest.mark.parametrize(
        "row",
        [
            {"refill": True},
            {"refill": 0},
            {"refill": False},
            {"refill": "success"},
            {"refill": "Your refill was sent"},
            {"refill": 12, "error": "something else"},
            {"refill": 12, "status": "error"},
            {"refill": []},
            {"refill": -3},
            {"refill": 1.5},
        ],
    )
    def test_nobody_knows(self, row: dict[str, Any]) -> None:
        with pytest.raises(RemoteFault):
            decode_refill(answer(row), "7")
        rows = [{"order": 7, **row}, {"order": 8, "refill": 13}]
        assert decode_refills(answer(rows), ["7", "8"]) == {"8": "13"}

    def test_rows_are_never_matched_by_their_place(self) -> None:
        for body in ([{"refill": 1}, {"refill": 2}], {"refill": 1}):
            with pytest.raises(Unmatched):
                decode_refills(answer(body), ["7", "8"])
        with pytest.raises(RemoteFault):
            decode_refill(b'{"order": 9, "refill": 1}', "7")


class TestCancels:
    @pytest.mark.parametrize(
        ("value", "word"),
        [
            (1, "1"),
            ("1", "1"),
            (True, "true"),
            (98765, "98765"),
            ({"status": "success"}, "success"),
            ({"message": "Cancel request accepted"}, "Cancel request accepted"),
            ({"status": "success", "message": "In the queue"}, "In the queue"),
            ("success", "success"),
        ],
    )
    def test_accepted(self, value: Any, word: str) -> None:
        rows = [{"order": 8, "cancel": {"error": "no"}}, {"order": "7", "cancel": value}]
        assert decode_cancels(answer(rows), ["7", "8"]) == {"7": word, "8": RowError("no")}
        assert decode_cancels(answer({"cancel": value}), ["7"]) == {"7": word}
        assert decode_cancels(answer({"7": value}), ["7"]) == {"7": word}

    def test_one_order_answered_with_an_object(self) -> None:
        assert decode_cancels(b'{"status": "success"}', ["7"]) == {"7": "success"}
        assert decode_cancels(b'{"message": "Sent"}', ["7"]) == {"7": "Sent"}
        assert decode_cancels(b'{"order": 7, "message": "Sent"}', ["7"]) == {"7": "Sent"}
        assert decode_cancels(b'{"error": "Incorrect order ID"}', ["7"]) == {
            "7": RowError("Incorrect order ID")
        }

    @pytest.mark.parametrize(
        "row",
        [
            {"cancel": {"error": "Too late"}},
            {"error": "Too late"},
            {"cancel": {"status": "error", "message": "Too late"}},
            {"status": "fail", "message": "Too late"},
        ],
    )
    def test_refused(self, row: dict[str, Any]) -> None:
        body = answer([{"order": 7, **row}])
        assert decode_cancels(body, ["7"]) == {"7": RowError("Too late")}

    def test_a_message_that_is_known_to_be_bad_is_no_acceptance(self) -> None:
        body = b'[{"order": 7, "cancel": {"message": "Incorrect order ID"}}]'
        assert decode_cancels(body, ["7"]) == {"7": RowError("Incorrect order ID")}

    @pytest.mark.parametrize("value", [0, "0", False, None, "", "Perhaps", [], {}, {"status": 5}])
    def test_nobody_knows(self, value: Any) -> None:
        assert decode_cancels(answer([{"order": 7, "cancel": value}]), ["7"]) == {}

    def test_an_acceptance_with_an_error_is_neither(self) -> None:
        assert decode_cancels(b'[{"order": 7, "cancel": 1, "error": "but"}]', ["7"]) == {}

    def test_an_object_for_many(self) -> None:
        with pytest.raises(Unmatched):
            decode_cancels(b'{"status": "success"}', ["7", "8"])
        with pytest.raises(Refused, match="fail"):
            decode_cancels(b'{"status": "fail"}', ["7", "8"])
        with pytest.raises(Unmatched):
            decode_cancels(b'[{"cancel": 1}, {"cancel": 1}]', ["7", "8"])

    def test_nesting_has_no_end(self) -> None:
        body = b'{"cancel": ' * 300 + b"1" + b"}" * 300
        assert decode_cancels(body, ["7"]) == {}
        body = b'[{"order": 7, "cancel": ' + b'{"status": ' * 300 + b"1" + b"}" * 301 + b"]"
        assert decode_cancels(body, ["7"]) == {}


class TestAdd:
    @pytest.mark.parametrize(
        "body",
        [
            {"order": 23501},
            {"order": "23501"},
            {"order_id": 23501},
            {"order": 23501.0, "status": "success", "message": "Thanks"},
            {"order": 23501, "error": None},
            {"order": 23501, "error": ""},
        ],
    )
    def test_accepted(self, body: Any) -> None:
        assert decode_add(answer(body)) == "23501"

    @pytest.mark.parametrize(
        "body",
        [
            {"error": "Not enough funds on balance"},
            {"status": "error", "message": "Not enough funds on balance"},
            {"errors": {"balance": ["Not enough funds on balance"]}},
            {"order": None, "error": "Not enough funds on balance"},
            "Not enough funds on balance",
            {"message": "Not enough funds on balance"},
        ],
    )
    def test_refused(self, body: Any) -> None:
        with pytest.raises(Refused, match=r"^Not enough funds on balance$"):
            decode_add(answer(body))

    @pytest.mark.parametrize("text", ["Internal server error", "Request timed out"])
    def test_a_breakdown_is_no_refusal(self, text: str) -> None:
        with pytest.raises(ServerFault, match=text):
            decode_add(answer({"error": text}))
        with pytest.raises(ServerFault, match=text):
            decode_refill(answer({"error": text}), "7")
        rows = [{"order": 7, "refill": {"error": text}}, {"order": 8, "error": "no"}]
        assert decode_refills(answer(rows), ["7", "8"]) == {"8": RowError("no")}

    def test_codes_are_kept(self) -> None:
        with pytest.raises(Refused, match=r"^neworder\.error\.link_duplicate$"):
            decode_add(b'{"error": "neworder.error.link_duplicate"}')

    @pytest.mark.parametrize(
        "body",
        [
            {},
            [],
            None,
            5,
            {"order": 0},
            {"order": None},
            {"order": True},
            {"order": "soon"},
            {"order": "an order with spaces 1"},
            {"order": 23501, "error": "but"},
            {"order": 23501, "status": "error"},
            {"message": "Thanks"},
            [23501],
        ],
    )
    def test_nobody_knows(self, body: Any) -> None:
        with pytest.raises(RemoteFault):
            decode_add(answer(body))
