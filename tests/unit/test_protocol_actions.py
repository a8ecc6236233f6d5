"""Refills, cancels and new orders: accepted, refused, or nobody knows."""

import json
from typing import Any

import pytest

from tests.support.decoders import decode_refill
from watcher.errors import BadKey, RateLimited, Refused, ServerFault
from watcher.model import Accepted, RowError, Unclear, Verdict
from watcher.panels.protocol import (
    decode_add,
    decode_cancels,
    decode_refills,
)

DISABLED = "Refill is disabled for this service"


def answer(value: Any) -> bytes:
    return json.dumps(value).encode()


def is_unclear(verdict: Verdict, said: str = "") -> bool:
    """Whether nobody knows, and the panel's words are kept."""
    return isinstance(verdict, Unclear) and said in verdict.text


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
        found = decode_refills(body, ["7", "8", "9", "10"])
        assert is_unclear(found.pop("10"), ": ?")
        assert found == {"7": "12", "8": RowError(DISABLED), "9": RowError(DISABLED)}

    @pytest.mark.parametrize(
        "row",
        [
            {"refill": 0},
            {"refill": False},
            {"refill": "Perhaps"},
            {"refill": "Your refill could not be sent"},
            {"refill": "It was already requested"},
            {"success": "Order is not eligible"},
            {"success": True, "message": "Refill failed"},
            {"success": True, "message": "the rate limit is reached"},
            {"status": "success", "error": "Too early"},
            {"status": 5},
            {"status": "Pending", "remains": 5},
            {"refill": 12, "error": "something else"},
            {"refill": 12, "status": "error"},
            {"refill": []},
            {"refill": -3},
            {"refill": 1.5},
        ],
    )
    def test_nobody_knows(self, row: dict[str, Any]) -> None:
        said = json.dumps(row)[1:9]
        assert is_unclear(decode_refill(answer(row), "7"), said)
        rows = [{"order": 7, **row}, {"order": 8, "refill": 13}]
        found = decode_refills(answer(rows), ["7", "8"])
        assert is_unclear(found.pop("7"), said)
        assert found == {"8": "13"}

    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ({"refill": True}, "true"),
            ({"refill": "success"}, "success"),
            ({"refill": "requested"}, "requested"),
            ({"refill": "Pending"}, "Pending"),
            ({"refill": "Your refill was sent"}, "Your refill was sent"),
            ({"success": "Your order is going to be refilled"}, None),
            ({"success": "Đơn hàng đã được bảo hành"}, None),
            ({"success": True, "message": "Đã gửi"}, "Đã gửi"),
            ({"status": "success", "message": "Refill request received"}, None),
            ({"message": "Refill request received"}, None),
            ({"result": "ok"}, "ok"),
        ],
    )
    def test_accepted_in_words(self, row: dict[str, Any], told: str | None) -> None:
        verdict = Accepted(told or str(list(row.values())[-1]))
        assert decode_refill(answer(row), "7") == verdict
        assert decode_refills(answer({"7": row, "8": {"refill": 5}}), ["7", "8"]) == {
            "7": verdict,
            "8": "5",
        }

    @pytest.mark.parametrize("body", [{"refill": "1"}, {"refill": 1}, {"success": True}, "success"])
    def test_one_word_for_all(self, body: Any) -> None:
        found = decode_refills(answer(body), ["7", "8", "9"])
        assert list(found) == ["7", "8", "9"]
        assert all(isinstance(row, Accepted) and row.whole for row in found.values())

    @pytest.mark.parametrize("wrap", ["data", "result", "refills", "response"])
    def test_what_only_wraps_is_taken_off(self, wrap: str) -> None:
        rows = [{"order": 7, "refill": 12}, {"order": 8, "refill": 13}]
        for body in ({wrap: rows}, {"success": True, wrap: rows}, {wrap: {"7": 12, "8": 13}}):
            assert decode_refills(answer(body), ["7", "8"]) == {"7": "12", "8": "13"}
        assert decode_refill(answer({"status": "success", wrap: {"refill": 12}}), "7") == "12"
        assert decode_refill(answer({"refill": {"id": 12, "status": "Pending"}}), "7") == "12"

    @pytest.mark.parametrize("body", [[{"refill": 1}, {"refill": 2}], {"refill": 4711}, 4711])
    def test_rows_are_never_matched_by_their_place(self, body: Any) -> None:
        found = decode_refills(answer(body), ["7", "8"])
        assert [
            is_unclear(row, "refill" if body != 4711 else "4711") for row in found.values()
        ] == [
            True,
            True,
        ]

    def test_what_names_another_order_says_so(self) -> None:
        verdict = decode_refill(b'{"order": 9, "refill": 1}', "7")
        assert is_unclear(verdict, "names order 9")
        found = decode_refills(b'{"7": {"order": 9, "refill": 1}, "8": {"refill": 2}}', ["7", "8"])
        assert is_unclear(found["7"], "names order 9")
        assert found["8"] == "2"

    @pytest.mark.parametrize("body", [{}, [], [{"order": 8, "refill": 2}], {"8": {"refill": 2}}])
    def test_an_id_that_is_left_out_is_unclear(self, body: Any) -> None:
        found = decode_refills(answer(body), ["7", "8"])
        assert is_unclear(found["7"], "does not name this order")


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
            ("requested", "requested"),
            ("Cancelled", "Cancelled"),
            ({"success": "Yêu cầu đã gửi"}, "Yêu cầu đã gửi"),
        ],
    )
    def test_accepted(self, value: Any, word: str) -> None:
        rows = [{"order": 8, "cancel": {"error": "no"}}, {"order": "7", "cancel": value}]
        verdict: Verdict = word if word.isdecimal() else Accepted(word)
        assert decode_cancels(answer(rows), ["7", "8"]) == {"7": verdict, "8": RowError("no")}
        assert decode_cancels(answer({"cancel": value}), ["7"]) == {"7": verdict}
        assert decode_cancels(answer({"7": value}), ["7"]) == {"7": verdict}

    def test_one_order_answered_with_an_object(self) -> None:
        assert decode_cancels(b'{"status": "success"}', ["7"]) == {"7": Accepted("success")}
        assert decode_cancels(b'{"message": "Sent"}', ["7"]) == {"7": Accepted("Sent")}
        assert decode_cancels(b'{"order": 7, "message": "Sent"}', ["7"]) == {"7": Accepted("Sent")}
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

    @pytest.mark.parametrize(
        "value",
        [0, "0", False, None, "", "Perhaps", [], {}, {"status": 5}, {"message": "It can't be"}],
    )
    def test_nobody_knows(self, value: Any) -> None:
        found = decode_cancels(answer([{"order": 7, "cancel": value}]), ["7"])
        assert is_unclear(found["7"], "not understood")

    def test_an_acceptance_with_an_error_is_neither(self) -> None:
        found = decode_cancels(b'[{"order": 7, "cancel": 1, "error": "but"}]', ["7"])
        assert is_unclear(found["7"], "but")

    def test_an_object_for_many(self) -> None:
        one = Accepted("success", whole=True)
        assert decode_cancels(b'{"status": "success"}', ["7", "8"]) == {"7": one, "8": one}
        with pytest.raises(Refused, match="fail"):
            decode_cancels(b'{"status": "fail"}', ["7", "8"])
        found = decode_cancels(b'[{"cancel": 1}, {"cancel": 1}]', ["7", "8"])
        assert all(is_unclear(row, "cancel") for row in found.values())

    def test_an_object_by_orders_with_a_word(self) -> None:
        body = b'{"4218": {"cancel": "requested"}, "4219": {"error": "Cannot cancel"}}'
        assert decode_cancels(body, ["4218", "4219"]) == {
            "4218": Accepted("requested"),
            "4219": RowError("Cannot cancel"),
        }

    def test_nesting_has_no_end(self) -> None:
        body = b'{"cancel": ' * 300 + b"1" + b"}" * 300
        assert is_unclear(decode_cancels(body, ["7"])["7"])
        body = b'[{"order": 7, "cancel": ' + b'{"status": ' * 300 + b"1" + b"}" * 301 + b"]"
        assert is_unclear(decode_cancels(body, ["7"])["7"])


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
        found = decode_refills(answer(rows), ["7", "8"])
        assert is_unclear(found.pop("7"), text)
        assert found == {"8": RowError("no")}

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
            {"status": "success", "error": "Not enough funds on balance"},
            {"order": 23501, "status": "error"},
            {"message": "Thanks"},
            [23501],
        ],
    )
    def test_nobody_knows(self, body: Any) -> None:
        assert is_unclear(decode_add(answer(body)), "not understood")

    @pytest.mark.parametrize(
        "body",
        [
            {"data": {"order": 23501}},
            {"status": "success", "result": {"order_id": "23501"}},
            {"order": {"id": 23501}},
            [{"order": 23501}],
        ],
    )
    def test_wrapped(self, body: Any) -> None:
        assert decode_add(answer(body)) == "23501"

    def test_words_beside_a_code_are_told(self) -> None:
        body = {"status": "error", "msg": "Số dư không đủ", "error": "neworder.error.balance"}
        with pytest.raises(Refused, match=r"^Số dư không đủ \(neworder\.error\.balance\)$"):
            decode_add(answer(body))
        with pytest.raises(Refused, match=r"^Link không hợp lệ \(1007\)$"):
            decode_add(answer({"msg": "Link không hợp lệ", "error": 1007}))
        with pytest.raises(Refused, match=r"^Link không hợp lệ$"):
            decode_add(answer({"message": "Link không hợp lệ", "error": 1}))
        with pytest.raises(BadKey, match="Invalid API key"):
            decode_add(answer({"message": "Invalid API key", "error": "E401"}))

    def test_an_error_that_says_that_there_is_none(self) -> None:
        for none in ("false", "0", "null", "None"):
            assert decode_add(answer({"order": 5, "error": none})) == "5"


class TestIds:
    @pytest.mark.parametrize(
        "given",
        [
            "bVJizQKZab",
            "XyQwErTzUi",
            "a0bcdefghi",
            "ABCDEFGHIJ",
            "abcdefghij",
            "6f1c2f0e-8a53-4a6c-9b0e-2b1d3c4e5f60",
            "deadbeef-dead-beef-dead-beefdeadbeef",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "SMM-123",
            2**63,
            2**64 + 1,
            10**30 + 1,
            str(2**63),
            "007",
        ],
    )
    def test_ids_of_any_alphabet(self, given: Any) -> None:
        assert decode_add(answer({"order": given})) == str(given)
        assert decode_refill(answer({"refill": given}), "7") == str(given)
        rows = [{"order": given, "refill": 5}]
        assert decode_refills(answer(rows), [str(given), "8"])[str(given)] == "5"

    @pytest.mark.parametrize(
        "given",
        [
            *["success", "Pending", "In_progress", "true", "null", "none", "error", "failed"],
            *["not_found", "neworder.error.funds", "E.ERROR", "error1007", "order_not_found"],
            *["undefined", "NaN", "accepted", "soon", "-", "...", "0", "00", "-5", "a b", ""],
            *["x" * 65, "a,b", "<b>", 0, -1, 1.5, True, False, None, [], 10**70],
        ],
    )
    def test_words_are_none(self, given: Any) -> None:
        assert is_unclear(decode_add(answer({"order": given})))
