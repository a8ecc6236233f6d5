"""The API's calls about actions, panels, price lists and rules."""

from aiohttp import web

from watcher.common.pauses import Paused
from watcher.daemon.attention_items import Attention
from watcher.errors import Conflict, NotFound
from watcher.metrics.gauges import RuleState
from watcher.model import ActionState
from watcher.rules.rule import Rule
from watcher.web.caller import note
from watcher.web.context import (
    CURSOR,
    LIMIT,
    PANEL,
    TEXT,
    Param,
    Route,
    WebContext,
    action_id,
    one_of,
    page_of,
    read_body,
)
from watcher.web.forwarding import prefer_leader
from watcher.web.panel_shapes import (
    AttentionList,
    Explanation,
    PanelAnswer,
    PanelList,
    RuleList,
    RuleView,
    ServiceList,
)
from watcher.web.panel_views import panel_view
from watcher.web.principal import Principal, principal_of
from watcher.web.service_list import listed_service
from watcher.web.shapes import ActionAnswer, ActionList, ActionView, FaultAnswer, ResolveRequest
from watcher.web.views import (
    action_view,
    attention_view,
    decision_view,
    listed_action,
    moment,
    pause_view,
    view_of,
)

_AT_ONCE = 100  # actions that are read at once


async def list_actions(context: WebContext, request: web.Request) -> tuple[int, ActionList]:
    limit, after = page_of(request)
    state, panel = one_of(request, "state", ActionState), request.query.get("panel") or None
    views: list[ActionView] = []
    next_id = after or None
    while len(views) < limit:  # a few at a time: each may have 64 KB of parameters
        some, next_id = await context.store.actions.page(
            state=state,
            panel=panel,
            panels=principal_of(request).panels,
            limit=min(_AT_ONCE, limit - len(views)),
            after=next_id,
        )
        views += [listed_action(action) for action in some]
        if next_id is None:
            break
    return 200, ActionList(actions=views, next=None if next_id is None else str(next_id))


async def show_action(context: WebContext, request: web.Request) -> tuple[int, ActionAnswer]:
    number = await action_id(request)
    action = await context.store.actions.get(number)
    if action is None:
        raise NotFound(f"there is no action {number}")
    prefer_leader(request, action.panel)
    order = await context.store.orders.get(action.panel, action.order or "")
    return 200, ActionAnswer(action_view(action), context.view(order) if order else None)


async def resolve(context: WebContext, request: web.Request) -> tuple[int, ActionAnswer]:
    body = await read_body(request, ResolveRequest)
    result = None if body.result is None else str(body.result)
    number, state = await action_id(request), ActionState(body.state)
    action, order = await context.commands.resolve(number, state, result)
    note(request, panel=action.panel, detail=f"{body.state} {result or ''}".rstrip())
    return 200, ActionAnswer(action_view(action), context.view(order) if order else None)


async def withdraw(context: WebContext, request: web.Request) -> tuple[int, ActionAnswer]:
    action = await context.commands.take_back(await action_id(request))
    note(request, panel=action.panel)
    return 200, ActionAnswer(action_view(action))


async def list_attention(context: WebContext, request: web.Request) -> tuple[int, AttentionList]:
    items = attention_of(context, principal_of(request))
    return 200, AttentionList([attention_view(item) for item in items])


async def list_panels(context: WebContext, request: web.Request) -> tuple[int, PanelList]:
    principal, states = principal_of(request), context.daemon_status.panels()
    reached = (state for state in states if principal.reaches(state.name))
    return 200, PanelList([panel_view(context, state) for state in reached])


async def retry(context: WebContext, request: web.Request) -> tuple[int, PanelAnswer]:
    panel = request.match_info["panel"]
    context.commands.check_panel(panel)
    context.commands.check_led(panel)
    workers = context.panel_workers[panel]
    refuse_paused(context, panel)
    workers.retry()
    return 202, PanelAnswer(panel_view(context, context.daemon_status.panel(workers)))


def refuse_paused(context: WebContext, panel: str) -> None:
    """Raise Conflict if the panel can't be asked, because somebody has paused its reads."""
    paused = context.pauses.get(Paused.READS, panel)
    if paused is not None:
        raise Conflict(f"{paused.sentence}; resume them to ask it")


async def list_services(context: WebContext, request: web.Request) -> tuple[int, ServiceList]:
    panel = request.match_info["panel"]
    context.commands.check_panel(panel)
    stored = await context.store.services.of_panel(panel)
    stored.sort(key=lambda row: (len(row.service.id), row.service.id))  # 2 before 10
    return 200, ServiceList([listed_service(context, row) for row in stored])


async def list_rules(context: WebContext, request: web.Request) -> tuple[int, RuleList]:
    return 200, RuleList(rule_views(context, principal_of(request)))


async def explain(context: WebContext, request: web.Request) -> tuple[int, Explanation]:
    panel, order_id = request.query.get("panel", ""), request.query.get("order", "")
    context.commands.check_led(panel)
    order = await context.commands.order(panel, order_id)
    decisions = context.rule_engine.decisions(order, context.clock())
    return 200, Explanation([decision_view(decision) for decision in decisions])


def attention_of(context: WebContext, principal: Principal) -> list[Attention]:
    """Return what needs a person, of the panels that the principal reaches."""
    return [item for item in context.daemon_status.attention() if principal.reaches(item.panel)]


def rule_views(context: WebContext, principal: Principal) -> list[RuleView]:
    """Return the rules that apply to a panel that the principal reaches."""
    states = zip(context.rule_engine.rules, context.daemon_status.rules(), strict=True)
    views = (_rule_view(context, rule, state, principal) for rule, state in states)
    return [view for view in views if view.panels or principal.panels is None]


def _rule_view(context: WebContext, rule: Rule, state: RuleState, principal: Principal) -> RuleView:
    paused = context.pauses.get(Paused.RULE, rule.name)
    panels = sorted(rule.panels if rule.panels is not None else context.config.current.panels)
    held = {panel: moment(until) for panel, until in state.held.items() if principal.reaches(panel)}
    return view_of(
        RuleView,
        state,
        action=rule.action,
        panels=principal.among(panels),
        when=rule.condition.text,
        every=rule.every,
        attempts=rule.attempts,
        dry_run=rule.dry_run,
        held=held,
        paused=None if paused is None else pause_view(paused),
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
        summary="Return one action, with all of its parameters.",
        gives={200: ActionAnswer, 404: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/actions/{id}/resolve",
        handler=resolve,
        summary="Record the outcome of an unresolved action, as seen at the panel.",
        takes=ResolveRequest,
        gives={200: ActionAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="POST",
        path="/v1/actions/{id}/withdraw",
        handler=withdraw,
        summary="Withdraw an action that is planned and not sent yet.",
        gives={200: ActionAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="GET",
        path="/v1/attention",
        handler=list_attention,
        summary="List what needs a person, the most urgent first.",
        gives={200: AttentionList},
    ),
    Route(
        method="GET",
        path="/v1/panels",
        handler=list_panels,
        summary="List every panel's health, balance and lag.",
        gives={200: PanelList},
    ),
    Route(
        method="POST",
        path="/v1/panels/{panel}/retry",
        handler=retry,
        summary="Ask the panel at once; end every pause that its failures or refusals caused.",
        gives={202: PanelAnswer, 404: FaultAnswer, 409: FaultAnswer},
    ),
    Route(
        method="GET",
        path="/v1/panels/{panel}/services",
        handler=list_services,
        summary="Return a panel's price list.",
        gives={200: ServiceList, 404: FaultAnswer},
    ),
    Route(
        method="GET",
        path="/v1/rules",
        handler=list_rules,
        summary="List every rule and what it did.",
        gives={200: RuleList},
    ),
    Route(
        method="GET",
        path="/v1/rules/explain",
        handler=explain,
        summary="Explain why each rule would or would not fire for an order.",
        params=(
            Param("panel", TEXT, "The order's panel.", required=True),
            Param("order", TEXT, "The order's id.", required=True),
        ),
        gives={200: Explanation, 404: FaultAnswer},
    ),
)
