"""The words of panels: statuses, refill statuses and refusals."""

import re
from enum import StrEnum

from watcher.model import RefillStatus, Status
from watcher.panels.protocol.values import TEXT_LIMIT

# A paused subscription is in progress: it is open and can resume. An expired one is completed: its
# time is over and nothing more will be delivered. The tables have no numbers: panels number their
# statuses differently, so any meaning would be a guess.
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

# These words also say whether the request itself succeeded; alone, they say nothing of an order.
FAILURE_WORDS = frozenset({"error", "fail", "failed", "false"})
SUCCESS_WORDS = frozenset({"success", "successful", "ok", "true"})

# What panels answer in place of an id.
_OTHER_WORDS = """true false yes no on off null none nil undefined nan inf infinity empty void
accepted requested received submitted created placed added sent queued scheduled started approved
confirmed registered canceling cancelling refilling refilled refill cancel order orders service
status message data result id soon later wait now today thanks thank you please again already
unavailable denied declined rejected refused forbidden unauthorized unauthorised unauthenticated
blocked banned suspended limited maintenance offline timeout duplicate duplicated missing required
insufficient exceeded closed stopped ended unknown test demo todo perhaps maybe possible impossible
berhasil sukses gagal sucesso exito succes erfolg basarili thanhcong erro erreur fehler fallo falha
fallido echec hata basarisiz thatbai oui non ja nein si sim evet tak da ya""".split()
_ERROR_WORDS = frozenset(
    """error errors err fail failed failure invalid incorrect wrong bad exception fault notfound
not denied forbidden missing disabled insufficient exceeded unauthorized""".split()
)

_SEPARATORS = re.compile(r"[\s_\u0307-]+")  # and the dot that folding leaves of a Turkish İ


def fold(text: str) -> str:
    """Return a word without case and separators."""
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


_WORDS = (
    frozenset(map(fold, _OTHER_WORDS))
    | FAILURE_WORDS
    | SUCCESS_WORDS
    | _ERROR_WORDS
    | _STATUSES.keys()
    | _REFILL_STATUSES.keys()
)
_PARTS = re.compile(r"[_.:-]+")


def is_word(text: str) -> bool:
    """Return whether a text is a word or an error code of panels, and so not an id."""
    if fold(text) in _WORDS or not any(character.isalnum() for character in text):
        return True
    parts = _PARTS.split(text.casefold())
    is_code = any(part.rstrip("0123456789") in _ERROR_WORDS for part in parts)
    return is_code or _WORDS.issuperset(parts)


# Words that say that a panel accepted a request.
_TAKEN = SUCCESS_WORDS | frozenset(
    """yes accepted done requested pending queued inqueue awaiting waiting processing inprogress
submitted created received sent scheduled started approved confirmed placed registered""".split()
)
_CANCELED = frozenset("canceled cancelled canceling cancelling".split())
_GOOD_NEWS = re.compile(
    r"\b(?:success\w*|succeeded|accepted|requested|received|submitted|sent|queued|scheduled|started"
    r"|created|placed|registered|approved|confirmed|in (?:the )?queue|ok|done"
    r"|(?:will|going to|has been|is being) (?:be |been )?(?:soon )?\w+ed)\b"
)
_BAD_NEWS = re.compile(
    r"\b(?:not|cannot|can ?t|unable|fail\w*|error\w*|denied|declined|reject\w*|refus\w*|invalid"
    r"|incorrect|impossible|forbidden|unsuccessful\w*|disabled|unavailable|insufficient|never)\b"
)
_DOUBTFUL = re.compile(
    r"\b(?:no|nothing|too|must|only|again|already|wait|before|limit\w*|expired|missing|unknown"
    r"|without|blocked|wrong|if|unless|less|more|minimum|maximum|than)\b"
)


def is_taken(text: str, *, cancel: bool = False) -> bool:
    """Return whether a word means that the request was accepted."""
    folded = fold(text)
    return folded in _TAKEN or (cancel and folded in _CANCELED)


def is_good_news(text: str) -> bool:
    """Return whether a sentence clearly says that the request was accepted."""
    plain = _plain(text)
    return bool(_GOOD_NEWS.search(plain)) and not (
        _BAD_NEWS.search(plain) or _DOUBTFUL.search(plain)
    )


def is_bad_news(text: str) -> bool:
    """Return whether a sentence contradicts a word of success beside it."""
    return bool(_BAD_NEWS.search(_plain(text))) or error_kind(text) is not ErrorKind.OTHER


def status_of(text: str) -> Status:
    """Return the status that a panel's word means."""
    return _STATUSES.get(fold(text), Status.UNKNOWN)


def refill_status_of(text: str) -> RefillStatus:
    """Return the refill's status that a panel's word means."""
    return _REFILL_STATUSES.get(fold(text), RefillStatus.UNKNOWN)


def _spellings(words: str) -> list[str]:
    """Return the usual spellings of words that tell only of an order, not of the request."""
    alone = [word for word in words.split(", ") if word not in FAILURE_WORDS | SUCCESS_WORDS]
    titles = [word.capitalize() for word in alone] + [word.title() for word in alone]
    return [*alone, *titles, *(word.replace(" ", "_") for word in alone)]


# Found in one look-up, with one text that a million orders share.
USUAL_STATUSES = {
    spelling: (status, spelling)
    for status, words in _STATUS_WORDS.items()
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


# Refusals of one order or refill; in an answer about one id they are its row.
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
# The first match counts; codes such as "neworder.error.link_duplicate" are read as words.
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
_SENTENCE_AND_CODE = re.compile(r"(.+) \((\S+)\)")


def error_kind(text: str) -> ErrorKind:
    """Return what a refusal is about, by its words or its code."""
    found = _SENTENCE_AND_CODE.fullmatch(text[:TEXT_LIMIT])
    for part in (text, *(found.groups() if found else ())):
        plain = _plain(part)
        for kind, pattern in _PATTERNS:
            if pattern.search(plain):
                return kind
    return ErrorKind.OTHER


def is_about_an_id(text: str) -> bool:
    """Return whether a refusal is known to be about one order or refill."""
    return error_kind(text) in ABOUT_AN_ID


def _plain(text: str) -> str:
    """Return a sentence's words in lower case, with one space between them."""
    folded = text[:TEXT_LIMIT].casefold().replace("\u2019", "'").replace("n't", " not")
    return _NOT_LETTERS.sub(" ", folded).strip()


def is_refill_disabled(text: str) -> bool:
    """Return whether a refusal means that its service refuses every refill."""
    return error_kind(text) is ErrorKind.REFILL_DISABLED
