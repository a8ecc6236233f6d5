"""What happened and does not last, and how people are told of it: pure."""

import msgspec

from watcher.telling.notices import Event, Trouble


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `number` is that of its row, `text` what the panel or rule said.

    `rule` is the one that fired, or that asked for a refill which was refused. `service` (panel,
    id) names the one whose entry in the price list has changed, `name` is what it is called.
    """

    event: Event
    panel: str
    at: float
    number: int
    text: str | None = None
    order: str | None = None
    refill: str | None = None
    rule: str | None = None
    service: tuple[str, str] | None = None
    name: str = ""
    old: str | None = None
    new: str | None = None

    @property
    def trouble(self) -> Trouble:
        """Return what people are told."""
        subject, text = self._told()
        return Trouble(self.event, self.panel, text, subject)

    def _told(self) -> tuple[str, str]:
        words = f": {self.text}" if self.text else ""
        if self.service is not None:
            return f"{self.service[1]}/{self.number}", self._price_list(self.service[1])
        if self.event is Event.RULE_FIRED:
            subject = f"{self.rule}/{self.order}/{self.number}"
            return subject, f"rule {self.rule!r} fires for order {self.order}: {self.text}"
        if self.refill is not None:
            subject = f"{self.order}/{self.refill}"
            return subject, f"refill {self.refill} of order {self.order} was rejected{words}"
        subject = f"{self.order}/action {self.number}"
        return subject, f"the panel refused to refill order {self.order}{words}"

    def _price_list(self, service: str) -> str:
        called = f"service {service} ({self.name or 'without a name'})"
        if self.event is Event.PRICE_RISE:
            return f"{called} costs {self.new} for 1,000; it was {self.old}"
        return f"{called} is no longer listed"
