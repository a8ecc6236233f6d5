"""The API's calls, each as a value: what to send, and whether it may be sent again. Pure.

Functions are named as the operations of the OpenAPI description, and take its parameters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar, Unpack
from urllib.parse import quote, urlencode

from watcher_client.shapes import (
    ActionAnswer,
    AttentionList,
    ChangeList,
    CheckAnswer,
    CheckList,
    LabelRequest,
    ListChangesQuery,
    ListOrdersQuery,
    OrderDetail,
    OrderList,
    OrderName,
    OrderView,
    PanelList,
    PrincipalView,
    SubmitRequest,
    TrackAnswer,
    TrackItem,
)

# A type checker learns from it what the call is answered with.
Answer = TypeVar("Answer")
_SUBMIT_WAIT = 25.0  # seconds that the daemon waits for a panel before it answers a submission
_ORDER = "/v1/orders/{panel}/{order}"


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Answer]):
    """A request to the API. `path` is as in the OpenAPI description, `names` are what it names.

    `is_repeatable`: sent twice, it does no more than sent once. `wait` is how many seconds the
    daemon may take on purpose.
    """

    method: str
    path: str
    names: Mapping[str, str | int] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    wait: float = 0.0

    @property
    def target(self) -> str:
        """Return path and query as they are sent; ValueError for a name that no path can have."""
        path = self.path.format(**{name: _quoted(name, text) for name, text in self.names.items()})
        given = {name: _plain(value) for name, value in self.query.items() if value is not None}
        return f"{path}?{urlencode(given)}" if given else path


def track(orders: Iterable[TrackItem]) -> Call[TrackAnswer]:
    """Track up to 10,000 orders that were submitted elsewhere."""
    return Call(method="POST", path="/v1/orders", body={"orders": list(orders)})


def submit(idempotency_key: str, **order: Unpack[SubmitRequest]) -> Call[ActionAnswer]:
    """Place an order and track it, once for each key: your own number of the order is a good one.

    Wait for its end with `show_action` if the answer has no `order` yet.
    """
    if not (idempotency_key.isascii() and idempotency_key.isprintable() and idempotency_key):
        raise ValueError("idempotency_key: printable ASCII characters are required")
    _check_names("submit", order, SubmitRequest)
    return Call(
        method="POST",
        path="/v1/submit",
        body={**order},
        headers={"Idempotency-Key": idempotency_key},
        wait=_SUBMIT_WAIT,
    )


def list_orders(**query: Unpack[ListOrdersQuery]) -> Call[OrderList]:
    """List a page of orders, oldest tracked first; `next` is the `cursor` of the next page."""
    _check_names("list_orders", query, ListOrdersQuery)
    return Call(method="GET", path="/v1/orders", query={**query})


def show(panel: str, order: str | int) -> Call[OrderDetail]:
    """Return one order: state, history, refills, actions."""
    return Call(method="GET", path=_ORDER, names=_names(panel, order))


def label(panel: str, order: str | int, **labels: Unpack[LabelRequest]) -> Call[OrderView]:
    """Change the order's reference, customer, tags or note; None removes one."""
    _check_names("label", labels, LabelRequest)
    return Call(method="PATCH", path=_ORDER, names=_names(panel, order), body={**labels})


def untrack(panel: str, order: str | int) -> Call[OrderView]:
    """Forget the order; return its last state."""
    return Call(method="DELETE", path=_ORDER, names=_names(panel, order), is_repeatable=False)


def check(panel: str, order: str | int, *, wait: float = 10.0) -> Call[CheckAnswer]:
    """Check the order with the panel's next request; say what was learnt, or why nothing yet."""
    path = f"{_ORDER}/check"
    return Call(
        method="POST", path=path, names=_names(panel, order), query={"wait": wait}, wait=wait
    )


def check_all(orders: Iterable[OrderName], *, wait: float = 10.0) -> Call[CheckList]:
    """Check up to 1,000 orders with the panels' next requests."""
    body = {"orders": list(orders), "wait": wait}
    return Call(method="POST", path="/v1/checks", body=body, wait=wait)


def list_changes(**query: Unpack[ListChangesQuery]) -> Call[ChangeList]:
    """Return the changes after a cursor, each with its order as it is now."""
    _check_names("list_changes", query, ListChangesQuery)
    return Call(method="GET", path="/v1/changes", query={**query}, wait=query.get("wait", 0))


def refill(panel: str, order: str | int) -> Call[ActionAnswer]:
    """Ask the panel for a refill, once: the call is not repeated once it may have arrived."""
    path = f"{_ORDER}/refill"
    return Call(method="POST", path=path, names=_names(panel, order), is_repeatable=False)


def cancel(panel: str, order: str | int) -> Call[ActionAnswer]:
    """Ask the panel to cancel the order, once: not repeated once it may have arrived."""
    path = f"{_ORDER}/cancel"
    return Call(method="POST", path=path, names=_names(panel, order), is_repeatable=False)


def show_action(id: int) -> Call[ActionAnswer]:  # noqa: A002  the description's name
    """Return one action: what became of a submission, refill or cancel."""
    return Call(method="GET", path="/v1/actions/{id}", names={"id": id})


def list_panels() -> Call[PanelList]:
    """List every panel's health and balance."""
    return Call(method="GET", path="/v1/panels")


def list_attention() -> Call[AttentionList]:
    """List what needs a person, the most urgent first."""
    return Call(method="GET", path="/v1/attention")


def whoami() -> Call[PrincipalView]:
    """Return who sends the request, and what they may do."""
    return Call(method="GET", path="/v1/whoami")


def _names(panel: str, order: str | int) -> dict[str, str | int]:
    return {"panel": panel, "order": order}


def _check_names(call: str, given: Mapping[str, object], shape: type[object]) -> None:
    """Raise TypeError for a name that isn't the API's: the daemon would ignore some of them."""
    for name in given:
        if name not in shape.__annotations__:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}")


def _quoted(name: str, value: str | int) -> str:
    text = str(value)
    if text.strip() in ("", ".", ".."):
        raise ValueError(f"{name}: {text!r} can't be one")
    return quote(text, safe="")


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
