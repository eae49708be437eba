/* SPDX-License-Identifier: MIT
 *
 * Lists of files, of which each lies in a file of its own beside the database and is named by one
 * job. They go when the job does: a trigger of this connection takes their names down in the
 * transaction that removes the jobs, and the files are removed after its commit. What a death
 * leaves between these two, or before a job was recorded, is found at the next opening, when
 * nothing is under way. Files of other queues, whose databases may come back, are left alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sqlite3.h>

#include "daemon/control/queue_db_impl.h"
#include "daemon/log.h"

static int open_directory(const struct database *d)
{
    char path[sizeof d->path + sizeof QUEUE_DB_LISTS];

    snprintf(path, sizeof path, "%s" QUEUE_DB_LISTS, d->path);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_file(const struct database *d, int dir, const char *name)
{
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        log_warning("the list of files %s" QUEUE_DB_LISTS "/%s of a job that is gone cannot be "
                    "removed: %s",
                    d->path, name, strerror(errno));
}

static int is_named(sqlite3_stmt *st, const char *name)
{
    int rc;

    sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    sqlite3_reset(st);
    return rc;
}

/* Takes over dir. */
static int sweep(struct database *d, int dir, const char *prefix, sqlite3_stmt *st)
{
    DIR *entries = fdopendir(dir);
    const struct dirent *entry;
    int rc = SQLITE_DONE;

    if (entries == NULL) {
        close(dir);
        return rc;
    }
    while ((rc == SQLITE_DONE || rc == SQLITE_ROW) && (entry = readdir(entries)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        rc = is_named(st, entry->d_name);
        if (rc == SQLITE_DONE)
            remove_file(d, dir, entry->d_name);
    }
    closedir(entries);
    return rc;
}

int database_sweep_lists(struct database *d, const unsigned char id[XFER_QUEUE_ID_SIZE],
                         struct xfer_error *err)
{
    char prefix[2 * XFER_QUEUE_ID_SIZE + 1];
    sqlite3_stmt *st;
    int dir, rc = sqlite3_exec(d->sql,
                               "CREATE TEMP TABLE lists_gone (name TEXT NOT NULL);"
                               "CREATE TEMP TRIGGER lists_gone AFTER DELETE ON main.jobs "
                               "WHEN old.list IS NOT NULL BEGIN "
                               "INSERT INTO lists_gone VALUES (old.list); END",
                               NULL, NULL, NULL);

    if (rc != SQLITE_OK)
        return database_error(d, rc, true, err);
    dir = open_directory(d);
    if (dir < 0)
        return 0;
    for (size_t i = 0; i < XFER_QUEUE_ID_SIZE; i++)
        snprintf(prefix + 2 * i, 3, "%02x", id[i]);
    rc = sqlite3_prepare_v2(d->sql, "SELECT 1 FROM jobs WHERE list = ?1", -1, &st, NULL);
    if (rc != SQLITE_OK) {
        close(dir);
        return database_error(d, rc, true, err);
    }
    rc = sweep(d, dir, prefix, st);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : database_error(d, rc, true, err);
}

void database_forget_lists(struct database *d)
{
    sqlite3_stmt *st;
    int dir = -1;

    if (sqlite3_prepare_v2(d->sql, "SELECT name FROM temp.lists_gone", -1, &st, NULL) != SQLITE_OK)
        return;
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);

        if (dir < 0)
            dir = open_directory(d);
        if (name != NULL && dir >= 0)
            remove_file(d, dir, name);
    }
    sqlite3_finalize(st);
    if (dir >= 0)
        close(dir);
    sqlite3_exec(d->sql, "DELETE FROM temp.lists_gone", NULL, NULL, NULL);
}
