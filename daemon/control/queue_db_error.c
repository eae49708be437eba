/* SPDX-License-Identifier: MIT
 *
 * What SQLite reports, in the words of who has to do something about it.
 */
#include "daemon/control/queue_db_impl.h"

#include <errno.h>
#include <string.h>
#include <sqlite3.h>

#define MOVE_AWAY                                                                                  \
    "restore it from a copy, or move it and its -wal file away for an empty queue (the jobs that " \
    "are only in it are lost then)"

int database_damaged(const char *path, const char *how, struct xfer_error *err)
{
    error_set(err, XFER_CONFIG, "queue database %s is damaged: %s; " MOVE_AWAY, path, how);
    return error_about(err, XFER_SIDE_DAEMON, path);
}

/* An I/O error, or a file that can't be opened: the system says more than SQLite. */
static void set_system_error(struct database *d, int errnum, const char *what, bool opening,
                             struct xfer_error *err)
{
    enum xfer_code code = errnum != 0 ? error_code_of_errno(errnum) : XFER_IO;
    const char *advice = "";

    if (code == XFER_NO_SUCH_FILE || code == XFER_DESTINATION_EXISTS)
        code = XFER_IO; /* those are for a job's files */
    if (opening && code == XFER_NO_SPACE)
        advice = "; make room on its file system";
    else if (opening && code == XFER_PERMISSION_DENIED)
        advice = "; let this user write to it, its -wal file and its directory";
    else if (opening && code == XFER_READ_ONLY)
        advice = "; put it on a file system that can be written";
    error_set(err, code, "queue database %s: %s%s%s%s", d->path, what, errnum != 0 ? ": " : "",
              errnum != 0 ? strerror(errnum) : "", advice);
    err->sys_errno = errnum;
}

int database_error(struct database *d, int rc, bool opening, struct xfer_error *err)
{
    bool last = d->sql != NULL && (sqlite3_errcode(d->sql) & 0xff) == (rc & 0xff);
    const char *what = last ? sqlite3_errmsg(d->sql) : sqlite3_errstr(rc);
    int errnum = last ? sqlite3_system_errno(d->sql) : 0;

    if (errnum == 0)
        errnum = d->step_errno;

    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        if (opening)
            return database_damaged(d->path,
                                    (rc & 0xff) == SQLITE_NOTADB
                                        ? "its header is broken, or it never was a database"
                                        : what,
                                    err);
        error_set(err, XFER_IO, "queue database %s is damaged: %s", d->path, what);
        break;
    case SQLITE_FULL:
        set_system_error(d, ENOSPC, "cannot be written", opening, err);
        break;
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            error_set(err, XFER_NO_RESOURCES, "no memory for the queue database");
        else
            set_system_error(d, errnum, what, opening, err);
        break;
    case SQLITE_CANTOPEN:
        set_system_error(d, errnum, what, opening, err);
        break;
    case SQLITE_READONLY:
        error_set(err, XFER_READ_ONLY, "queue database %s cannot be written%s", d->path,
                  opening ? "; let this user write to it, its -wal file and its directory" : "");
        break;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        error_set(err, XFER_PERMISSION_DENIED, "queue database %s: %s", d->path, what);
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        error_set(err, XFER_TOO_BUSY, "queue database %s is in use by another process", d->path);
        break;
    case SQLITE_NOMEM:
        error_set(err, XFER_NO_RESOURCES, "no memory for the queue database");
        break;
    default:
        error_set(err, XFER_INTERNAL, "queue database %s: %s", d->path, what);
        break;
    }
    return error_about(err, XFER_SIDE_DAEMON, d->path);
}
