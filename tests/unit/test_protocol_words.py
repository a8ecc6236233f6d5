"""The words of panels: every one that is documented or was met."""

import pytest

from watcher.model import RefillStatus, Status
from watcher.panels.protocol import (
    ErrorKind,
    error_kind,
    is_refill_disabled,
    refill_status_of,
    status_of,
)
from watcher.panels.protocol.words import USUAL_STATUSES


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("Pending|queued|Queued|awaiting|Awaiting", Status.PENDING),
        ("Processing|processing|PROCESSING", Status.PROCESSING),
        ("In progress|In Progress|inprogress|in_progress|IN-PROGRESS", Status.IN_PROGRESS),
        ("running|active|Active|Paused", Status.IN_PROGRESS),
        ("Completed|completed|done|success|Success|finished|Expired", Status.COMPLETED),
        ("Partial|partial", Status.PARTIAL),
        ("Canceled|Cancelled|cancelled", Status.CANCELED),
        ("Refunded", Status.REFUNDED),
        ("Fail|Failed|Error|error", Status.FAILED),
        ("Pendiente|Pendente|Beklemede", Status.PENDING),
        ("Procesando|İşleniyor", Status.PROCESSING),
        ("En curso|Em andamento|В работе", Status.IN_PROGRESS),
        ("Completado|Concluído|Tamamlandı|Выполнен", Status.COMPLETED),
        ("Parcial", Status.PARTIAL),
        ("Cancelado|Отменён|İptal Edildi", Status.CANCELED),
        ("0|1|2|3|4|5|With the night shift||-|complet", Status.UNKNOWN),
    ],
)
def test_order_statuses(words: str, status: Status) -> None:
    for word in words.split("|"):
        assert status_of(word) is status, word


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("Pending|Awaiting", RefillStatus.PENDING),
        ("In progress|In progess|in_progress", RefillStatus.IN_PROGRESS),
        ("Completed", RefillStatus.COMPLETED),
        ("Rejected", RefillStatus.REJECTED),
        ("Fail|Failed", RefillStatus.FAILED),
        ("Canceled|Cancelled", RefillStatus.CANCELED),
        ("2|success|Error|On the way", RefillStatus.UNKNOWN),
    ],
)
def test_refill_statuses(words: str, status: RefillStatus) -> None:
    for word in words.split("|"):
        assert refill_status_of(word) is status, word


def test_the_usual_spellings_mean_what_the_tables_say() -> None:
    assert {word: status_of(word) for word in USUAL_STATUSES} == {
        word: status for word, (status, _) in USUAL_STATUSES.items()
    }
    assert all(word == text for word, (_, text) in USUAL_STATUSES.items())


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ("Invalid API key|invalid key|API key is invalid|error.incorrect_api_key", "bad_key"),
        ("Your API key is disabled|Unauthorized|Unauthenticated.|API key required", "bad_key"),
        ("Rate limit exceeded|Too many requests|Too Many Attempts.|rate_limit", "rate_limit"),
        ("Internal server error|Server error|Request timeout|SQL error: 5", "breakdown"),
        ("Incorrect order ID|Order not found|error.incorrect_order_id", "unknown_id"),
        ("Refill not found", "unknown_id"),
        ("Not enough funds on balance|neworder.error.not_enough_funds", "no_funds"),
        ("neworder.error.link_duplicate", "duplicate_link"),
        (
            "You have active order with this link. Please wait until order being completed.",
            "duplicate_link",
        ),
        ("Refill is disabled for this service|refill disabled", "refill_disabled"),
        ("This service doesn't support refill|refill.error.disabled", "refill_disabled"),
        ("refill was requested less than 24 hours ago", "too_early"),
        ("The order was completed or refill was requested less than 24 hours ago", "too_early"),
        ("Refill days are over", "too_late"),
        ("The refill task is not completed for this order", "refill_running"),
        ("The order is not completed", "not_completed"),
        ("Incorrect request|Incorrect service ID|neworder.error.min_quantity|", "other"),
        ("Invalid keywords|You are not authorized to refill this order|Bad link", "other"),
        ("No refill task for this order|Refill is not available for this order yet", "other"),
        ("Cancel is disabled for this service|The order can not be canceled", "other"),
    ],
)
def test_refusals(texts: str, kind: str) -> None:
    for text in texts.split("|"):
        assert error_kind(text) is ErrorKind(kind), text


def test_only_a_service_wide_refusal_is_remembered_of_a_service() -> None:
    assert is_refill_disabled("Refill is disabled for this service.")
    assert not is_refill_disabled("Refill is disabled for this order")
    assert not is_refill_disabled("Refill days are over")
    assert not is_refill_disabled("Cancel is disabled for this service")
