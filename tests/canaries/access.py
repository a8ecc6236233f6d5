"""Faults in who is let in, what is shown of secrets, and what reaches a panel."""

from tests.canaries.fault import parse

FAULTS = parse(
    r"""
the beginning of the token lets in: the API without its token
  _compare < integration/test_web_guard.py integration/test_web.py
- hmac.compare_digest(sent, credential.secret)
+ credential.secret.startswith(sent)

a wrong token is not counted: tokens can be tried without end
  _compare < integration/test_web_guard.py integration/test_web.py
- self._wrong.take(client_of(request.remote), "too many wrong tokens: wait")
+ pass

a session needs no signature: anybody can write a session of their own
  session < integration/test_page.py integration/test_web_guard.py
- hmac.compare_digest(signature, _signature(name, credential.seal))
+ True

a session has no end: a browser that was lent once is let in for ever
  session < integration/test_page.py integration/test_web_guard.py
- _until(session) > self._clock() and
+

a session that was ended goes on: who logs out is still logged in
  session < integration/test_page.py integration/test_web_guard.py
- and _digest(session) not in self._ended
+

every path is open: the API without its token
  authorized < integration/test_web_guard.py integration/test_web.py
- if not access.is_open
+ if False

every key may everything: a key for looking orders refills
  check_right < integration/test_keys.py
- if not self.may(right)
+ if False

a key of one panel reaches all: a partner sees and cancels orders of others
  check_panel < integration/test_keys.py
- panel not in self.panels
+ False

lists show every panel's orders: a partner sees the orders of others
  _within < integration/test_keys.py
- if panels is None
+ if True

a session outlives its key: a key that was taken back still opens the page
  _of_key < integration/test_keys.py
- hashlib.sha256(secret).digest() + may.encode()
+ b""

any host name leads here: a web page takes over the daemon by DNS rebinding
  _check_host < integration/test_web_guard.py
- not _is_own(given[0], request, hosts)
+ False

pages of other sites may ask: a web page orders refills in its visitor's name
  _check_origin < integration/test_web_guard.py
- site not in ("none", "same-origin")
+ False

any origin may ask: a web page orders refills in its visitor's name
  _check_origin < integration/test_web_guard.py
- not _is_own_origin(origin, request, hosts)
+ False

a form serves for JSON: a form on a web page orders refills
  _check_body < integration/test_web_guard.py
- not is_drop_in(request) and request.content_type != "application/json"
+ False

a client may ask without limit: one client takes all of the daemon's time
  _check_rate < integration/test_web_guard.py
- buckets.take(client_of(request.remote), refusal)
+ pass

one client takes all connections: nobody else reaches the daemon
  _has_room < integration/test_staying_up.py::test_one_client_leaves_room_for_others
- same < self._most_of_a_client
+ True

any key is a shop's: anybody orders at the account's cost
  _shop_of < integration/test_shops.py
- hmac.compare_digest(shop.key.reveal().encode(), given)
+ given

a shop sees another's orders: customers of one shop cancel orders of another
  _own < integration/test_shops_own.py
- shop.name in placers[i] or not placers[i] & others
+ True

a shop may ask without limit: one shop takes all of a panel's allowance
  _check_rate < integration/test_shops.py::test_a_shop_that_asks_too_often_is_told_as_by_a_panel
- bucket.take(shop.name, Refusal.RATE.text)
+ pass

a page shows a panel's text as HTML: a panel runs scripts in the browser of whoever looks
  _environment < unit/test_page.py
- autoescape=True
+ autoescape=False

--- secrets ---

a secret shows itself: keys in logs and error messages
  __repr__ < unit/test_config.py
- return "Secret(…)"
+ return self._text

a key stands in the log: keys in logs
  Redaction._redacted < unit/test_logs.py
- text = text.replace(spelling, "…")
+ pass

a key stands in an error: keys in errors, the database and the page
  redact < integration/test_client.py
- text = text.replace(spelling, "[key]")
+ pass

a key stands in an answer that is kept: keys in the database
  without < integration/test_client.py
- body = body.replace(spelling, b"[key]")
+ pass

a key is sent on to wherever the answer says: the key goes to a host of somebody else's choice
  _exchange < integration/test_client.py
- allow_redirects=False
+ allow_redirects=True

a key file that others can read is taken: every user of the machine reads the key
  _file < unit/test_config.py
- stat.S_IRWXG | stat.S_IRWXO
+ 0

others can read the database: every user of the machine reads orders and links
  lock_database < unit/test_store_open.py unit/test_store_lock.py
- (os.O_CREAT if create else 0), 0o600
+ (os.O_CREAT if create else 0), 0o644

a panel's text forges a line of the log: a panel hides what it did
  _visible < unit/test_logs.py
- if text.isprintable()
+ if True

--- what reaches a panel ---

a parameter that is the watcher's own is taken: a shop's field changes the key or the service
  name_problem < unit/test_protocol_encode.py
- name.replace("_", "") in _RESERVED
+ False

a name that PHP reads as another is taken: a shop's field changes the key or the service
  name_problem < unit/test_protocol_encode.py
- not _NAME.fullmatch(name)
+ False

NUL reaches a panel: a panel reads another link than was ordered
  value_problem < unit/test_protocol_encode.py
- if found is None
+ if True

a condition may cost without limit: one rule stops the daemon for minutes
  check_cost < unit/test_condition_cost.py
- if depth > _DEEPEST
+ if False
"""
)
