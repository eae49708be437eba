/* SPDX-License-Identifier: MIT
 *
 * The schema, as steps. A database tells by its user_version how many it has had; those that it
 * lacks are taken at the next opening, in one transaction.
 */
#include "daemon/control/queue_db_impl.h"

const char *const queue_db_steps[] = {
    /* 1: AUTOINCREMENT remembers the highest id also when its row is gone. state: 0 queued, 2 done,
       3 failed, 4 cancelled. File names are blobs. */
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE jobs ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  position INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  ended INTEGER NOT NULL,"
    "  owner INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL,"
    "  overwrite INTEGER NOT NULL,"
    "  sync INTEGER NOT NULL,"
    "  retries INTEGER NOT NULL,"
    "  source BLOB NOT NULL,"
    "  dest BLOB NOT NULL,"
    "  key TEXT,"
    "  attempts INTEGER NOT NULL,"
    "  failures INTEGER NOT NULL,"
    "  not_before REAL NOT NULL,"
    "  submitted_at REAL NOT NULL,"
    "  started_at REAL NOT NULL,"
    "  finished_at REAL NOT NULL,"
    "  bytes_total INTEGER NOT NULL,"
    "  bytes_done INTEGER NOT NULL,"
    "  bytes_resumed INTEGER NOT NULL,"
    "  digest BLOB,"
    "  error TEXT,"
    "  error_side TEXT,"
    "  error_errno INTEGER NOT NULL,"
    "  error_text TEXT,"
    "  error_path BLOB);"
    "CREATE UNIQUE INDEX jobs_key ON jobs (owner, key) WHERE key IS NOT NULL;"
    "INSERT INTO meta VALUES ('queue_id', randomblob(16)), ('paused', 0), ('draining', 0),"
    "  ('last_ended', 0);",

    /* 2: what the start and the lists read. The id is the last column of each index. */
    "CREATE INDEX jobs_unfinished ON jobs (position) WHERE ended = 0;"
    "CREATE INDEX jobs_ended ON jobs (ended) WHERE ended > 0;"
    "CREATE INDEX jobs_state ON jobs (state) WHERE ended > 0;"
    "CREATE INDEX jobs_state_ended ON jobs (state, ended) WHERE ended > 0;"
    "CREATE INDEX jobs_owner ON jobs (owner, state) WHERE ended > 0;"
    "CREATE INDEX jobs_owner_ended ON jobs (owner, state, ended) WHERE ended > 0;",

    /* 3: who asked (groups: 32 bits each, little-endian; NULL: not known), how fast it may be,
       which file was handed over as an open descriptor, and where the receiver has put it. */
    "ALTER TABLE jobs ADD COLUMN gid INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN groups BLOB;"
    "ALTER TABLE jobs ADD COLUMN bandwidth INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN handle INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN handle_dev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN handle_ino INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN stored BLOB;",

    /* 4: trees. preserve: enum preserve. filter: rules, each ended by a NUL. flags: 1 dry run, 2
       checksum, 4 one file system. The notes of a job go with it. */
    "ALTER TABLE jobs ADD COLUMN preserve INTEGER NOT NULL DEFAULT 3;"
    "ALTER TABLE jobs ADD COLUMN filter BLOB;"
    "ALTER TABLE jobs ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN list TEXT;"
    "ALTER TABLE jobs ADD COLUMN tree INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN files_total INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN files_done INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN files_failed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN files_skipped INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN warnings INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX jobs_list ON jobs (list) WHERE list IS NOT NULL;"
    "CREATE TABLE job_notes ("
    "  job INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL," /* 0 error, 1 warning, 2 plan */
    "  n INTEGER NOT NULL,"
    "  path BLOB NOT NULL,"
    "  error TEXT,"
    "  error_side TEXT,"
    "  error_errno INTEGER NOT NULL,"
    "  error_text TEXT,"
    "  action INTEGER NOT NULL,"
    "  type INTEGER NOT NULL,"
    "  size INTEGER NOT NULL,"
    "  PRIMARY KEY (job, kind, n)) WITHOUT ROWID;"
    "CREATE TRIGGER jobs_forgotten AFTER DELETE ON jobs BEGIN"
    "  DELETE FROM job_notes WHERE job = old.id; END;",
};

const int queue_db_version = sizeof queue_db_steps / sizeof queue_db_steps[0];
