"""Refusals, in the words and the codes that panels use."""

from enum import Enum


class Refusal(Enum):
    """A refusal: its usual text, and its code at panels that answer with codes."""

    KEY = ("Invalid API key", "error.invalid_api_key")
    REQUEST = ("Incorrect request", "error.incorrect_request")
    RATE = ("Rate limit exceeded", "error.rate_limit")
    SERVICE = ("Incorrect service ID", "error.incorrect_service_id")
    ORDER = ("Incorrect order ID", "error.incorrect_order_id")
    LINK = ("Bad link", "neworder.error.link")
    QUANTITY = ("Incorrect quantity", "neworder.error.quantity")
    LEAST = ("Quantity less than minimal", "neworder.error.min_quantity")
    MOST = ("Quantity more than maximum", "neworder.error.max_quantity")
    PARAMETER = ("Incorrect", "neworder.error.parameter")
    FUNDS = ("Not enough funds on balance", "neworder.error.not_enough_funds")
    DUPLICATE = (
        "You have active order with this link. Please wait until order being completed.",
        "neworder.error.link_duplicate",
    )
    REFILL_DISABLED = ("Refill is disabled for this service", "refill.error.disabled")
    NOT_COMPLETED = ("The order is not completed", "refill.error.not_completed")
    REFILL_OVER = ("Refill days are over", "refill.error.days_are_over")
    REFILL_RECENT = ("refill was requested less than 24 hours ago", "refill.error.too_early")
    REFILL_RUNNING = (
        "The refill task is not completed for this order",
        "refill.error.not_finished",
    )
    REFILL_UNKNOWN = ("Refill not found", "refill.error.not_found")
    CANCEL_DISABLED = ("Cancel is disabled for this service", "cancel.error.disabled")
    CANCEL_FINISHED = ("The order can not be canceled", "cancel.error.not_available")
    CANCEL_RUNNING = ("Cancel was already requested", "cancel.error.already_requested")

    def __init__(self, text: str, code: str) -> None:
        self.text = text
        self.code = code


class RefusedAnswer(Exception):
    """The request is refused."""

    def __init__(self, refusal: Refusal, detail: object = "", *, http: int = 200) -> None:
        self.refusal = refusal
        self.http = http
        self.text = f"{refusal.text} {detail}".rstrip()
        super().__init__(self.text)
