/* SPDX-License-Identifier: MIT
 *
 * The write-ahead log. Two things of it are xfer's own.
 *
 * Checkpoints are made between operations, not within the commit of one.
 *
 * A commit that failed must not come back. SQLite takes it back in memory, but its frames may lie
 * in the log whole, with a commit mark (written, and only the fsync failed): after a crash the next
 * opening would read them as a commit, and a job would run of which its submitter was told that it
 * was not accepted. A later commit overwrites them; until one succeeds they are cut off here, at
 * the end of the last good commit. Where that is: as many frames as SQLite told after it, unless
 * the failed commit was the first of a log begun anew (its header has changed, and all before it
 * was in the database already), then nothing of the log counts.
 *
 * What remains: a disk that takes no ftruncate() either. It is tried again before the next
 * commit; if the machine goes down before, such a job may appear after all. A submission with a key
 * finds it then.
 */
#include "daemon/control/queue_db_impl.h"

#include <string.h>
#include <sqlite3.h>

#include "daemon/log.h"

#define FRAME_HEADER 24

static sqlite3_file *log_file(struct database *d)
{
    sqlite3_file *file = NULL;

    if (sqlite3_file_control(d->sql, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK ||
        file == NULL || file->pMethods == NULL)
        return NULL;
    return file;
}

/* In place of SQLite's own hook, which would make checkpoints. */
static int committed_cb(void *user, sqlite3 *sql, const char *name, int frames)
{
    struct database *d = user;

    (void)sql;
    (void)name;
    d->wal_frames = frames;
    return SQLITE_OK;
}

void wal_watch(struct database *d)
{
    sqlite3_file *file = log_file(d);
    sqlite3_int64 size = 0;

    d->wal_frames = 0;
    memset(d->wal_header, 0, sizeof d->wal_header);
    d->wal_known =
        file == NULL || (file->pMethods->xFileSize(file, &size) == SQLITE_OK && size == 0);
    sqlite3_wal_hook(d->sql, committed_cb, d);
}

void wal_committed(struct database *d)
{
    sqlite3_file *file = log_file(d);

    d->wal_unclean = false;
    d->wal_known = file != NULL &&
                   file->pMethods->xRead(file, d->wal_header, sizeof d->wal_header, 0) == SQLITE_OK;
}

/* Never a guess: without knowing where the good part ends, nothing is cut. */
static int cut_off(struct database *d, sqlite3_file *file)
{
    unsigned char header[sizeof d->wal_header];
    sqlite3_int64 size, good = 0;
    int rc = file->pMethods->xFileSize(file, &size);

    if (rc != SQLITE_OK || size < (sqlite3_int64)sizeof header)
        return rc;
    if (!d->wal_known)
        return SQLITE_IOERR_READ;
    rc = file->pMethods->xRead(file, header, sizeof header, 0);
    if (rc != SQLITE_OK)
        return rc;
    if (memcmp(header, d->wal_header, sizeof header) == 0)
        good = (sqlite3_int64)sizeof header + d->wal_frames * (d->page_size + FRAME_HEADER);
    if (size > good)
        rc = file->pMethods->xTruncate(file, good);
    return rc == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : rc;
}

void wal_clean(struct database *d)
{
    sqlite3_file *file = log_file(d);
    int rc = file != NULL ? cut_off(d, file) : SQLITE_OK;

    if (rc != SQLITE_OK && !d->wal_unclean)
        log_error("queue database %s: a commit that failed cannot be taken out of its log: %s",
                  d->path, sqlite3_errstr(rc));
    d->wal_unclean = rc != SQLITE_OK;
}

int wal_checkpoint(struct database *d)
{
    return sqlite3_wal_checkpoint_v2(d->sql, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}
