/* SPDX-License-Identifier: MIT
 *
 * What xferctl prints: data on stdout, messages on stderr, colour only where it is wanted. Nothing
 * that came from elsewhere reaches a terminal unescaped. A failed write is remembered and tells at
 * the end.
 */
#ifndef XFER_CTL_OUTPUT_H
#define XFER_CTL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/control_reply.h"
#include "proto/error.h"

struct output;
struct progress;

enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct output *output_create(bool json, bool quiet, enum color_mode color); /* NULL: no memory */
void output_destroy(struct output *out); /* NULL is fine; destroys the progress bar, too */

/* The bar to take away before anything else is printed; NULL when this output has none (no
 * terminal, -q, NO_COLOR). */
struct progress *output_progress(struct output *out);

bool output_is_terminal(const struct output *out); /* standard output is one, and not a dumb one */
bool output_color(const struct output *out);       /* colour is wanted there */

/* One line of data (the LF is added). */
void output_line(struct output *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_text(struct output *out, const char *text);

/* Could everything be written? -1: no, and *err says why. */
int output_check(struct output *out, struct xfer_error *err);

/* "xferctl: ..." on stderr; a notice is left out with -q. */
void output_message(struct output *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_notice(struct output *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A failure that is no job's: on stderr, or with --json as {"error":..,"exit_code":..}. error_text:
 * the error object as it came, or NULL; job: its number or 0; about: what it is about, to stand
 * before the text, or NULL. */
void output_failure(struct output *out, const struct xfer_error *err, const char *error_text,
                    int64_t job, const char *about, int exit_code);

/* A name for stdout: as xxhsum prints it, and harmless where stdout is a terminal. *escaped is set
 * (never cleared) when the line must begin with a backslash. The caller frees. */
char *output_name(const struct output *out, const char *name, bool *escaped);

/* The name of a state, padded to width, with its colour. out_size: 64 is enough. */
const char *output_state(const struct output *out, enum job_state state, int width, char *buf,
                         size_t size);

/* text as a JSON string, quotes included, which the caller frees; it must be UTF-8. */
char *output_json_string(const char *text);

#endif
