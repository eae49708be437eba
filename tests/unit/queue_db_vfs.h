/* SPDX-License-Identifier: MIT
 *
 * A disk that fails on request: SQLite's own file layer with something in between. Installed as the
 * default before a database is opened.
 */
#ifndef XFER_TESTS_QUEUE_DB_VFS_H
#define XFER_TESTS_QUEUE_DB_VFS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sqlite3.h>

static struct {
    sqlite3_vfs *real;
    atomic_int log_syncs, main_syncs; /* counted */
    atomic_int fail_writes;           /* of the log: so many fail, disk full */
    atomic_int pass_syncs;            /* of the log: so many more are good, then */
    atomic_int fail_syncs;            /* so many fail, I/O error */
    atomic_int fail_truncates;        /* of the log */
    atomic_int fail_main_writes;      /* of the database */
    pthread_mutex_t gate;             /* each sync of the log goes through it */
} disk = {.gate = PTHREAD_MUTEX_INITIALIZER};

struct disk_file {
    sqlite3_file base;
    bool is_log, is_main;
    sqlite3_file *real;
};

#define REAL(file) (((struct disk_file *)(file))->real)

static bool use_up(atomic_int *left)
{
    int n = atomic_load(left);

    while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1))
        ;
    return n > 0;
}

static int disk_close(sqlite3_file *f)
{
    return REAL(f)->pMethods->xClose(REAL(f));
}

static int disk_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return REAL(f)->pMethods->xRead(REAL(f), to, n, at);
}

static int disk_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    struct disk_file *file = (struct disk_file *)f;

    if ((file->is_log && use_up(&disk.fail_writes)) ||
        (file->is_main && use_up(&disk.fail_main_writes)))
        return SQLITE_FULL;
    return REAL(f)->pMethods->xWrite(REAL(f), from, n, at);
}

static int disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (((struct disk_file *)f)->is_log && use_up(&disk.fail_truncates))
        return SQLITE_IOERR_TRUNCATE;
    return REAL(f)->pMethods->xTruncate(REAL(f), size);
}

static int disk_sync(sqlite3_file *f, int flags)
{
    struct disk_file *file = (struct disk_file *)f;

    if (file->is_log) {
        pthread_mutex_lock(&disk.gate);
        pthread_mutex_unlock(&disk.gate);
        atomic_fetch_add(&disk.log_syncs, 1);
        if (!use_up(&disk.pass_syncs) && use_up(&disk.fail_syncs))
            return SQLITE_IOERR_FSYNC;
    }
    if (file->is_main)
        atomic_fetch_add(&disk.main_syncs, 1);
    return REAL(f)->pMethods->xSync(REAL(f), flags);
}

static int disk_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int disk_lock(sqlite3_file *f, int level)
{
    return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int disk_unlock(sqlite3_file *f, int level)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int disk_check_lock(sqlite3_file *f, int *out)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}

static int disk_control(sqlite3_file *f, int op, void *arg)
{
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int disk_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int disk_device(sqlite3_file *f)
{
    return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 1,
        .xClose = disk_close,
        .xRead = disk_read,
        .xWrite = disk_write,
        .xTruncate = disk_truncate,
        .xSync = disk_sync,
        .xFileSize = disk_size,
        .xLock = disk_lock,
        .xUnlock = disk_unlock,
        .xCheckReservedLock = disk_check_lock,
        .xFileControl = disk_control,
        .xSectorSize = disk_sector,
        .xDeviceCharacteristics = disk_device,
    };
    struct disk_file *file = (struct disk_file *)f;
    int rc;

    (void)vfs;
    memset(file, 0, sizeof *file);
    file->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    file->is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    file->real = (sqlite3_file *)(file + 1);
    rc = disk.real->xOpen(disk.real, name, file->real, flags, out);
    file->base.pMethods = file->real->pMethods != NULL ? &methods : NULL;
    return rc;
}

static void disk_install(void)
{
    static sqlite3_vfs vfs;

    if (disk.real != NULL)
        return;
    disk.real = sqlite3_vfs_find(NULL);
    vfs = *disk.real;
    vfs.pNext = NULL;
    vfs.zName = "disk";
    vfs.szOsFile += (int)sizeof(struct disk_file);
    vfs.xOpen = disk_open;
    sqlite3_vfs_register(&vfs, 1);
}

static inline void disk_heal(void)
{
    atomic_store(&disk.fail_writes, 0);
    atomic_store(&disk.pass_syncs, 0);
    atomic_store(&disk.fail_syncs, 0);
    atomic_store(&disk.fail_truncates, 0);
    atomic_store(&disk.fail_main_writes, 0);
}

#endif
