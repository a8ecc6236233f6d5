"""The words of panels: statuses, refill statuses and refusals."""

import re
from enum import StrEnum

from watcher.model import RefillStatus, Status
from watcher.panels.protocol.values import TEXT_LIMIT

# A paused subscription is in progress: it is open and can go on. An expired one is completed:
# its time is over and nothing more will be delivered. Numbers are in no table: panels number
# their statuses in different orders, so any meaning of theirs would be a guess.
_STATUS_WORDS = {
    Status.PENDING: "pending, queued, in queue, awaiting, waiting",
    Status.PROCESSING: "processing",
    Status.IN_PROGRESS: "in progress, in progess, running, active, paused",
    Status.COMPLETED: "completed, complete, done, success, finished, expired",
    Status.PARTIAL: "partial, partially completed",
    Status.CANCELED: "canceled, cancelled",
    Status.REFUNDED: "refunded",
    Status.FAILED: "fail, failed, error",
}
_FOREIGN_STATUS_WORDS = {
    Status.PENDING: "pendente, pendiente, en attente, beklemede, menunggu, ausstehend,"
    " в ожидании, قيد الانتظار",
    Status.PROCESSING: "processando, procesando, işleniyor, diproses, в обработке",
    Status.IN_PROGRESS: "em andamento, em progresso, en progreso, en curso, en cours,"
    " devam ediyor, в работе, в процессе, قيد التنفيذ",
    Status.COMPLETED: "concluído, concluido, completado, terminé, tamamlandı, selesai,"
    " abgeschlossen, выполнен, выполнено, завершен, завершён, مكتمل",
    Status.PARTIAL: "parcial, partiel, kısmi, частично, частично выполнен, جزئي",
    Status.CANCELED: "cancelado, annulé, iptal edildi, dibatalkan, storniert,"
    " отменен, отменён, отменено, ملغي",
    Status.REFUNDED: "reembolsado, remboursé, iade edildi",
}
_REFILL_WORDS = {
    RefillStatus.PENDING: "pending, awaiting, queued, waiting",
    RefillStatus.IN_PROGRESS: "in progress, in progess, processing",
    RefillStatus.COMPLETED: "completed, complete, done, finished",
    RefillStatus.REJECTED: "rejected",
    RefillStatus.FAILED: "fail, failed",
    RefillStatus.CANCELED: "canceled, cancelled",
}

# These words also say whether the request itself went well; alone, they tell of no order.
FAILURE_WORDS = frozenset({"error", "fail", "failed", "false"})
SUCCESS_WORDS = frozenset({"success", "successful", "ok", "true"})

_SEPARATORS = re.compile(r"[\s_\u0307-]+")  # and the dot that folding leaves of a Turkish İ


def fold(text: str) -> str:
    """A word without its case and separators."""
    return _SEPARATORS.sub("", text[:TEXT_LIMIT].casefold())


_STATUSES = {
    fold(word): status
    for table in (_STATUS_WORDS, _FOREIGN_STATUS_WORDS)
    for status, words in table.items()
    for word in words.split(", ")
}
_REFILL_STATUSES = {
    fold(word): status for status, words in _REFILL_WORDS.items() for word in words.split(", ")
}


def status_of(text: str) -> Status:
    """What a panel's word for an order's status means."""
    return _STATUSES.get(fold(text), Status.UNKNOWN)


def refill_status_of(text: str) -> RefillStatus:
    """What a panel's word for a refill's status means."""
    return _REFILL_STATUSES.get(fold(text), RefillStatus.UNKNOWN)


def _spellings(words: str) -> list[str]:
    """The usual ways to write words that tell of an order or a refill only."""
    alone = [word for word in words.split(", ") if word not in FAILURE_WORDS | SUCCESS_WORDS]
    titles = [word.capitalize() for word in alone] + [word.title() for word in alone]
    return [*alone, *titles, *(word.replace(" ", "_") for word in alone)]


# At one look-up, and each with one text that a million orders can share.
USUAL_STATUSES = {
    spelling: (status, spelling)
    for status, words in _STATUS_WORDS.items()
    for spelling in _spellings(words)
}
USUAL_REFILL_STATUSES = {
    spelling: (status, spelling)
    for status, words in _REFILL_WORDS.items()
    for spelling in _spellings(words)
}


class ErrorKind(StrEnum):
    """What a panel's refusal is about."""

    BAD_KEY = "bad_key"
    RATE_LIMIT = "rate_limit"
    BREAKDOWN = "breakdown"
    UNKNOWN_ID = "unknown_id"
    NO_FUNDS = "no_funds"
    DUPLICATE_LINK = "duplicate_link"
    REFILL_DISABLED = "refill_disabled"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    REFILL_RUNNING = "refill_running"
    NOT_COMPLETED = "not_completed"
    OTHER = "other"


# Refusals of one order or refill; in an answer about one id they are that id's row.
ABOUT_AN_ID = frozenset(
    {
        ErrorKind.UNKNOWN_ID,
        ErrorKind.REFILL_DISABLED,
        ErrorKind.TOO_EARLY,
        ErrorKind.TOO_LATE,
        ErrorKind.REFILL_RUNNING,
        ErrorKind.NOT_COMPLETED,
    }
)

_BAD = r"(?:invalid|incorrect|wrong|bad|unknown|missing|inactive|expired|disabled|not found)"
# The first that is found counts; codes such as "neworder.error.link_duplicate" are read as words.
_KINDS = (
    (
        ErrorKind.BAD_KEY,
        rf"\b{_BAD} (?:(?:api|access|user|auth|your|the) ){{0,3}}(?:key|token)\b"
        rf"|\b(?:api|access|user) ?(?:key|token) (?:\w+ ){{0,3}}{_BAD}\b|\bkey is {_BAD}\b"
        r"|\b(?:key|token) (?:is )?(?:not valid|does not exist|required)\b"
        r"|^unauthori[sz]ed(?: (?:access|request|user))?$|^unauthenticated$",
    ),
    (
        ErrorKind.RATE_LIMIT,
        r"\brate ?limit|\btoo many (?:requests|attempts|calls|connections)\b"
        r"|\brequests? limit (?:exceeded|reached)|\brequests per (?:second|minute|hour)\b",
    ),
    (
        ErrorKind.BREAKDOWN,
        r"\b(?:internal|server|database|sql|gateway) error\b"
        r"|\b(?:timed out|request timeout|gateway timeout|bad gateway)\b",
    ),
    (
        ErrorKind.REFILL_DISABLED,
        r"\brefill (?:\w+ ){0,4}disabled\b(?! for this order)"
        r"|\brefill (?:\w+ ){0,3}not (?:available|supported|allowed) (?:for|by|on) this service\b"
        r"|\bservice (?:\w+ ){0,2}not (?:support|have|allow)(?: a)? refill|^no refill$",
    ),
    (ErrorKind.TOO_EARLY, r"\bless than \d+ (?:hour|day|minute)s? ago\b|\btoo early\b"),
    (
        ErrorKind.TOO_LATE,
        r"\brefill (?:error )?(?:days|period|time|window) (?:\w+ )?(?:over|expired|ended|passed)\b",
    ),
    (
        ErrorKind.REFILL_RUNNING,
        r"\brefill (?:\w+ ){0,2}not finished\b|\brefill task is not completed\b"
        r"|\brefill (?:\w+ ){0,3}already (?:in progress|running|requested|exists|pending)\b",
    ),
    (
        ErrorKind.NOT_COMPLETED,
        r"\border (?:\w+ ){0,2}not (?:yet )?(?:been )?completed\b|\berror not completed$",
    ),
    (ErrorKind.NO_FUNDS, r"\b(?:not enough|insufficient) (?:funds|balance|money|credit)\b"),
    (
        ErrorKind.DUPLICATE_LINK,
        r"\bactive order with this link\b|\blink duplicate\b|\bduplicate link\b",
    ),
    (
        ErrorKind.UNKNOWN_ID,
        r"\b(?:incorrect|invalid|wrong|unknown) (?:order|refill)s?(?: ids?)?$"
        r"|\b(?:order|refill)s?(?: ids?)? (?:was |is |were |error )?(?:not found"
        r"|(?:does )?not exist|incorrect|invalid)\b",
    ),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_NOT_LETTERS = re.compile(r"[\W_]+")


def error_kind(text: str) -> ErrorKind:
    """What a refusal is about, by its words or its code."""
    plain = _NOT_LETTERS.sub(" ", text[:TEXT_LIMIT].casefold().replace("n't", " not")).strip()
    for kind, pattern in _PATTERNS:
        if pattern.search(plain):
            return kind
    return ErrorKind.OTHER


def is_about_an_id(text: str) -> bool:
    """Whether a refusal is known to be about one order or refill."""
    return error_kind(text) in ABOUT_AN_ID


def is_refill_disabled(text: str) -> bool:
    """Whether a refusal means that its service refuses every refill."""
    return error_kind(text) is ErrorKind.REFILL_DISABLED
