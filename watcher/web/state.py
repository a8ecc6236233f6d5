"""The API's calls about actions, panels, price lists and rules."""

from aiohttp import web

from watcher.cadence import lesson
from watcher.errors import NotFound
from watcher.model import ActionState
from watcher.rules import Rule
from watcher.station import Station
from watcher.store import StoredService
from watcher.web.backend import (
    CURSOR,
    LIMIT,
    PANEL,
    TEXT,
    Backend,
    Param,
    Route,
    action_id,
    one_of,
    page_of,
    read_body,
)
from watcher.web.shapes import (
    ActionAnswer,
    ActionList,
    ActionView,
    Explanation,
    FaultAnswer,
    PanelAnswer,
    PanelFault,
    PanelList,
    PanelView,
    ResolveRequest,
    RuleList,
    RuleView,
    ServiceList,
    ServiceView,
)
from watcher.web.views import (
    action_view,
    decision_view,
    listed_action,
    moment,
    moment_or_none,
    money,
    service_view,
)

_AT_ONCE = 100  # actions that are read at once
QUANTITIES = (100, 1000, 10_000)  # for which the usual duration is told


async def list_actions(backend: Backend, request: web.Request) -> tuple[int, ActionList]:
    limit, after = page_of(request)
    state, panel = one_of(request, "state", ActionState), request.query.get("panel") or None
    views: list[ActionView] = []
    next_id = after or None
    while len(views) < limit:  # a few at a time: each may have 64 KB of parameters
        some, next_id = await backend.store.actions.page(
            state=state, panel=panel, limit=min(_AT_ONCE, limit - len(views)), after=next_id
        )
        views += [listed_action(action) for action in some]
        if next_id is None:
            break
    return 200, ActionList(actions=views, next=None if next_id is None else str(next_id))


async def show_action(backend: Backend, request: web.Request) -> tuple[int, ActionAnswer]:
    number = action_id(request)
    action = await backend.store.actions.get(number)
    if action is None:
        raise NotFound(f"there is no action {number}")
    order = backend.book.order(action.panel, action.order or "")
    return 200, ActionAnswer(action_view(action), backend.view(order) if order else None)


async def resolve(backend: Backend, request: web.Request) -> tuple[int, ActionAnswer]:
    body = await read_body(request, ResolveRequest)
    result = None if body.result is None else str(body.result)
    settled = await backend.intake.resolve(action_id(request), ActionState(body.state), result)
    action, order = settled
    return 200, ActionAnswer(action_view(action), backend.view(order) if order else None)


async def withdraw(backend: Backend, request: web.Request) -> tuple[int, ActionAnswer]:
    action = await backend.intake.take_back(action_id(request))
    return 200, ActionAnswer(action_view(action))


async def list_panels(backend: Backend, request: web.Request) -> tuple[int, PanelList]:
    return 200, PanelList(panel_views(backend))


async def retry(backend: Backend, request: web.Request) -> tuple[int, PanelAnswer]:
    panel = request.match_info["panel"]
    backend.intake.check_panel(panel)
    station = backend.stations[panel]
    station.retry()
    return 202, PanelAnswer(_panel_view(backend, station))


async def list_services(backend: Backend, request: web.Request) -> tuple[int, ServiceList]:
    panel = request.match_info["panel"]
    backend.intake.check_panel(panel)
    stored = await backend.store.services.of_panel(panel)
    stored.sort(key=lambda row: (len(row.service.id), row.service.id))  # 2 before 10
    return 200, ServiceList([_service_view(backend, row) for row in stored])


async def list_rules(backend: Backend, request: web.Request) -> tuple[int, RuleList]:
    return 200, RuleList(rule_views(backend))


async def explain(backend: Backend, request: web.Request) -> tuple[int, Explanation]:
    panel, order_id = request.query.get("panel", ""), request.query.get("order", "")
    order = await backend.intake.order(panel, order_id)
    decisions = backend.judge.decisions(order, backend.clock())
    return 200, Explanation([decision_view(decision) for decision in decisions])


def _service_view(backend: Backend, row: StoredService) -> ServiceView:
    learnt = backend.book.learnt(row.panel)
    taught = lesson(learnt, row.service.id, QUANTITIES) if learnt else None
    return service_view(row.service, row.refill_disabled_text, row.gone_at, taught)


def panel_views(backend: Backend) -> list[PanelView]:
    return [_panel_view(backend, station) for station in backend.stations.values()]


def rule_views(backend: Backend) -> list[RuleView]:
    return [_rule_view(backend, rule) for rule in backend.judge.rules]


def _panel_view(backend: Backend, station: Station) -> PanelView:
    state = backend.survey.panel(station)
    census = backend.survey.census(station.name)
    balance = backend.judge.balances.get(station.name)
    return PanelView(
        panel=station.name,
        profile=station.config.profile.name,
        can=sorted(station.config.profile.has),
        up=state.up,
        state=state.health,
        state_detail=[PanelFault(f.call, f.text, moment(f.since)) for f in state.faults],
        problem=state.problem,
        breaker=station.line.breaker.state,
        paused_until=moment_or_none(state.backoff_until or None),
        requests_per_minute=round(station.line.pace.rate.per_minute, 2),
        last_success_at=moment_or_none(state.last_success or None),
        balance=money(balance.amount) if balance else None,
        currency=balance.currency if balance else None,
        low_balance=money(station.config.settings.low_balance),
        balance_at=moment_or_none(state.balance_at or None),
        orders_open=census.open,
        orders_guarded=census.guarded,
        orders_due=census.due,
        orders_stalled=census.stalled,
        lag=None if census.oldest_due is None else max(0.0, backend.clock() - census.oldest_due),
        actions_pending=sum(state.pending.values()),
        actions_unresolved=sum(state.unresolved.values()),
    )


def _rule_view(backend: Backend, rule: Rule) -> RuleView:
    judge, now = backend.judge, backend.clock()
    panels = sorted(rule.panels if rule.panels is not None else backend.stations)
    held = {panel: judge.held_until(rule, panel) for panel in panels}
    return RuleView(
        name=rule.name,
        action=rule.action,
        panels=panels,
        when=rule.condition.text,
        every=rule.every,
        attempts=rule.attempts,
        per_hour=rule.per_hour,
        dry_run=rule.dry_run,
        evaluations=judge.evaluations[rule.name],
        firings=judge.firings[rule.name],
        failures=judge.failures[rule.name],
        held={panel: moment(until) for panel, until in held.items() if until and until > now},
        switched_off=judge.switched_off.get(rule.name),
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/actions",
        handler=list_actions,
        summary="List actions, newest first.",
        params=(
            Param("state", {"enum": [str(s) for s in ActionState]}, "In this state only."),
            PANEL,
            LIMIT,
            CURSOR,
        ),
        gives={200: ActionList},
    ),
    Route(
        method="GET",
        path="/v1/actions/{id}",
        handler=show_action,
        summary="One action, with all of its parameters.",
        gives={200: ActionAnswer, 404: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/actions/{id}/resolve",
        handler=resolve,
        summary="Say what became of an unresolved action, having looked at the panel.",
        takes=ResolveRequest,
        gives={200: ActionAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/actions/{id}/withdraw",
        handler=withdraw,
        summary="Give up an action that is planned and not sent yet.",
        gives={200: ActionAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="GET",
        path="/v1/panels",
        handler=list_panels,
        summary="Every panel's health, balance and lag.",
        gives={200: PanelList},
    ),
    Route(
        method="POST",
        path="/v1/panels/{panel}/retry",
        handler=retry,
        summary="Ask the panel at once, and end every pause that its failures or refusals caused.",
        gives={202: PanelAnswer, 404: FaultAnswer},
    ),
    Route(
        method="GET",
        path="/v1/panels/{panel}/services",
        handler=list_services,
        summary="A panel's price list.",
        gives={200: ServiceList, 404: FaultAnswer},
    ),
    Route(
        method="GET",
        path="/v1/rules",
        handler=list_rules,
        summary="Every rule and what it did.",
        gives={200: RuleList},
    ),
    Route(
        method="GET",
        path="/v1/rules/explain",
        handler=explain,
        summary="Why each rule would or would not fire for an order.",
        params=(
            Param("panel", TEXT, "The order's panel.", required=True),
            Param("order", TEXT, "The order's id.", required=True),
        ),
        gives={200: Explanation, 404: FaultAnswer},
    ),
)
