"""Alerts about events that happen at a moment and don't last. Pure."""

from watcher.alerts import Alert, AlertKind, Moment


def alert_of(moment: Moment) -> Alert:
    """Return the alert of the moment; its subject identifies it within its kind."""
    subject, text = _subject_and_text(moment)
    return Alert(moment.event, moment.panel, text, subject)


def _subject_and_text(moment: Moment) -> tuple[str, str]:
    words = f": {moment.text}" if moment.text else ""
    order = f"order {moment.order}" + (f" ({moment.reference})" if moment.reference else "")
    if moment.service is not None:
        service = moment.service[1]
        return f"{service}/{moment.number}", _price_list(moment, service)
    if moment.event is AlertKind.RULE_FIRED:
        subject = f"{moment.rule}/{moment.order}/{moment.number}"
        return subject, f"rule {moment.rule!r} fires for {order}: {moment.text}"
    if moment.refill is not None:
        subject = f"{moment.order}/{moment.refill}"
        return subject, f"refill {moment.refill} of {order} was rejected{words}"
    subject = f"{moment.order}/action {moment.number}"
    return subject, f"the panel refused to refill {order}{words}"


def _price_list(moment: Moment, service: str) -> str:
    called = f"service {service} ({moment.name or 'without a name'})"
    if moment.event is AlertKind.PRICE_RISE:
        return f"{called} costs {moment.new} for 1,000; it was {moment.old}"
    return f"{called} is no longer listed"
