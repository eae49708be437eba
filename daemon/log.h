/* SPDX-License-Identifier: MIT
 *
 * The daemon's log: lines on stderr. Where the end of that is systemd's journal, entries with
 * fields go there instead; if it does not take them at once, lines all the same, with a "<N>"
 * priority prefix (sd-daemon(3)). Any thread, any rank. One system call each; what cannot be
 * written at once is dropped, so that logging never blocks the loop.
 */
#ifndef XFER_DAEMON_LOG_H
#define XFER_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/error.h"

/* Set to 1 in the environment of the ranks by a supervisor whose own stderr is the journal. */
#define LOG_PREFIX_VARIABLE "XFER_LOG_PREFIX"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* rank: -1 for none. "xferd" or "xferd[RANK]" stands in front of each line. May be called again. */
void log_init(int rank);
void log_set_level(enum log_level level);
int log_level_by_name(
    const char *name); /* error, warning, notice, info, debug; -1: none of these */
const char *log_level_name(int level);

/* Is it the journal that reads? */
bool log_has_prefix(void);

/* At priority notice, whatever the level. */
void log_announce(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* About a job (0: none) and a file (NULL: none), which the text names, too; the journal gets them
 * as fields XFER_JOB and XFER_PATH. */
void log_job(enum log_level level, int64_t job, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
