-- The tables of one account's object. Amounts are picodollars, times are milliseconds since
-- 1970-01-01T00:00:00Z, days are days since then. Amounts cross this border as text only.
--
-- A section begins at a line "-- version N" and brings a database of version N - 1 to version N.
-- A released section is never edited. A statement ends with a semicolon at the end of a line.

-- version 1

CREATE TABLE IF NOT EXISTS schema_version (
  version INTEGER NOT NULL
) STRICT;

-- One row. The totals are what the ledger and the leases add up to, kept so that a hold reads one row.
CREATE TABLE IF NOT EXISTS account (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  granted INTEGER NOT NULL DEFAULT 0,
  charged INTEGER NOT NULL DEFAULT 0 CHECK (charged >= 0),
  held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0)
) STRICT;

-- A deleted key stays as a tombstone: its hash is never given to another key.
CREATE TABLE IF NOT EXISTS api_key (
  number INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('inference', 'management')),
  disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  limit_amount INTEGER CHECK (limit_amount >= 0),
  limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
  include_byok INTEGER NOT NULL DEFAULT 0 CHECK (include_byok IN (0, 1)),
  expires_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER,
  deleted_at INTEGER,
  last_used_at INTEGER,
  version INTEGER NOT NULL DEFAULT 1,
  held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0)
) STRICT;

-- Append-only. A grant adds money (a negative one takes it back), a charge spends it, an expiry
-- tells of a hold that ended without a charge. `held` is what was held for a charge or an expiry,
-- NULL where no hold was open. A charge of zero is a released hold.
CREATE TABLE IF NOT EXISTS ledger (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('grant', 'charge', 'expiry')),
  key_hash TEXT,
  amount INTEGER NOT NULL,
  held INTEGER,
  exceeded_hold INTEGER NOT NULL DEFAULT 0 CHECK (exceeded_hold IN (0, 1)),
  reason TEXT,
  at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS ledger_by_id ON ledger (id, kind);

-- Money set aside and not yet charged, released or expired.
CREATE TABLE IF NOT EXISTS lease (
  generation TEXT PRIMARY KEY,
  key_hash TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS lease_by_expiry ON lease (expires_at);

-- What each key spent on each day in UTC; every window and the total are sums over it.
CREATE TABLE IF NOT EXISTS key_day (
  key_hash TEXT NOT NULL,
  day INTEGER NOT NULL,
  usage INTEGER NOT NULL DEFAULT 0,
  byok_usage INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (key_hash, day)
) STRICT, WITHOUT ROWID;

-- What is known of a reply beside its cost, as JSON; never a prompt. `number` is that of its
-- charge in the ledger, so old records are the first rows and are dropped without an index.
CREATE TABLE IF NOT EXISTS generation (
  number INTEGER PRIMARY KEY,
  record TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;

-- version 2

-- What an account keeps in versions: presets, and in the operator's object the catalog's overlay.
CREATE TABLE IF NOT EXISTS document (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('preset', 'catalog')),
  slug TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  status TEXT NOT NULL CHECK (status IN ('active', 'disabled', 'archived')),
  status_at INTEGER,
  creator TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS document_by_slug ON document (kind, slug);

CREATE TABLE IF NOT EXISTS document_version (
  document INTEGER NOT NULL,
  version INTEGER NOT NULL,
  id TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,
  creator TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (document, version)
) STRICT, WITHOUT ROWID;

-- version 3

-- A lease is for one request, whose generation is its id, or for one isolate, whose requests draw on
-- it: `amount` is what their charges have left of it. An isolate numbers what it reports of its
-- lease from 1, so that a late report changes nothing; 0 is a lease for one request.
ALTER TABLE lease RENAME COLUMN generation TO id;
ALTER TABLE lease ADD COLUMN report INTEGER NOT NULL DEFAULT 0;

-- version 4

-- What Stripe said of each payment. `refunded` is the most that one event said was refunded in all,
-- `net` what the ledger's rows for the payment add up to, `changes` how many rows they are. A refund
-- may be told of before its payment: `credit` is 0 until the payment is. `attempt` is that of the
-- automatic top-up that paid.
CREATE TABLE IF NOT EXISTS purchase (
  payment TEXT PRIMARY KEY,
  credit INTEGER NOT NULL DEFAULT 0 CHECK (credit >= 0),
  paid INTEGER NOT NULL DEFAULT 0 CHECK (paid >= 0),
  refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded >= 0),
  net INTEGER NOT NULL DEFAULT 0,
  changes INTEGER NOT NULL DEFAULT 0,
  attempt INTEGER,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS purchase_by_time ON purchase (at);

-- The refunds and disputes of payments by their ids. `state` only rises.
CREATE TABLE IF NOT EXISTS reversal (
  id TEXT PRIMARY KEY,
  payment TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('refund', 'dispute')),
  amount INTEGER NOT NULL CHECK (amount >= 0),
  state INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS reversal_by_payment ON reversal (payment);

-- One row: when to buy more, and with which card. `pending` is the attempt under way.
CREATE TABLE IF NOT EXISTS top_up (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  enabled INTEGER NOT NULL DEFAULT 0 CHECK (enabled IN (0, 1)),
  threshold INTEGER NOT NULL DEFAULT 0 CHECK (threshold >= 0),
  amount INTEGER NOT NULL DEFAULT 0 CHECK (amount >= 0),
  monthly_cap INTEGER CHECK (monthly_cap >= 0),
  customer TEXT,
  method TEXT,
  saved_at INTEGER NOT NULL DEFAULT 0,
  attempt INTEGER NOT NULL DEFAULT 0,
  pending INTEGER,
  pending_amount INTEGER NOT NULL DEFAULT 0,
  pending_at INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL DEFAULT 1,
  reason TEXT
) STRICT;

-- Codes for credit, in the one object that holds them all and no account. A code is known by its hash.
CREATE TABLE IF NOT EXISTS code (
  number INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL,
  reason TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0),
  uses INTEGER NOT NULL CHECK (uses > 0),
  used INTEGER NOT NULL DEFAULT 0 CHECK (used <= uses),
  expires_at INTEGER,
  revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS redemption (
  hash TEXT NOT NULL,
  account TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (hash, account)
) STRICT, WITHOUT ROWID;

-- version 5

-- Limits: budgets, rates, and holds that grow.

-- The empty workspace is the account's own. A creator is a member of it.
ALTER TABLE api_key ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';

-- Whose money a lease holds, as it was when the lease was made. `models` are those that the money may
-- go to, with spaces between them; none is any.
ALTER TABLE lease ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';
ALTER TABLE lease ADD COLUMN creator_user_id TEXT;
ALTER TABLE lease ADD COLUMN line TEXT;
ALTER TABLE lease ADD COLUMN end_user TEXT;
ALTER TABLE lease ADD COLUMN models TEXT NOT NULL DEFAULT '';

-- What may be spent in a window (NULL: in all) by a scope, or by each of its keys, members or end users.
CREATE TABLE IF NOT EXISTS budget (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL CHECK (scope IN ('account', 'workspace', 'key', 'user')),
  subject TEXT NOT NULL,
  per TEXT NOT NULL CHECK (per IN ('all', 'key', 'user', 'end_user')),
  model TEXT,
  window TEXT CHECK (window IN ('daily', 'weekly', 'monthly')),
  amount INTEGER NOT NULL CHECK (amount >= 0),
  include_byok INTEGER NOT NULL DEFAULT 0 CHECK (include_byok IN (0, 1)),
  source TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS budget_by_subject ON budget (scope, subject);

-- What counts for a budget: `spent` in the window that began on day `since`, and `held` by leases.
CREATE TABLE IF NOT EXISTS budget_count (
  budget INTEGER NOT NULL,
  who TEXT NOT NULL,
  since INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  held INTEGER NOT NULL CHECK (held >= 0),
  PRIMARY KEY (budget, who)
) STRICT, WITHOUT ROWID;

-- Workspaces: members, roles, guardrails, and what keys belong to.

-- `body` is JSON: what clients set of it. The default workspace, the empty one of keys, has a row once
-- it is looked at. `include_byok` is for all of its budgets.
CREATE TABLE IF NOT EXISTS workspace (
  id TEXT PRIMARY KEY,
  slug TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,
  creator TEXT,
  include_byok INTEGER NOT NULL DEFAULT 0 CHECK (include_byok IN (0, 1)),
  created_at INTEGER NOT NULL,
  updated_at INTEGER
) STRICT, WITHOUT ROWID;

-- The budgets of a workspace as clients see them; what enforces them is in `budget`.
CREATE TABLE IF NOT EXISTS workspace_budget (
  workspace TEXT NOT NULL,
  interval TEXT NOT NULL CHECK (interval IN ('daily', 'weekly', 'monthly', 'lifetime')),
  id TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, interval)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS member (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is in which workspace, but for the default one: there everybody is.
CREATE TABLE IF NOT EXISTS workspace_member (
  workspace TEXT NOT NULL,
  user_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, user_id)
) STRICT, WITHOUT ROWID;

-- `default_for` is the workspace, or the account, that a guardrail holds for as a whole; others hold for
-- the keys and members that they are assigned to.
CREATE TABLE IF NOT EXISTS guardrail (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  workspace TEXT,
  default_for TEXT,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER
) STRICT;

CREATE TABLE IF NOT EXISTS guardrail_assignment (
  kind TEXT NOT NULL CHECK (kind IN ('key', 'member')),
  subject TEXT NOT NULL,
  guardrail TEXT NOT NULL,
  assigned_by TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS guardrail_assignment_by_guardrail ON guardrail_assignment (guardrail);

-- What applies to the key has changed, and KV has not been told.
ALTER TABLE api_key ADD COLUMN policy_due INTEGER NOT NULL DEFAULT 0 CHECK (policy_due IN (0, 1));

CREATE INDEX IF NOT EXISTS api_key_by_due ON api_key (number) WHERE policy_due = 1;

-- Keys: rotation, authorization codes, alerts.

-- Whose a key is: the user who made it, whom its owner made it for and by which name they know it, and the
-- app that asked for it (the host it calls back to). A key that was rotated and those that replace it are one
-- line, named by the first of them: what one spends all have spent. `replaces` is the key that it came after,
-- `rotation` the caller's id of that.
ALTER TABLE api_key ADD COLUMN creator_user_id TEXT;
ALTER TABLE api_key ADD COLUMN external_user TEXT;
ALTER TABLE api_key ADD COLUMN external_key TEXT;
ALTER TABLE api_key ADD COLUMN app TEXT;
ALTER TABLE api_key ADD COLUMN line TEXT;
ALTER TABLE api_key ADD COLUMN replaces TEXT;
ALTER TABLE api_key ADD COLUMN rotation TEXT;

CREATE INDEX IF NOT EXISTS api_key_by_line ON api_key (line);

-- Codes that apps exchange for a key, by their hashes, and what that key is to be. `key_hash` is the key
-- that one was exchanged for.
CREATE TABLE IF NOT EXISTS auth_code (
  hash TEXT PRIMARY KEY,
  challenge TEXT,
  method TEXT CHECK (method IN ('S256', 'plain')),
  name TEXT NOT NULL,
  app TEXT NOT NULL,
  limit_amount INTEGER CHECK (limit_amount >= 0),
  limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
  key_expires_at INTEGER,
  created_at INTEGER NOT NULL,
  key_hash TEXT
) STRICT, WITHOUT ROWID;

-- One row: where alerts go and what they are about, NULL for what is not told. `last` is the number of
-- the last one, `lost` counts those that were given up, `since` is when spending began to be watched.
CREATE TABLE IF NOT EXISTS alert_settings (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  url TEXT NOT NULL,
  secret TEXT NOT NULL,
  enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  low_balance INTEGER,
  unusual_factor INTEGER,
  unusual_floor INTEGER,
  fallback_percent INTEGER,
  fallback_requests INTEGER,
  since INTEGER NOT NULL,
  last INTEGER NOT NULL DEFAULT 0,
  lost INTEGER NOT NULL DEFAULT 0,
  last_delivered_at INTEGER,
  last_error TEXT
) STRICT;

-- Alerts that are to be delivered.
CREATE TABLE IF NOT EXISTS alert (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL
) STRICT;

-- Alerts that were given and not armed again, with the window that they were about.
CREATE TABLE IF NOT EXISTS alert_state (
  name TEXT PRIMARY KEY,
  window INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was spent in each of the last hours, and how many replies there were in each of the last minutes.
CREATE TABLE IF NOT EXISTS alert_hour (
  hour INTEGER PRIMARY KEY,
  spent INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS alert_minute (
  minute INTEGER PRIMARY KEY,
  served INTEGER NOT NULL,
  fell_back INTEGER NOT NULL
) STRICT;

-- Keys of providers that accounts bring. `sealed` is opened outside of the object alone; `policy` is a
-- JSON object of the rules of its use.
-- `byok_used` of the account is what all of them were used for, which bounds every sum of a part of it.
ALTER TABLE account ADD COLUMN byok_used INTEGER NOT NULL DEFAULT 0 CHECK (byok_used >= 0);

CREATE TABLE IF NOT EXISTS byok_key (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  provider TEXT NOT NULL,
  sealed TEXT NOT NULL,
  label TEXT NOT NULL,
  policy TEXT NOT NULL,
  sort_order INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- Receipts: what an account did by day.

-- What was charged on each day in UTC, and what for. `usage` is what was charged, `fees` that part of
-- it that is fees for requests which the account's own keys at providers paid, `byok_usage` the list
-- price of those. Charges of before these tables have no classes of tokens. An empty workspace is the
-- account's first.
CREATE TABLE activity_day (
  day INTEGER NOT NULL,
  model TEXT NOT NULL,
  permaslug TEXT NOT NULL,
  provider TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  key_hash TEXT NOT NULL,
  workspace TEXT NOT NULL,
  requests INTEGER NOT NULL,
  input INTEGER NOT NULL DEFAULT 0,
  cache_read INTEGER NOT NULL DEFAULT 0,
  cache_write INTEGER NOT NULL DEFAULT 0,
  input_audio INTEGER NOT NULL DEFAULT 0,
  output INTEGER NOT NULL DEFAULT 0,
  reasoning INTEGER NOT NULL DEFAULT 0,
  output_audio INTEGER NOT NULL DEFAULT 0,
  output_image INTEGER NOT NULL DEFAULT 0,
  usage INTEGER NOT NULL DEFAULT 0,
  fees INTEGER NOT NULL DEFAULT 0,
  byok_usage INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (day, model, permaslug, provider, endpoint, key_hash, workspace)
) STRICT, WITHOUT ROWID;

INSERT INTO activity_day (day, model, permaslug, provider, endpoint, key_hash, workspace, requests, usage)
  SELECT at / 86400000, '', '', '', '', COALESCE(key_hash, ''), '', COUNT(*), SUM(amount) FROM ledger
  WHERE kind = 'charge' AND amount > 0 GROUP BY 1, 6;

-- A statement reads the grants of a month, which are few among many charges.
CREATE INDEX grant_by_time ON ledger (at) WHERE kind = 'grant';

-- version 6

-- Roles: who may manage what.

-- The role in this workspace; NULL for the one in the account.
ALTER TABLE workspace_member ADD COLUMN role TEXT CHECK (role IN ('admin', 'member'));

-- Where a key is to be that a code stands for, and which member agreed.
ALTER TABLE auth_code ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';
ALTER TABLE auth_code ADD COLUMN creator_user_id TEXT;

-- Limits of rate.

-- How many requests and tokens a minute, and how many requests at once, a scope or each of its keys,
-- members or end users may have. NULL is no limit.
CREATE TABLE rate_limit (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL CHECK (scope IN ('account', 'workspace', 'key', 'user')),
  subject TEXT NOT NULL,
  per TEXT NOT NULL CHECK (per IN ('all', 'key', 'user', 'end_user')),
  model TEXT,
  requests INTEGER CHECK (requests >= 0),
  tokens INTEGER CHECK (tokens >= 0),
  concurrent INTEGER CHECK (concurrent >= 0)
) STRICT;

-- What was taken of a limit in a minute, counted from 1970; slices that isolates have are taken. Limit 0
-- is that of free models: `minute`, and `day` with a day instead.
CREATE TABLE rate_count (
  rate INTEGER NOT NULL,
  who TEXT NOT NULL,
  minute INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  PRIMARY KEY (rate, who)
) STRICT, WITHOUT ROWID;

-- How many requests may be under way on it: one for a hold.
ALTER TABLE lease ADD COLUMN slots INTEGER NOT NULL DEFAULT 0 CHECK (slots >= 0);
