"""Faults in what is known: answers, the order's life, the database, backups, what is told."""

from tests.canaries.fault import parse

FAULTS = parse(
    r"""
--- answers ---

rows are matched to ids by position: one order's status is written to another
  _read_usual < unit/test_protocol_statuses.py
- batch.get
+ dict(zip(ids, batch.values())).get

a list without ids is matched by position: one order's status is written to another
  _listed < unit/test_protocol_statuses.py
- raise Unmatched(f"an answer whose rows name no {form.by}: {shown(answer[:3], 120)}")
+ return dict(zip(ids, answer))

a row that names another order counts: one order's status is written to another
  checked < unit/test_protocol_statuses.py
- return row if name in (None, id_) else Misnamed(by, str(name))
+ return row

a charge is read as a float: charges are lost, or wrong in their last digits
  _UsualRow < unit/test_protocol_statuses.py
- charge: Decimal |
+ charge: float |

1,234 is an amount: a balance that is a thousand times too small
  _printed < unit/test_protocol_account.py unit/test_protocol_statuses.py
- kinds[0] == "," and _is_grouped(digits)
+ False

a sum in the database is a float: sums that are wrong in their last digits
  money_text < unit/test_store_orders.py::test_money_is_exact_in_the_file
- return str(value)
+ return str(float(value))

an unknown word is a final status: orders that nobody watches any more
  PHASES < unit/test_lifecycle.py
- (Phase.OPEN, "unknown"): Phase.OPEN
+ (Phase.OPEN, "unknown"): Phase.CLOSED

what the panel did not say is none: charges and counts get lost
  observe < unit/test_lifecycle.py
- (value := getattr(seen, name)) is not None
+ [value := getattr(seen, name)]

an old order that is tracked late finishes now: an import of old orders becomes mass refills
  _finished_at < unit/test_lifecycle.py
- order.origin is Origin.WHOLE and is_watched
+ is_watched

a refill that is over changes again: a refill that has ended holds up the next one
  _change_refill < unit/test_lifecycle.py
- refill.status in REFILL_FINAL
+ False

an open order closes: orders that nobody watches any more
  close < unit/test_lifecycle.py
- order.phase is not Phase.GUARDED
+ False

silence of a panel that is down proves an id bad: every order gets a problem while its panel is
down
  is_proven < unit/test_bisection.py
- ask.answers is not None and self._answers > ask.answers
+ True

a bad id takes its batch along: a hundred orders that are not checked because of one
  _is_among < unit/test_bisection.py
- len(ask.ids) == 1
+ True

an answer without an end is read on: one panel fills the memory
  whole < integration/test_client.py
- if len(body) > largest
+ if False

--- the record ---

a change is written over another: a history that does not lead to the order's state
  write_changes < unit/test_store_record.py
- _update(names).run(connection, values) != len(values)
+ False

a firing without its action is kept: a rule's attempts are used up by what was not sent
  _write_rest < unit/test_store_record.py
- if _pair(firing) not in left_out
+ if True

one caller's bad row fails the others': one odd order keeps all from being recorded
  _after_failure < unit/test_store_record.py
- if not is_about_data(error)
+ if True

a commit is not synced: a power failure forgets what was sent: it is sent again
  WRITING < unit/test_store_open.py
- "synchronous": "FULL"
+ "synchronous": "OFF"

an order that is not closed is archived: orders that nobody watches any more
  _eligible < unit/test_retention.py
- order_states.c.phase == Phase.CLOSED.value
+ order_states.c.phase != ""

an order goes with its unresolved action: nobody learns of an action that needs a person
  _idle < unit/test_retention.py
- ~unsettled
+ orders.c.key > 0

what came since it was read is archived unread: a refill that is in no archive and in no database
  remove < unit/test_retention.py
- found.get(order.key) == order.fingerprint
+ order.key in found

the idempotency key goes with its order: a repeated request places and pays a second order
  _DELETE_BY_ORDER < unit/test_retention.py
- actions.c.idempotency_key.is_(None)
+ actions.c.id > 0

rows are removed sooner than a week: people are not told of what was removed
  Purge.run < unit/test_store_purge.py
- max(retain_for, LEAST)
+ retain_for

an action goes while its order is there: an order whose refills nobody can explain
  _conditions < unit/test_store_purge.py
- & ~_has_order(actions)
+

--- backups and restores ---

a backup counts without being read: a damaged backup takes the place of a good one
  _take_in < unit/test_backups.py
- check_database(unchecked)
+ pass

the newest backup is the one that goes: fewer backups than are to be kept
  _take_in < unit/test_backups.py
- if path != made
+

a backup fills the disk: the database can't be written any more
  check_room < unit/test_backups.py
- size + SPARE_ROOM
+ 0

planned actions of a restored backup are sent: what was sent since the backup is sent again
  disown_database < unit/test_restore.py
- (ActionState.PLANNED, ActionState.SENDING)
+ (ActionState.SENDING,)

rules do not know that they acted since the backup: every rule acts again on every order
  disown_database < unit/test_restore.py
- _note_firing(connection, database.panels, hold, now)
+ pass

a restored database counts from the backup's claims: an older database is not known for one, or a
good one is refused
  disown_database < unit/test_store_older.py unit/test_restore.py
- claims.reach(connection, seen)
+ claims.reach(connection, 0)

a daemon starts on an older database: what was sent since the copy is sent again
  _compare_with_file < unit/test_store_older.py
- counted < max(seen, await self.read("open", claims.known))
+ False

two daemons on one database: each action is sent twice
  _locked < unit/test_store_lock.py unit/test_store_open.py
- return False
+ return True

a database that was replaced is written on: actions are sent and are in no database
  problem < unit/test_store_lock.py
- if found != known
+ if False

--- what is told ---

a message that did not arrive counts as told: nobody hears that a person is needed
  _deliver < integration/test_notify.py::test_what_is_refused_is_sent_again_with_the_same_id
- await self._put_off(message, error, now)
+ await self._store.outbox.delivered([message.id])

each attempt at a message has its own id: a receiver can't tell a repetition from news
  _deliver < integration/test_notify.py::test_what_is_refused_is_sent_again_with_the_same_id
- f"msg_{message.id}_{message.queued_at:.0f}"
+ f"msg_{message.id}_{message.attempts}_{now}"

an event that did not arrive is not told again: a shop never hears that an order is done
  _tell_order < integration/test_events.py::test_an_order_that_fails_holds_up_no_other
- self._failed(event, error)
- return False
+ continue

a webhook is sent on to wherever its answer says: messages go to a host of somebody else's choice
  Webhook.send < unit/test_webhooks.py integration/test_receivers.py
- allow_redirects=False
+ allow_redirects=True

a signature leaves the time out: an old message can be sent again as a new one
  signature < unit/test_webhooks.py
- (message_id.encode(), str(timestamp).encode(), body)
+ (message_id.encode(), body)

--- labels and changes ---

the history has customers and notes: what was forgotten is still there
  _transition < unit/test_labels.py
- (None, None) if name in PERSONAL else (old, new)
+ (old, new)

what was erased stays readable in the file's free room
  WRITING < unit/test_forgetting.py
- "secure_delete": "ON"
+ "secure_delete": "OFF"

a cursor counts in any database: what is recorded after a restore is missed
  resumed < unit/test_cursors.py
- id=min(cursor.id, shared),
+ id=cursor.id,

numbers of archived changes are given again: whoever has read them misses the new ones
  last_history_id < integration/test_changes.py
- return max(*ids, counting.value(connection, counting.REMOVED))
+ return max(ids)

what was archived unread is passed over in silence
  page < integration/test_changes.py
- if now > max(cursor.id, cursor.archived):
+ if False:
"""
)
