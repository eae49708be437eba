/* SPDX-License-Identifier: MIT
 *
 * What xferctl prints. Every line is flushed: whoever reads a pipe of a waiting xferctl sees it
 * when it happens.
 */
#include "ctl/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/progress.h"
#include "proto/text.h"

struct output {
    bool json;
    bool quiet;
    bool color;
    bool terminal;
    int failed; /* errno of the first write that failed */
    struct progress *progress;
};

static bool plain_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return (no_color && *no_color) || (term && strcmp(term, "dumb") == 0);
}

struct output *output_create(bool json, bool quiet, enum color_mode color)
{
    struct output *out = calloc(1, sizeof(*out));

    if (!out)
        return NULL;
    out->json = json;
    out->quiet = quiet;
    out->terminal = isatty(STDOUT_FILENO);
    out->color = !json && (color == COLOR_ALWAYS ||
                           (color == COLOR_AUTO && out->terminal && !plain_wanted()));
    if (!quiet && isatty(STDERR_FILENO) && !plain_wanted()) {
        out->progress = progress_create();
        if (!out->progress) {
            free(out);
            return NULL;
        }
    }
    return out;
}

void output_destroy(struct output *out)
{
    if (!out)
        return;
    progress_destroy(out->progress);
    free(out);
}

struct progress *output_progress(struct output *out)
{
    return out->progress;
}

bool output_is_terminal(const struct output *out)
{
    const char *term = getenv("TERM");

    return out->terminal && !(term && strcmp(term, "dumb") == 0);
}

bool output_color(const struct output *out)
{
    return out->color;
}

static void end_line(struct output *out)
{
    errno = 0;
    if ((fputc('\n', stdout) == EOF || fflush(stdout) == EOF || ferror(stdout)) && !out->failed)
        out->failed = errno ? errno : EIO;
}

void output_line(struct output *out, const char *fmt, ...)
{
    va_list ap;

    if (out->failed)
        return;
    progress_clear(out->progress);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    end_line(out);
}

void output_text(struct output *out, const char *text)
{
    if (out->failed)
        return;
    progress_clear(out->progress);
    fputs(text, stdout);
    end_line(out);
}

int output_check(struct output *out, struct xfer_error *err)
{
    if (!out->failed)
        return 0;
    return error_set(err, XFER_IO, "standard output: %s", strerror(out->failed));
}

__attribute__((format(printf, 2, 0))) static void message(struct output *out, const char *fmt,
                                                          va_list ap)
{
    progress_clear(out->progress);
    fputs("xferctl: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void output_message(struct output *out, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(out, fmt, ap);
    va_end(ap);
}

void output_notice(struct output *out, const char *fmt, ...)
{
    va_list ap;

    if (out->quiet)
        return;
    va_start(ap, fmt);
    message(out, fmt, ap);
    va_end(ap);
}

void output_failure(struct output *out, const struct xfer_error *err, const char *error_text,
                    int64_t job, const char *about, int exit_code)
{
    if (out->json) {
        char *own = error_text ? NULL : control_error_encode(err, job);

        if (error_text || own) {
            output_line(out, "{\"error\":%s,\"exit_code\":%d}", error_text ? error_text : own,
                        exit_code);
            free(own);
            return;
        }
    }

    char text[XFER_ERROR_TEXT_SIZE];
    char *shown = about ? text_printable(about) : NULL;

    memcpy(text, err->text, sizeof(text));
    text[sizeof(text) - 1] = '\0';
    error_clean(text);
    /* Many texts begin with the file that they are about. */
    if (shown && strncmp(text, shown, strlen(shown)) == 0 && text[strlen(shown)] == ':') {
        free(shown);
        shown = NULL;
    }
    if (job)
        output_message(out, "job %lld: %s%s%s", (long long)job, shown ? shown : "",
                       shown ? ": " : "", text);
    else
        output_message(out, "%s%s%s", shown ? shown : "", shown ? ": " : "", text);
    free(shown);
}

char *output_name(const struct output *out, const char *name, bool *escaped)
{
    bool changed = false;
    char *shown;

    if (!out->terminal) {
        shown = text_escape_name(name, &changed);
    } else {
        shown = text_printable(name);
        changed = shown && strcmp(shown, name) != 0;
    }
    if (changed)
        *escaped = true;
    return shown;
}

const char *output_state(const struct output *out, enum job_state state, int width, char *buf,
                         size_t size)
{
    static const char *const colors[JOB_STATE_COUNT] = {
        [JOB_QUEUED] = "33", [JOB_RUNNING] = "36",   [JOB_DONE] = "32",
        [JOB_FAILED] = "31", [JOB_CANCELLED] = "35",
    };

    if (out->color)
        snprintf(buf, size, "\033[%sm%-*s\033[0m", colors[state], width, job_state_name(state));
    else
        snprintf(buf, size, "%-*s", width, job_state_name(state));
    return buf;
}

char *output_json_string(const char *text)
{
    char *json = malloc(6 * strlen(text) + 3);
    char *to = json;

    if (!json)
        return NULL;
    *to++ = '"';
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f) {
            to += sprintf(to, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\')
                *to++ = '\\';
            *to++ = (char)c;
        }
    }
    *to++ = '"';
    *to = '\0';
    return json;
}
