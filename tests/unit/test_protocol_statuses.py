"""Order and refill statuses: every deviation that real panels show."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.decoders import decode_refill_status, decode_status
from watcher.errors import BadKey, RateLimited, Refused, RemoteFault
from watcher.model import Observation, RefillStatus, RowError, Status
from watcher.panels.protocol import (
    RefillObservation,
    Unmatched,
    Unread,
    decode_news,
    decode_refill_statuses,
    decode_statuses,
)

ROW = {
    "charge": "0.27819",
    "start_count": "3572",
    "status": "In progress",
    "remains": "157",
    "currency": "USD",
}
WARNINGS = (
    '<br />\n<b>Warning</b>:  Undefined array key "refill" in <b>/home/x/api.php</b><br />\n',
    "\nDeprecated: Optional parameter in /x.php on line 3\n",
    "PHP Notice:  Undefined index: a in [php shell code] on line 1 \ufeff",
)
SEEN = Observation(
    status=Status.IN_PROGRESS,
    status_text="In progress",
    charge=Decimal("0.27819"),
    currency="USD",
    start_count=3572,
    remains=157,
)
UNKNOWN = RowError("Incorrect order ID")


def answer(value: Any) -> bytes:
    return json.dumps(value).encode()


def decode_both(body: bytes, ids: list[str]) -> dict[str, Any]:
    """Decode an answer in the usual form and leniently: what is seen must agree."""
    found = decode_statuses(body, ids)
    assert decode_news(body, ids, [0] * len(ids)).rows == found
    return found


def observed(row: str) -> Observation:
    """What is seen of a row given as JSON, among others and alone."""
    found = decode_both(f'{{"7": {row}, "8": {json.dumps(ROW)}}}'.encode(), ["7", "8"])
    assert found["8"] == SEEN
    assert decode_status(row.encode(), "7") == found["7"]
    assert isinstance(found["7"], Observation)
    return found["7"]


class TestNumbers:
    @pytest.mark.parametrize("text", ['"157"', "157", "157.0", '"157.0"', '" 157 "', "1.57e2"])
    def test_however_an_integer_is_written(self, text: str) -> None:
        assert observed(f'{{"status": "Partial", "remains": {text}}}').remains == 157

    @pytest.mark.parametrize("field", ["charge", "start_count", "remains"])
    @pytest.mark.parametrize(
        "text", ["null", '""', '"n/a"', '"1,5,70"', "true", "[]", "{}", "1e400"]
    )
    def test_what_is_no_number_is_not_said(self, field: str, text: str) -> None:
        seen = observed(json.dumps(ROW | {field: "@"}).replace('"@"', text))
        assert getattr(seen, field) is None
        others = {"charge", "start_count", "remains", "status", "status_text", "currency"} - {field}
        assert all(getattr(seen, other) == getattr(SEEN, other) for other in others)

    @pytest.mark.parametrize("text", ["9223372036854775808", '"9223372036854775808"', "9" * 200])
    def test_an_absurd_integer_is_not_said(self, text: str) -> None:
        seen = observed(json.dumps(ROW | {"remains": "@"}).replace('"@"', text))
        assert seen.remains is None
        assert seen.charge == SEEN.charge

    @pytest.mark.parametrize("text", ['"NaN"', '"Infinity"', '"1e400"', '"1,234"', '"about 1"'])
    def test_garbage_is_no_charge(self, text: str) -> None:
        assert observed(f'{{"status": "Partial", "charge": {text}}}').charge is None

    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("12,345", 12345),
            ("1,234,567", 1234567),
            ("1.000", 1000),
            ("157.000", 157_000),
            ("-1.000", -1000),
            ("1.000.000", 1_000_000),
            ("1 234", 1234),
            ("1\u202f234", 1234),
            ("12,00,000", 1_200_000),
            ("0.000", 0),
            ("1234.000", 1234),
        ],
    )
    def test_counts_as_people_print_them(self, text: str, count: int) -> None:
        for field in ("start_count", "remains"):
            assert getattr(observed(json.dumps(ROW | {field: text})), field) == count
        seen = decode_news(answer({"7": ROW | {"remains": text}, "8": ROW}), ["7", "8"], [0, 0])
        assert seen.rows["7"].remains == count
        assert seen.rows["8"] == SEEN
        assert seen.marks.keys() == {"7", "8"}
        assert seen.unread == []

    @pytest.mark.parametrize(
        ("text", "charge"),
        [
            ("$0.27", "0.27"),
            ("0,27", "0.27"),
            ("1,234.5", "1234.5"),
            ("1.234", "1.234"),
            ("2.000", "2"),
        ],
    )
    def test_charges_as_people_print_them(self, text: str, charge: str) -> None:
        seen = observed(json.dumps(ROW | {"charge": text}))
        assert (seen.charge, seen.currency) == (Decimal(charge), "USD")

    def test_a_charge_tells_its_currency_where_nothing_else_does(self) -> None:
        assert observed('{"status": "Partial", "charge": "0.90 EUR"}').currency == "EUR"
        assert observed('{"status": "Partial", "charge": "$0.90"}').currency is None

    def test_what_can_not_be_read_is_told(self) -> None:
        body = answer({"7": ROW | {"charge": "1,234", "remains": "many"}, "8": ROW})
        news = decode_news(body, ["7", "8"], [0, 0])
        assert news.unread == [Unread("charge", "1,234"), Unread("remains", "many")]
        assert news.rows["8"] == SEEN
        blank = {"charge": "N/A", "start_count": "-", "remains": None}
        assert decode_news(answer({"7": ROW | blank}), ["7"], [0]).unread == []
        assert decode_news(answer({"7": ROW | {"charge": "NaN"}}), ["7"], [0]).unread == [
            Unread("charge", "NaN")
        ]

    def test_a_float_is_read_from_its_digits(self) -> None:
        text = "0.10000000000000000555111512312578270211815834045410156"
        assert observed(f'{{"status": "Partial", "charge": {text}}}').charge == Decimal(text)
        assert observed('{"status": "Partial", "charge": 0.1}').charge == Decimal("0.1")
        assert observed('{"status": "Partial", "charge": 2}').charge == Decimal(2)

    def test_a_missing_charge_is_not_nothing(self) -> None:
        assert observed('{"status": "Partial", "remains": "1"}').charge is None
        assert observed('{"status": "Partial", "charge": "0"}').charge == 0

    def test_large_counts_lose_no_digit(self) -> None:
        assert observed('{"status": "Partial", "remains": 9007199254740993}').remains == 2**53 + 1
        assert observed('{"status": "Partial", "remains": 9007199254740993.0}').remains == 2**53 + 1
        least = observed('{"status": "Partial", "remains": -9223372036854775807}')
        assert least.remains == 1 - 2**63
        assert observed('{"status": "Partial", "remains": -9223372036854775808}').remains is None

    def test_remains_are_kept_as_sent(self) -> None:
        assert observed('{"status": "Completed", "remains": "-12"}').remains == -12
        assert observed('{"status": "Partial", "remains": 0}').remains == 0

    def test_start_counter(self) -> None:
        assert observed('{"status": "Partial", "start_counter": "12"}').start_count == 12
        assert (
            observed('{"status": "Partial", "start_count": 0, "start_counter": 5}').start_count == 0
        )
        assert (
            observed('{"status": "Partial", "start_count": "", "start_counter": 5}').start_count
            == 5
        )


class TestWords:
    def test_an_unknown_word_is_kept_and_means_nothing(self) -> None:
        seen = observed('{"status": "With the night shift", "remains": 5}')
        assert (seen.status, seen.status_text) == (Status.UNKNOWN, "With the night shift")
        assert seen.remains == 5

    def test_numbers_are_kept_and_mean_nothing(self) -> None:
        seen = observed('{"status": 2, "remains": 5}')
        assert (seen.status, seen.status_text) == (Status.UNKNOWN, "2")

    @pytest.mark.parametrize("word", ["In Progress", "inprogress", "in_progress", "active"])
    def test_the_word_is_kept_as_sent(self, word: str) -> None:
        seen = observed(json.dumps(ROW | {"status": word}))
        assert (seen.status, seen.status_text) == (Status.IN_PROGRESS, word)

    def test_texts_are_clipped_and_printable(self) -> None:
        seen = observed(json.dumps({"status": "\x1b[31m\u202ered\n" + "x" * 500, "remains": 1}))
        assert seen.status_text is not None
        assert seen.status_text.startswith("[31m red")
        assert len(seen.status_text) == 200
        assert seen.status_text.isprintable()

    def test_half_a_surrogate_pair_spoils_nothing(self) -> None:
        seen = observed('{"status": "gone \\ud83d", "remains": 1}')
        assert seen.status_text == "gone"

    def test_other_currencies(self) -> None:
        assert observed(json.dumps(ROW | {"currency": "INR"})).currency == "INR"
        assert observed(json.dumps(ROW | {"currency": "Coins"})).currency == "Coins"
        assert observed(json.dumps(ROW | {"currency": None})).currency is None
        assert observed(json.dumps(ROW | {"currency": ""})).currency is None

    def test_a_row_without_a_status_still_counts(self) -> None:
        seen = observed('{"charge": "0.1", "status": null, "remains": "5"}')
        assert (seen.status, seen.status_text, seen.remains) == (Status.UNKNOWN, None, 5)

    def test_an_order_may_be_in_error(self) -> None:
        for status in ("Error", "Fail", "Failed"):
            seen = observed(json.dumps(ROW | {"status": status}))
            assert (seen.status, seen.status_text) == (Status.FAILED, status)

    def test_an_order_may_be_in_error_and_tell_nothing_else(self) -> None:
        row = {"charge": None, "start_count": None, "status": "Error", "remains": None}
        assert observed(json.dumps(row)).status is Status.FAILED

    def test_success_alone_tells_of_the_request_not_of_the_order(self) -> None:
        assert decode_statuses(b'{"7": {"status": "success"}}', ["7"]) == {}
        assert observed('{"status": "success", "remains": 0}').status is Status.COMPLETED
        with pytest.raises(RemoteFault):
            decode_status(b'{"status": "success", "order": 7, "data": {}}', "7")
        body = b'{"status": true, "data": {"status": "Completed"}}'
        assert decode_status(body, "7") == Observation(
            status=Status.COMPLETED, status_text="Completed"
        )

    def test_subscriptions_and_drip_feeds(self) -> None:
        row = '{"status": "Active", "expiry": "", "posts": "10", "orders": ["8", "9"]}'
        assert observed(row) == Observation(status=Status.IN_PROGRESS, status_text="Active")
        row = '{"status": "Completed", "runs": "5", "orders": [1, 2]}'
        assert observed(row) == Observation(status=Status.COMPLETED, status_text="Completed")
        row = '{"status": "Expired", "expiry": "1/2/2026", "posts": 3}'
        assert observed(row) == Observation(status=Status.COMPLETED, status_text="Expired")


class TestBatches:
    @pytest.mark.parametrize(
        "row",
        [
            {"error": "Incorrect order ID"},
            "Incorrect order ID",
            {"errors": ["Incorrect order ID"]},
            {"error": {"message": "Incorrect order ID", "code": 12}},
            {"status": "error", "message": "Incorrect order ID"},
            {"status": {"error": "Incorrect order ID"}},
            {"message": "Incorrect order ID"},
            {"error": True, "message": "Incorrect order ID"},
        ],
    )
    def test_an_unknown_id_spoils_only_its_row(self, row: Any) -> None:
        body = answer({"7": row, "8": ROW})
        assert decode_both(body, ["7", "8"]) == {"7": UNKNOWN, "8": SEEN}

    @pytest.mark.parametrize("row", [None, "", [], {}, 5, True, {"foo": 1}])
    def test_a_row_that_says_nothing_is_not_observed(self, row: Any) -> None:
        assert decode_statuses(answer({"7": row, "8": ROW}), ["7", "8"]) == {"8": SEEN}
        assert decode_statuses(answer({"7": row}), ["7"]) == {}
        with pytest.raises(RemoteFault):
            decode_status(answer({"7": row}), "7")

    def test_an_id_that_is_left_out_is_not_observed(self) -> None:
        assert decode_both(answer({"8": ROW}), ["7", "8"]) == {"8": SEEN}
        assert decode_both(b"{}", ["7", "8"]) == {}

    def test_an_empty_list_is_an_empty_object(self) -> None:
        assert decode_statuses(b"[]", ["7", "8"]) == {}

    def test_ids_that_nobody_asked_for_are_ignored(self) -> None:
        assert decode_both(answer({"8": ROW, "9": ROW}), ["7", "8"]) == {"8": SEEN}
        assert decode_both(answer({"9": ROW}), ["7", "8"]) == {}
        assert decode_statuses(answer([{"order": 9, **ROW}]), ["7", "8"]) == {}

    def test_a_row_is_of_the_id_that_it_stands_under_in_any_order(self) -> None:
        fewer = ROW | {"remains": "5"}
        body = answer({"8": fewer, "7": ROW})
        assert decode_both(body, ["7", "8"]) == {"7": SEEN, "8": replace(SEEN, remains=5)}
        marks = decode_news(body, ["7", "8"], [0, 0]).marks
        again = decode_news(answer({"7": ROW, "8": fewer}), ["7", "8"], [marks["7"], marks["8"]])
        assert (again.old, again.rows) == ([0, 1], {})

    @pytest.mark.parametrize("name", ["order", "order_id"])
    @pytest.mark.parametrize("seven", [7, "7", 7.0])
    def test_a_list_that_names_its_orders(self, name: str, seven: Any) -> None:
        rows = [{name: 8, **ROW}, {name: seven, "error": "Incorrect order ID"}, ROW, "x"]
        assert decode_statuses(answer(rows), ["7", "8"]) == {"7": UNKNOWN, "8": SEEN}

    @pytest.mark.parametrize("body", [[ROW, ROW], ROW, [ROW], ["a", "b"], [{"charge": 1}] * 2])
    def test_rows_are_never_matched_by_their_place(self, body: Any) -> None:
        with pytest.raises(Unmatched):
            decode_statuses(answer(body), ["7", "8"])

    def test_one_row_for_the_one_id_that_was_asked_for_needs_no_name(self) -> None:
        for body in (ROW, [ROW], {"order": 7, **ROW}, [{"order_id": "7", **ROW}], {"7": ROW}):
            assert decode_status(answer(body), "7") == SEEN
        with pytest.raises(RemoteFault) as caught:
            decode_status(answer([ROW, ROW]), "7")
        assert not isinstance(caught.value, Unmatched)

    def test_a_row_under_one_id_that_names_another_says_so(self) -> None:
        other = RowError("the panel's answer for this order names order 9")
        body = answer({"7": {"order": 9, **ROW}, "8": {"order": 8, **ROW}})
        assert decode_both(body, ["7", "8"]) == {"7": other, "8": SEEN}
        assert decode_status(answer({"order": 9, **ROW}), "7") == other
        assert decode_status(answer([{"order": 9, **ROW}]), "7") == other

    @pytest.mark.parametrize("wrap", ["orders", "data", "result", "statuses"])
    def test_what_only_wraps_is_taken_off(self, wrap: str) -> None:
        named = [{"order": 7, **ROW}, {"order": "8", **ROW}]
        for inner in (named, {"7": ROW, "8": ROW}):
            for body in (
                {wrap: inner},
                {"status": "success", wrap: inner},
                {"data": {wrap: inner}},
            ):
                assert decode_statuses(answer(body), ["7", "8"]) == {"7": SEEN, "8": SEEN}
        with pytest.raises(Unmatched):
            decode_statuses(answer({wrap: [ROW, ROW]}), ["7", "8"])
        assert decode_status(answer({"success": True, wrap: ROW}), "7") == SEEN

    def test_two_wrappers_are_one_too_many(self) -> None:
        with pytest.raises(RemoteFault):
            decode_statuses(answer({"data": {"7": ROW}, "orders": {"7": ROW}}), ["7", "8"])

    @pytest.mark.parametrize("before", WARNINGS)
    def test_a_warning_before_the_answer(self, before: str) -> None:
        body = before.encode() + answer({"7": ROW, "8": ROW})
        assert decode_statuses(body, ["7", "8"]) == {"7": SEEN, "8": SEEN}
        cut = before.encode() + b'[\n{"order": 7, "status": "Partial"},\n{"order": 8}'
        with pytest.raises(RemoteFault):
            decode_statuses(cut, ["7", "8"])

    def test_a_page_after_the_answer(self) -> None:
        body = answer({"7": ROW}) + b"\n<!-- Analytics --><script src='https://e.x/a.js'></script>"
        assert decode_status(body, "7") == SEEN
        with pytest.raises(RemoteFault):
            decode_status(answer({"7": ROW}) + b"<script>x = {};</script>", "7")
        with pytest.raises(RemoteFault):
            decode_status(b"<html><p>" + answer({"7": ROW}) + b"</html>", "7")

    def test_unusual_extras_change_nothing(self) -> None:
        body = answer({"7": {**ROW, "link": "x", "service": 5, "message": "", "error": None}})
        assert decode_statuses(body, ["7"]) == {"7": SEEN}

    def test_a_byte_order_mark_and_bytes_that_are_no_text(self) -> None:
        assert decode_statuses(b"\xef\xbb\xbf" + answer({"7": ROW}), ["7"]) == {"7": SEEN}
        body = answer({"7": ROW, "8": {"status": "@"}}).replace(b"@", b"caf\xe9")
        found = decode_statuses(body, ["7", "8"])
        assert found["7"] == SEEN
        assert found["8"] == Observation(status=Status.UNKNOWN, status_text="caf\ufffd")

    def test_a_very_long_number_is_not_kept(self) -> None:
        body = answer({"7": ROW | {"charge": "0." + "1" * 100_000}})
        assert decode_statuses(body, ["7"])["7"].charge is None

    def test_both_ways_agree_on_usual_answers(self) -> None:
        words = ["Pending", "In progress", "Completed", "Partial", "Canceled", "Processing", "Odd"]
        rows: dict[str, Any] = {
            str(n): {
                "charge": [f"0.{n:05}", float(n) / 7, n, None][n % 4],
                "start_count": [str(n), n, float(n)][n % 3],
                "status": words[n % 7],
                "remains": [str(-n), n, None][n % 3],
                "currency": ["USD", "EUR", None, "Coins"][n % 4],
            }
            for n in range(100)
        } | {"200": {"error": "Incorrect order ID"}}
        ids = [*rows, "300"]
        assert list(decode_both(answer(rows), ids)) == list(rows)


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [
            {"error": "Incorrect request"},
            {"errors": "Incorrect request"},
            {"errors": {"order": ["Incorrect request"]}},
            {"error": {"message": "Incorrect request"}},
            {"status": "error", "message": "Incorrect request"},
            {"status": "fail", "msg": "Incorrect request"},
            {"status": False, "data": {"msg": "Incorrect request"}},
            {"success": False, "message": "Incorrect request"},
            [{"error": "Incorrect request"}],
        ],
    )
    def test_an_error_in_any_shape(self, body: Any) -> None:
        for ids in (["7"], ["7", "8"]):
            with pytest.raises(Refused, match=r"^Incorrect request$") as caught:
                decode_statuses(answer(body), ids)
            assert type(caught.value) is Refused

    @pytest.mark.parametrize(
        "body", [{"error": "Invalid API key"}, "Invalid API key", {"message": "Invalid API key"}]
    )
    def test_a_bad_key(self, body: Any) -> None:
        with pytest.raises(BadKey, match=r"^Invalid API key$"):
            decode_statuses(answer(body), ["7", "8"])

    def test_a_rate_limit_in_an_answer(self) -> None:
        with pytest.raises(RateLimited) as caught:
            decode_statuses(b'{"error": "Rate limit exceeded"}', ["7", "8"])
        assert caught.value.retry_after is None
        with pytest.raises(RateLimited) as caught:
            decode_status(b'{"error": "Too many requests", "retry_after": "30"}', "7")
        assert caught.value.retry_after == 30.0

    def test_what_is_about_an_id_refuses_a_batch_but_is_the_row_of_one(self) -> None:
        body = b'{"error": "Incorrect order ID"}'
        with pytest.raises(Refused, match="Incorrect order ID"):
            decode_statuses(body, ["7", "8"])
        assert decode_status(body, "7") == UNKNOWN
        assert decode_statuses(body, ["7"]) == {"7": UNKNOWN}

    def test_rows_beside_an_error_count(self) -> None:
        body = answer({"error": "one id is wrong", "8": ROW})
        assert decode_statuses(body, ["7", "8"]) == {"8": SEEN}

    def test_texts_of_refusals_are_clipped(self) -> None:
        with pytest.raises(Refused) as caught:
            decode_statuses(answer({"error": "no\n" * 1000}), ["7", "8"])
        assert len(str(caught.value)) <= 200
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "an empty answer"),
        (b" \n ", "an empty answer"),
        (b"<!DOCTYPE html><head><title>Just a moment...</title>", "Just a moment..."),
        (b'{"7": {"charge": "0.27', "not JSON"),
        (b"Service unavailable", "Service unavailable"),
        (b'{"7": {"status": "Partial", "charge": NaN}}', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"7":' * 100_000, "nested too deeply"),
        (b"null", "unexpected form"),
        (b"5", "unexpected form"),
        (b'"hello"', "unexpected form"),
        (b'{"message": "hello"}', "without what was asked for; it has message"),
        (b"\xff\xfe\x00", "not JSON"),
    ],
)
def test_what_can_not_be_read(body: bytes, told: str) -> None:
    with pytest.raises(RemoteFault, match=told.replace(".", r"\.")) as caught:
        decode_statuses(body, ["7", "8"])
    assert type(caught.value) is RemoteFault
    assert len(str(caught.value)) < 300


class TestRefillStatuses:
    def test_words(self) -> None:
        body = answer([{"refill": 1, "status": "In progess"}, {"refill": 2, "status": "Odd"}])
        assert decode_refill_statuses(body, ["1", "2"]) == {
            "1": RefillObservation(RefillStatus.IN_PROGRESS, "In progess"),
            "2": RefillObservation(RefillStatus.UNKNOWN, "Odd"),
        }

    def test_failures_nested_or_flat(self) -> None:
        body = answer(
            [
                {"refill": 1, "status": {"error": "Refill not found"}},
                {"refill": "2", "error": "Refill not found"},
                {"refill_id": 3, "status": "Awaiting"},
                {"refill": 4, "status": None},
            ]
        )
        assert decode_refill_statuses(body, ["1", "2", "3", "4", "5"]) == {
            "1": RowError("Refill not found"),
            "2": RowError("Refill not found"),
            "3": RefillObservation(RefillStatus.PENDING, "Awaiting"),
        }

    def test_an_object_keyed_by_ids(self) -> None:
        body = answer({"1": {"status": "Rejected"}, "2": "Completed", "3": "Refill not found"})
        assert decode_refill_statuses(body, ["1", "2", "3"]) == {
            "1": RefillObservation(RefillStatus.REJECTED, "Rejected"),
            "2": RefillObservation(RefillStatus.COMPLETED, "Completed"),
            "3": RowError("Refill not found"),
        }

    def test_rows_without_names(self) -> None:
        body = answer([{"status": "Completed"}, {"status": "Rejected"}])
        with pytest.raises(Unmatched):
            decode_refill_statuses(body, ["1", "2"])

    def test_one(self) -> None:
        seen = RefillObservation(RefillStatus.FAILED, "Fail")
        assert decode_refill_status(b'{"status": "Fail"}', "1") == seen
        assert decode_refill_status(b'{"refill": "1", "status": "Fail"}', "1") == seen
        assert decode_refill_status(b'{"error": "Refill not found"}', "1") == RowError(
            "Refill not found"
        )

    def test_neither_success_nor_error_is_final(self) -> None:
        for word in ("success", "error", "true"):
            seen = decode_refill_status(answer({"status": word}), "1")
            assert seen == RefillObservation(RefillStatus.UNKNOWN, word)

    def test_refusals(self) -> None:
        with pytest.raises(BadKey):
            decode_refill_status(b'{"error": "Invalid API key"}', "1")
        with pytest.raises(Refused, match="nope"):
            decode_refill_status(b'{"status": "error", "message": "nope"}', "1")
        assert decode_refill_status(b'{"refill": 2, "status": "Completed"}', "1") == RowError(
            "the panel's answer for this refill names refill 2"
        )
