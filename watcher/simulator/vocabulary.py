"""Panels' words for the documented statuses."""

from collections.abc import Mapping

from watcher.simulator.sim_orders import (
    CANCELED,
    COMPLETED,
    IN_PROGRESS,
    PARTIAL,
    PENDING,
    PROCESSING,
)
from watcher.simulator.sim_refills import REJECTED
from watcher.simulator.switches import Shown
from watcher.simulator.traits import Trait

Words = Mapping[str, tuple[object, ...]]

DOCUMENTED = (PENDING, PROCESSING, IN_PROGRESS, COMPLETED, PARTIAL, CANCELED)

# If a trait has several words for a status, the order's id selects one.
ORDER_WORDS: Mapping[Trait, Words] = {
    Trait.STATUS_LOWER_CASE: {word: (word.lower(),) for word in DOCUMENTED},
    Trait.STATUS_SYNONYMS: {
        PENDING: ("queued", "awaiting"),
        PROCESSING: ("running",),
        IN_PROGRESS: ("In Progress", "inprogress", "in_progress", "active"),
        COMPLETED: ("done", "success", "finished"),
        PARTIAL: ("partial",),
        CANCELED: ("Cancelled", "Refunded", "Fail", "Failed", "Error"),
    },
    Trait.STATUS_NUMBERS: {
        word: (number,)
        for number, word in enumerate(
            (PENDING, IN_PROGRESS, COMPLETED, PARTIAL, CANCELED, PROCESSING)
        )
    },
    Trait.STATUS_LANGUAGE: {
        PENDING: ("Pendiente",),
        PROCESSING: ("Procesando",),
        IN_PROGRESS: ("En curso",),
        COMPLETED: ("Completado",),
        PARTIAL: ("Parcial",),
        CANCELED: ("Cancelado",),
    },
    Trait.STATUS_SUBSCRIPTION: {
        PENDING: ("Paused",),
        IN_PROGRESS: ("Active",),
        CANCELED: ("Expired",),
    },
    Trait.STATUS_UNKNOWN: {IN_PROGRESS: ("With the night shift",)},
}

REFILL_WORDS: Mapping[Trait, Words] = {
    Trait.REFILL_MISSPELT: {IN_PROGRESS: ("In progess",)},
    Trait.REFILL_OTHER_WORDS: {PENDING: ("Awaiting",), REJECTED: ("Fail", "Canceled")},
}


def spoken(word: object, number: int, shown: Shown, words: Mapping[Trait, Words]) -> object:
    """Return the panel's word for a documented status; `number` is the order's or refill's id."""
    said = word
    for trait in shown:
        choice = words.get(trait, {}).get(str(word))
        said = choice[number % len(choice)] if choice else said
    return said
