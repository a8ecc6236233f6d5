"""Named deviations of real panels from the documented protocol."""

from enum import StrEnum
from typing import Self


class Trait(StrEnum):
    """One deviation. If two conflict, the one that was switched on last applies."""

    description: str

    def __new__(cls, name: str, description: str) -> Self:
        trait = str.__new__(cls, name)
        trait._value_ = name
        trait.description = description
        return trait

    # Requirements on requests; nothing is carried out without them.
    WANTS_JSON = "wants_json", "bodies have to be JSON; a form is answered as if it were empty"
    WANTS_USER_AGENT = "wants_user_agent", "a page with HTTP 403 for all but browsers' User-Agents"
    WANTS_HEADER = "wants_header", "requests have to have a header X-Panel-Token"
    WANTS_FIELD = "wants_field", "requests have to have a field source"
    REDIRECTS_SLASH = "redirects_slash", "HTTP 301 to the same URL with a slash at its end"

    # Transport, nothing is carried out.
    RATE_LIMITED = "rate_limited", "every request is refused as one too many"
    HTML_200 = "html_200", "a browser challenge page with HTTP 200 in place of the answer"
    HTML_BLOCKED = "html_blocked", "a page with HTTP 403 saying that the address is blocked"
    HTML_503 = "html_503", "a maintenance page with HTTP 503"
    CLOSE_BEFORE = "close_before", "the connection is closed, nothing is carried out"
    RESET = "reset", "the connection is reset amid the request, nothing is carried out"
    STALL_BEFORE = "stall_before", "waits (seconds), then carries out and answers"

    # Transport, the request is carried out first.
    CLOSE_AFTER = "close_after", "carries out, then closes the connection without an answer"
    HTML_504_AFTER = "html_504_after", "carries out, then answers a gateway timeout page"
    LIMIT_429_AFTER = "limit_429_after", "carries out, then answers with HTTP 429"
    EMPTY_BODY = "empty_body", "carries out, then answers HTTP 200 with nothing in it"
    CUT_ANSWER = "cut_answer", "carries out, then closes the connection amid the answer"
    BROKEN_JSON = "broken_json", "carries out, then answers half of the JSON as if it were whole"
    WRONG_TYPES = "wrong_types", "carries out, then answers with a list in place of each value"
    HUGE_ANSWER = "huge_answer", "answers after many bytes of blanks (how many)"
    ENDLESS_ANSWER = "endless_answer", "an answer that never ends"
    STALL = "stall", "carries out, then waits before it answers (seconds)"

    # How a refusal, an acceptance or a rate limit is sent.
    ERRORS_400 = "errors_400", "errors leave with HTTP 400"
    ERRORS_401 = "errors_401", "errors leave with HTTP 401"
    ERRORS_405 = "errors_405", "errors leave with HTTP 405"
    ERRORS_422 = "errors_422", "errors leave with HTTP 422"
    ERRORS_429 = "errors_429", "errors leave with HTTP 429"
    ERRORS_500 = "errors_500", "errors leave with HTTP 500"
    ACCEPTED_201 = "accepted_201", "accepted orders and refills leave with HTTP 201"
    RETRY_AFTER_SECONDS = "retry_after_seconds", "a rate limit tells the seconds to wait"
    RETRY_AFTER_DATE = "retry_after_date", "a rate limit tells the date to wait for"
    RATE_LIMIT_IN_200 = "rate_limit_in_200", "a rate limit is an error with HTTP 200, not 429"
    JSON_AS_HTML = "json_as_html", "answers are JSON, but their content type is text/html"
    ERROR_CODES = "error_codes", "errors are codes such as neworder.error.not_enough_funds"
    ONCE_A_LINK = "once_a_link", "a link with an active order takes no other"

    # Types; the documented form is numbers as strings.
    COUNTS_AS_INTS = "counts_as_ints", "start_count and remains are integers"
    NUMBERS_AS_FLOATS = "numbers_as_floats", "charge, start_count and remains are floats"
    NULL_CHARGE = "null_charge", "charge is null"
    EMPTY_CHARGE = "empty_charge", "charge is an empty string"
    NULL_START_COUNT = "null_start_count", "start_count is null"
    EMPTY_START_COUNT = "empty_start_count", "start_count is an empty string"
    NULL_REMAINS = "null_remains", "remains is null"
    EMPTY_REMAINS = "empty_remains", "remains is an empty string"
    START_COUNTER = "start_counter", "start_count is called start_counter"
    NEGATIVE_REMAINS = "negative_remains", "completed orders got more: remains is below zero"
    REMAINS_ABOVE_QUANTITY = "remains_above_quantity", "remains of open orders is too high"
    PARTIAL_WITHOUT_REMAINS = "partial_without_remains", "partial orders have remains 0"
    STRING_IDS = "string_ids", "ids are strings"
    ORDER_ID = "order_id", "order is called order_id"
    OTHER_CURRENCY = "other_currency", "the currency is INR"

    # Words of status.
    STATUS_LOWER_CASE = "status_lower_case", "in progress, completed"
    STATUS_SYNONYMS = "status_synonyms", "queued, running, in_progress, done, Cancelled, Refunded"
    STATUS_NUMBERS = "status_numbers", "0 pending, 1 in progress, 2 completed … 5 processing"
    STATUS_LANGUAGE = "status_language", "Pendiente, En curso, Completado"
    STATUS_SUBSCRIPTION = "status_subscription", "Paused, Active, Expired for ordinary orders"
    STATUS_UNKNOWN = "status_unknown", "orders in progress have a word that nobody knows"

    # Batches; the documented form is an object with an error object for an unknown id.
    UNKNOWN_AS_STRING = "unknown_as_string", "an unknown id comes as a bare string"
    UNKNOWN_LEFT_OUT = "unknown_left_out", "an unknown id is left out"
    ALL_UNKNOWN_400 = "all_unknown_400", "a batch of unknown ids alone is an error with HTTP 400"
    BAD_ID_FAILS_BATCH = "bad_id_fails_batch", "one unknown id fails the whole batch"
    BATCH_CUT = "batch_cut", "ids above the batch limit are ignored, not refused"
    LIST_WITH_IDS = "list_with_ids", "statuses are a list whose rows name their order"
    LIST_WITHOUT_IDS = "list_without_ids", "statuses are a list in the order of the ids"
    EMPTY_LIST = "empty_list", "an object with nothing in it comes as an empty list"

    # Refills and cancels; the documented forms are nested failures and cancels as 1.
    REFILL_FLAT_FAILURE = "refill_flat_failure", "a failed refill has its error beside the order"
    REFILL_MISSPELT = "refill_misspelt", "a refill is 'In progess'"
    REFILL_OTHER_WORDS = "refill_other_words", "a refill is Awaiting, Fail, Canceled"
    REFILL_PROMISED = "refill_promised", "services with refill: true refuse it as disabled"
    CANCEL_STRING = "cancel_string", 'a cancel is accepted as "1"'
    CANCEL_TRUE = "cancel_true", "a cancel is accepted as true"
    CANCEL_ID = "cancel_id", "a cancel is accepted as an id"
    CANCEL_STATUS = "cancel_status", 'a cancel is accepted as {"status": "success"}'
    CANCEL_MESSAGE = "cancel_message", 'a cancel is accepted as {"message": …}'
    CANCEL_OBJECT = "cancel_object", "a cancel of one order is an object, not a list of one"

    # The price list.
    DESCRIPTION = "description", "services have description in place of desc"
    DRIPFEED = "dripfeed", "services have dripfeed"
    AVERAGE_TIME = "average_time", "services have average_time"
    NUMERIC_PRICES = "numeric_prices", "rate, min and max are numbers"
    WRAPPED_IN_SERVICES = "wrapped_in_services", "the price list is wrapped in services"
    WRAPPED_IN_DATA = "wrapped_in_data", "the price list is wrapped in data"
    HOSTILE_TEXT = "hostile_text", "names and categories of services hold markup and code"
    EMPTY_FOR_BAD_KEY = "empty_for_bad_key", "a wrong key gets an empty price list"


# Traits of transport, which garble the request or its answer as a whole.
_ALL = tuple(Trait)
FAULTS = frozenset(_ALL[_ALL.index(Trait.RATE_LIMITED) : _ALL.index(Trait.STALL) + 1])

# Default amounts: seconds or bytes.
AMOUNTS = {
    Trait.RATE_LIMITED: 30.0,
    Trait.STALL_BEFORE: 30.0,
    Trait.STALL: 30.0,
    Trait.HUGE_ANSWER: 64.0 * 1024 * 1024,
}
