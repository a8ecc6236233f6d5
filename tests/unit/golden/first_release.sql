-- The tables of the first release. They never change: migrations lead on from them.
-- Until that release: made from `schema`.
PRAGMA application_id = 1463899203;
CREATE TABLE actions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    panel INTEGER NOT NULL,
    order_id TEXT,
    state TEXT NOT NULL,
    rule TEXT,
    reason TEXT NOT NULL,
    params TEXT,
    idempotency_key TEXT,
    planned_at FLOAT NOT NULL,
    sent_at FLOAT,
    settled_at FLOAT,
    result TEXT,
    answer TEXT,
    params_hash TEXT,
    CONSTRAINT actions_kind CHECK (kind IN ('submit', 'refill', 'cancel')),
    CONSTRAINT actions_state CHECK (state IN ('planned', 'sending', 'accepted', 'rejected', 'unresolved')),
    CONSTRAINT actions_order CHECK (kind = 'submit' OR order_id IS NOT NULL),
    FOREIGN KEY(panel) REFERENCES panels (id),
    UNIQUE (idempotency_key)
);
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    PRIMARY KEY (version_num)
);
CREATE TABLE archived_orders (
    panel INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (panel, order_id),
    FOREIGN KEY(panel) REFERENCES panels (id)
)
 WITHOUT ROWID;
CREATE TABLE asked_pages (
    page INTEGER NOT NULL,
    seconds BLOB NOT NULL,
    PRIMARY KEY (page)
);
CREATE TABLE balances (
    id INTEGER NOT NULL,
    panel INTEGER NOT NULL,
    at FLOAT NOT NULL,
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(panel) REFERENCES panels (id)
);
CREATE TABLE counters (
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name)
)
 WITHOUT ROWID;
CREATE TABLE dead_events (
    target TEXT NOT NULL,
    change INTEGER NOT NULL,
    "key" INTEGER NOT NULL,
    at FLOAT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (target, change)
)
 WITHOUT ROWID;
CREATE TABLE ended_sessions (
    digest TEXT NOT NULL,
    until FLOAT NOT NULL,
    PRIMARY KEY (digest)
);
CREATE TABLE event_lanes (
    target TEXT NOT NULL,
    "key" INTEGER NOT NULL,
    first INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at FLOAT NOT NULL,
    error TEXT,
    PRIMARY KEY (target, "key")
)
 WITHOUT ROWID;
CREATE TABLE event_targets (
    name TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE firings (
    id INTEGER NOT NULL,
    rule TEXT NOT NULL,
    action TEXT NOT NULL,
    "key" INTEGER NOT NULL,
    at FLOAT NOT NULL,
    dry_run BOOLEAN NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY("key") REFERENCES orders ("key")
);
CREATE TABLE history (
    id INTEGER NOT NULL,
    previous INTEGER,
    "key" INTEGER NOT NULL,
    at FLOAT NOT NULL,
    changes TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE lessons (
    panel INTEGER NOT NULL,
    service TEXT NOT NULL,
    what TEXT NOT NULL,
    changes FLOAT NOT NULL,
    exposure FLOAT NOT NULL,
    logs FLOAT NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (panel, service, what),
    FOREIGN KEY(panel) REFERENCES panels (id)
)
 WITHOUT ROWID;
CREATE TABLE notify_targets (
    name TEXT NOT NULL,
    since FLOAT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE order_states (
    "key" INTEGER NOT NULL,
    changed_at FLOAT NOT NULL,
    status TEXT NOT NULL,
    status_text TEXT,
    problem TEXT,
    phase TEXT NOT NULL,
    start_count INTEGER,
    remains INTEGER,
    count INTEGER,
    charge TEXT,
    currency TEXT,
    refills INTEGER NOT NULL,
    progressed_at FLOAT NOT NULL,
    finished_at FLOAT,
    checked_at FLOAT,
    last_change INTEGER,
    PRIMARY KEY ("key"),
    FOREIGN KEY("key") REFERENCES orders ("key")
);
CREATE TABLE orders (
    "key" INTEGER NOT NULL,
    panel INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    tracked_at FLOAT NOT NULL,
    service TEXT,
    link TEXT,
    quantity INTEGER,
    submitted_at FLOAT NOT NULL,
    origin TEXT,
    PRIMARY KEY ("key"),
    UNIQUE (panel, order_id),
    FOREIGN KEY(panel) REFERENCES panels (id)
);
CREATE TABLE outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    queued_at FLOAT NOT NULL,
    next_at FLOAT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT,
    CONSTRAINT outbox_state CHECK (state IN ('queued', 'sent', 'dead'))
);
CREATE TABLE panels (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);
CREATE TABLE rates (
    panel INTEGER NOT NULL,
    at FLOAT NOT NULL,
    rate FLOAT NOT NULL,
    punishes_until FLOAT NOT NULL,
    ceiling FLOAT,
    PRIMARY KEY (panel),
    FOREIGN KEY(panel) REFERENCES panels (id)
);
CREATE TABLE refills (
    "key" INTEGER NOT NULL,
    panel INTEGER NOT NULL,
    order_id TEXT NOT NULL,
    refill_id TEXT NOT NULL,
    action INTEGER,
    status TEXT NOT NULL,
    status_text TEXT,
    requested_at FLOAT NOT NULL,
    finished_at FLOAT,
    silent_since FLOAT,
    PRIMARY KEY ("key"),
    UNIQUE (panel, refill_id),
    FOREIGN KEY(panel) REFERENCES panels (id),
    FOREIGN KEY(action) REFERENCES actions (id)
);
CREATE TABLE service_changes (
    id INTEGER NOT NULL,
    panel INTEGER NOT NULL,
    service TEXT NOT NULL,
    field TEXT NOT NULL,
    old TEXT,
    new TEXT,
    at FLOAT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(panel) REFERENCES panels (id)
);
CREATE TABLE services (
    panel INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    category TEXT NOT NULL,
    rate TEXT,
    min INTEGER,
    max INTEGER,
    refill BOOLEAN,
    cancel BOOLEAN,
    dripfeed BOOLEAN,
    "desc" TEXT,
    average_time TEXT,
    seen_at FLOAT NOT NULL,
    gone_at FLOAT,
    refill_disabled_at FLOAT,
    refill_disabled_text TEXT,
    PRIMARY KEY (panel, id),
    FOREIGN KEY(panel) REFERENCES panels (id)
);
CREATE TABLE troubles (
    target TEXT NOT NULL,
    "key" TEXT NOT NULL,
    event TEXT NOT NULL,
    panel TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    began_at FLOAT NOT NULL,
    told_at FLOAT,
    gone_at FLOAT,
    PRIMARY KEY (target, "key")
);
CREATE INDEX actions_by_order ON actions (panel, order_id);
CREATE INDEX actions_by_state ON actions (state, panel);
CREATE INDEX actions_large ON actions (settled_at) WHERE length(params) > 2000;
CREATE UNIQUE INDEX actions_one_unsettled ON actions (panel, order_id, kind) WHERE state IN ('planned', 'sending', 'unresolved') AND order_id IS NOT NULL;
CREATE INDEX actions_refused ON actions (settled_at) WHERE kind = 'refill' AND state = 'rejected';
CREATE INDEX balances_by_panel ON balances (panel, at);
CREATE INDEX dead_events_key ON dead_events ("key");
CREATE INDEX event_lanes_key ON event_lanes ("key");
CREATE INDEX firings_at ON firings (at);
CREATE INDEX firings_key ON firings ("key");
CREATE INDEX order_states_not_closed ON order_states ("key") WHERE phase <> 'closed';
CREATE INDEX order_states_problem ON order_states ("key") WHERE problem IS NOT NULL;
CREATE INDEX order_states_rare ON order_states (status) WHERE status NOT IN ('unknown', 'pending', 'processing', 'in_progress', 'completed');
CREATE INDEX orders_by_link ON orders (link);
CREATE INDEX orders_by_panel ON orders (panel);
CREATE INDEX orders_by_service ON orders (service);
CREATE INDEX outbox_queued ON outbox (target, id) WHERE state = 'queued';
CREATE INDEX refills_by_action ON refills (action);
CREATE INDEX refills_by_order ON refills (panel, order_id);
CREATE INDEX refills_by_status ON refills (status);
CREATE INDEX refills_rejected ON refills (finished_at) WHERE status = 'rejected';
CREATE INDEX service_changes_at ON service_changes (at);
CREATE INDEX service_changes_by_service ON service_changes (panel, service);
INSERT INTO alembic_version VALUES ('0015');
