/* SPDX-License-Identifier: MIT
 *
 * The daemon's log: lines on stderr. Where stderr is the journal they carry a "<N>" priority prefix
 * (sd-daemon(3)). Any thread, any rank. One write(2) a line; a line that cannot be written at once
 * is dropped, so that logging never blocks the loop.
 */
#ifndef XFER_DAEMON_LOG_H
#define XFER_DAEMON_LOG_H

#include <stdbool.h>

#include "proto/error.h"

/* Set to 1 in the environment of the ranks by a supervisor whose own lines carry the prefix. */
#define LOG_PREFIX_VARIABLE "XFER_LOG_PREFIX"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* who: "xferd", "xferd[0]", "xferd[1]": stands in front of each line (copied). */
void log_init(const char *who);
void log_set_level(enum log_level level);
int log_level_by_name(
    const char *name); /* error, warning, notice, info, debug; -1: none of these */
const char *log_level_name(int level);

/* Do lines carry the "<N>" prefix? */
bool log_has_prefix(void);

/* At priority notice, whatever the level. */
void log_announce(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
