"""Faults in what is sent: the intent log, the sender, the rules and their limits."""

from tests.canaries.fault import parse

FAULTS = parse(
    r"""
--- the intent log ---

an action in any state is claimed: what was sent, or settled, is sent again
  move_actions < unit/test_store_intents.py
- actions.c.state == source.value
+ actions.c.state != ""

unresolved goes back to planned: what the panel may have carried out is sent again
  ACTION_MOVES < unit/test_lifecycle.py unit/test_store_intents.py
- (ActionState.UNRESOLVED, ActionState.REJECTED),
+ (ActionState.UNRESOLVED, ActionState.REJECTED),
+ (ActionState.UNRESOLVED, ActionState.PLANNED),

after a crash, what was being sent is planned again: each action under way at a crash may be
carried out twice
  leave_to_people < unit/test_store_intents.py
- ActionState.SENDING, ActionState.UNRESOLVED
+ ActionState.SENDING, ActionState.PLANNED

an outcome settles what is not being sent: a late answer changes what a person has settled
  _objection < unit/test_store_outcomes.py
- action.state is not ActionState.SENDING
+ False

a late outcome settles the next sending: an action counts as settled while it is under way
  _objection < unit/test_store_outcomes.py
- action.sent_at != outcome.action.sent_at
+ False

a repeated outcome has its consequences again: outcomes that are written again after a failure are
refused
  _is_written < unit/test_store_intents.py unit/test_store_outcomes.py
- return action.state is outcome.state
+ return False

two open actions of a kind for one order: two refills, or cancels, of one order
  partial_index < unit/test_store_intents.py
- unique=unique
+ unique=False

an unresolved action stands in nobody's way: a second refill of an order whose first may run
  UNSETTLED < unit/test_store_intents.py
- "state IN ('planned', 'sending', 'unresolved') AND order_id IS NOT NULL"
+ "state IN ('planned', 'sending') AND order_id IS NOT NULL"

an idempotency key is not looked up: a client that repeats its request gets an error, or two
orders
  action_with_key < unit/test_store_intents.py
- plan.idempotency_key is None
+ True

an idempotency key serves for another order: an order that was never placed counts as placed
  _same_params < unit/test_store_intents.py
- return action.params == plan.params
+ return True

a shop's repetition of an unresolved order is placed: an order placed and paid twice
  stands < unit/test_store_intents.py integration/test_shops.py
- action.state in UNSETTLED or planned_at > since
+ planned_at > since

an unresolved submission is accepted without its order: an order that was paid and that nobody
watches
  _lacks_order < unit/test_store_intents.py unit/test_store_outcomes.py
- and not result
+ and False

--- the sender ---

the request leaves before `sending` is committed: a crash between the two sends the action again
  _send < integration/test_races.py::test_an_action_is_committed_as_being_sent_before_its_request
- claimed = await self._store.actions.claim(batch, now=now)
- self._pending -= Counter(action.kind for action in claimed)
- if len(claimed) < len(batch):
-     self._is_counted = False
- if claimed:
-     await self._outcomes.settle(await self._outcomes_of(claimed))
+ told = await self._outcomes_of(await self._store.actions.by_id(batch))
+ claimed = await self._store.actions.claim(batch, now=now)
+ self._is_counted = False
+ await self._outcomes.settle([
+     Outcome(action=action, state=it.state, result=it.result, answer=it.answer)
+     for action, it in zip(claimed, told)
+ ])

what was withdrawn meanwhile is sent: a withdrawn order is placed and paid
  _send < integration/test_races.py::test_what_is_withdrawn_before_it_is_claimed_is_not_sent
- if claimed:
-     await self._outcomes.settle(await self._outcomes_of(claimed))
+ sent = await self._store.actions.by_id(batch)
+ await self._outcomes.settle(await self._outcomes_of(sent))

an answer that is lost counts as proof of nothing done: an action that the panel carried out is
sent again
  _ask < integration/test_actions.py
- except (NotSent, RateLimited) as error
+ except PanelError as error

an answer that is lost counts as a refusal: a refill that runs is asked for again by a rule
  _ask < integration/test_actions.py
- _outcome(action, ActionState.UNRESOLVED, str(error)) for
+ _outcome(action, ActionState.REJECTED, str(error)) for

an order that the answer leaves out counts as refused: a refill that runs is asked for again by a
rule
  _verdicts < unit/test_protocol_actions.py
- left_out = Unclear(
+ left_out = RowError(

actions go by a connection that is kept open: each connection that the panel closes leaves an
action unresolved
  open < integration/test_client.py
- self._session(force_close=True)
+ self._session(force_close=False)

a broken connection counts as never sent: an action that the panel carried out is sent again
  transport_fault < integration/test_client.py
- aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError
+ aiohttp.ClientError

429 counts as proof of nothing done, whatever its body says: an order that the panel placed is
placed again
  _of_too_many < unit/test_protocol_actions.py integration/test_client.py
- refused or _is_only_a_limit(body, found, stated)
+ True

0 is the id of a new order: a refused order counts as placed, under an id that is none
  new_id < unit/test_protocol_actions.py
- not text.strip("0.")
+ False

an answer with an error and a word of success is a refusal: an order that the panel may have
placed is placed again
  decode_add < unit/test_protocol_actions.py
- if says_success(answer)
+ if False

one word for a batch is each order's acceptance: orders that the panel left out of a batch count
as refilled
  _of_all < unit/test_protocol_actions.py
- whole=not is_one
+ whole=False

a request carries more ids than the panel takes: a panel without batches reads a hundred ids as
one, and refuses
  limit < integration/test_client.py
- self._profile.batch if multiple else 1
+ self._profile.batch

an outcome that can't be written is dropped: an action that nobody learns the end of
  settle < unit/test_liveness.py::test_a_write_that_fails_once_loses_nobody[actions.settle-busy]
- self._waiting = outcomes + self._waiting
+ pass

an action is planned outside its panel's lock: a refill that ended holds up the next for ever
  _plan < integration/test_races.py::test_a_refill_by_hand_while_a_rule_wants_one_stays_known
- self._turn([plan.panel])
+ self._turn([])

outcomes are written outside their panels' locks: an accepted refill that rules don't count
  settle < integration/test_races.py::test_an_accepted_refill_is_counted_while_a_change_is_recorded
- self._locks.hold({outcome.action.panel for outcome in outcomes})
+ self._locks.hold(set())

--- what hinders a rule ---

an order that was not delivered is refilled: refused requests, and a panel that blocks the account
  _refill_hindrance < unit/test_rules.py
- order.status not in DELIVERED
+ False

a refill beside one that is open: a second refill of one order
  _refill_hindrance < unit/test_rules.py
- Kind.REFILL in rule_context.open_actions
+ False

a refill beside one that runs at the panel: a second refill of one order
  _refill_hindrance < unit/test_rules.py
- if rule_context.refill_running
+ if False

a service that refuses refills is asked again: one refused request for each order, each time
  _refill_hindrance < unit/test_rules.py
- if rule_context.refill_disabled
+ if False

an order that is over is cancelled: refused requests, and a panel that blocks the account
  _cancel_hindrance < unit/test_rules.py
- order.status in FINAL
+ False

an accepted cancel is sent again: a cancel each time that the rule looks
  _cancel_hindrance < unit/test_rules.py
- if rule_context.cancel_accepted
+ if False

a rule acts on an order that the panel never told of: refills by what is only supposed of an order
  _weigh < unit/test_rules.py
- order.checked_at is None
+ False

a rule acts on a closed order: refills after the guarantee is over
  _weigh < unit/test_rules.py
- order.phase is Phase.CLOSED
+ False

`attempts` allows one more: a rule for one attempt acts twice
  _limit < unit/test_rules.py
- past.count >= rule.attempts
+ past.count > rule.attempts

`every` is not waited for: a refill at each look of the rule
  _limit < unit/test_rules.py
- past.last + rule.every > now
+ past.last > now

the brake lets one more through: a limit of one an hour is two
  is_full < unit/test_brake.py unit/test_rule_engine.py
- len(self._times) >= per_hour
+ len(self._times) > per_hour

a brake that took hold holds nothing: a panel's outage becomes mass cancels
  _limit < unit/test_rules.py unit/test_rule_engine.py
- held_until > now
+ held_until < now

a dry run acts: a rule that was to be tried refills and cancels
  _reserve < unit/test_rule_engine.py
- if rule.dry_run or rule.action is
+ if rule.action is

a rule does not see what the one before has planned: a second refill of one order
  _reserve < unit/test_rule_engine.py
- self._open_actions[order.panel, order.id].add(kind)
+ pass

a firing that did not come on record still counts: a full disk uses up a rule's attempts
  release_firing < unit/test_rule_engine.py
- self.memory.restore(key, rule_outcome.before[key])
+ pass

firings of before a restart are forgotten: each restart gives a rule its attempts anew
  remember_past < unit/test_rule_engine.py integration/test_rules.py
- FiringHistory(count, last)
+ FiringHistory(0, last)

firings of before a restart do not count for the brake: each restart gives a rule its hour anew
  remember < unit/test_rule_engine.py
- brake.count(self._time_correction.past(firing.at, now))
+ pass

a time in the future never was: a clock that was ahead lets every rule act again at once
  past < unit/test_time_correction.py unit/test_rule_engine.py
- return min(self._since, now)
+ return 0.0

a refused refill does not stop that service's: one refused request for each order of the service
  _remember_refusals < integration/test_rules.py::test_a_service_that_refuses_refills_is_remembered
- self._rule_engine.refill_disabled[action.panel, service] = answer
+ pass

a pause stops nothing that was granted: a refill leaves after somebody was told that it is paused
  _refuse_paused < unit/test_manual_pauses.py
- if paused is None:
+ if True:

a pause ends before its time: a panel is asked that somebody wanted left alone
  holds < unit/test_manual_pauses.py
- return self.until is None or now < self.until
+ return self.until is not None and now < self.until

--- nodes of a cluster ---

an action leaves without a lease: a node that was stopped acts once more on what a person has
settled
  ActionBody.write_with_length < integration/test_last_check.py
- if not self._trust.is_trusted():
+ if False:

an action that is given up is not taken back: it arrives after a person has settled it as rejected
  ActionBody.take_back < integration/test_given_up.py
- if self._transport is not None:
+ if False:

the kernel sends an action again for as long as it likes: that of a killed daemon arrives minutes
later
  ActionBody.write_with_length < integration/test_given_up.py
- round(1000 * self._patience)
+ 0

a node writes after its lease: it claims and plans what another node leads
  PostgresBackend._begin < unit/test_store_nodes.py::test_a_name_that_is_alive_is_not_given_twice
- if self._fence and not before[-1]:
+ if False:

a lease that is over is renewed: two nodes lead the same panels
  _RENEWED < unit/test_store_nodes.py::test_nothing_is_written_after_the_lease
- nodes.c.until > DatabaseClock()
+ nodes.c.until > -1

a lease is trusted for longer than it lasts: two nodes act for a panel
  Leadership.renewed < unit/test_cluster.py
- self._lease * (1.0 - _MARGIN)
+ self._lease * 2.0

a name is given twice: two nodes write with one count of commits
  join < unit/test_store_nodes.py::test_a_name_that_is_alive_is_not_given_twice
- before.until > now
+ False

a person settles what a stopped node may still send: it is done twice
  check_over < unit/test_cluster.py
- now < sent_at + wait
+ False

a takeover settles what other nodes are sending: what they do counts as unresolved
  leave_to_people < unit/test_store_nodes.py::test_nothing_is_written_after_the_lease
- [] if of is None
+ [] if True

commits that another node has lost are not noticed: what it sent is sent again
  compare < unit/test_store_nodes.py::test_lost_commits_of_another_node_are_noticed
- self._commits.saw(found.get(COMMITS, 0), known)
+ pass
"""
)
