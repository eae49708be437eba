/* SPDX-License-Identifier: MIT
 *
 * Rows as such: made, freed, and looked at. What no row may be is refused before it is written, and
 * found when it is read.
 */
#include "daemon/control/queue_db_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MAX 1e12 /* Unix seconds; beyond it something is wrong */

struct queue_row *queue_row_create(void)
{
    struct queue_row *row = calloc(1, sizeof *row);

    if (row != NULL) {
        row->n_groups = -1;
        row->preserve = PRESERVE_DEFAULT;
    }
    return row;
}

void queue_row_destroy(struct queue_row *row)
{
    if (row == NULL)
        return;
    free(row->source);
    free(row->dest);
    free(row->key);
    free(row->error_text);
    free(row->error_path);
    free(row->groups);
    free(row->stored);
    free(row->list);
    control_strings_free(&row->filter);
    free(row);
}

static bool within(int64_t value, int64_t min, int64_t max)
{
    return value >= min && value <= max;
}

static bool length_within(const char *text, size_t min, size_t max)
{
    size_t len = text != NULL ? strnlen(text, max + 1) : 0;

    return len >= min && len <= max;
}

static bool is_time(double t)
{
    return isfinite(t) && t >= 0 && t <= TIME_MAX;
}

static bool state_and_end_agree(const struct queue_row *row)
{
    if (row->state == JOB_QUEUED)
        return row->ended == 0;
    return within((int64_t)row->state, JOB_DONE, JOB_CANCELLED) &&
           within(row->ended, 1, XFER_JSON_INTEGER_MAX);
}

static bool is_filter(const struct control_strings *filter)
{
    size_t bytes = 0;

    for (size_t i = 0; i < filter->n; i++) {
        size_t len = strnlen(filter->list[i], XFER_FILTER_SIZE);

        if (len == 0)
            return false;
        bytes += len + 1;
    }
    return filter->n <= XFER_FILTER_RULES_MAX && bytes <= XFER_FILTER_SIZE;
}

static bool are_counts(const struct queue_row *row)
{
    return row->files_total >= 0 && row->files_done >= 0 && row->files_failed >= 0 &&
           row->files_skipped >= 0 && row->errors >= 0 && row->warnings >= 0;
}

const char *queue_row_fault(const struct queue_row *row)
{
    const struct {
        const char *column;
        bool good;
    } checks[] = {
        {"id", within(row->id, 1, XFER_JSON_INTEGER_MAX)},
        {"position", within(row->position, 0, XFER_JSON_INTEGER_MAX)},
        {"state", state_and_end_agree(row)},
        {"priority", within(row->priority, -XFER_PRIORITY_MAX, XFER_PRIORITY_MAX)},
        {"overwrite", within((int64_t)row->overwrite, OVERWRITE_REPLACE, OVERWRITE_NEWER)},
        {"sync", within((int64_t)row->sync, SYNC_FILE, SYNC_DEFAULT)},
        {"retries", within(row->retries, 0, XFER_RETRIES_MAX)},
        {"source", length_within(row->source, 1, XFER_PATH_SIZE - 1)},
        {"dest", row->dest != NULL && length_within(row->dest, 0, XFER_PATH_SIZE - 1)},
        {"key", row->key == NULL || length_within(row->key, 1, XFER_KEY_MAX)},
        {"attempts", within(row->attempts, 0, XFER_JSON_INTEGER_MAX)},
        {"failures", within(row->failures, 0, XFER_JSON_INTEGER_MAX)},
        {"not_before", is_time(row->not_before)},
        {"submitted_at", is_time(row->submitted_at)},
        {"started_at", is_time(row->started_at)},
        {"finished_at", is_time(row->finished_at)},
        {"bytes_total", row->bytes_total >= 0},
        {"bytes_done", row->bytes_done >= 0},
        {"bytes_resumed", row->bytes_resumed >= 0},
        {"error", within((int64_t)row->error_code, XFER_OK, XFER_CODE_COUNT - 1)},
        {"error_side", within((int64_t)row->error_side, XFER_SIDE_NONE, XFER_SIDE_COUNT - 1)},
        {"error_errno", row->error_errno >= 0},
        {"error_text", length_within(row->error_text, 0, XFER_ERROR_TEXT_SIZE - 1)},
        {"error_path", length_within(row->error_path, 0, XFER_PATH_SIZE - 1)},
        {"groups", within(row->n_groups, -1, XFER_GROUPS_MAX)},
        {"bandwidth", within(row->bandwidth, 0, XFER_JSON_INTEGER_MAX)},
        {"preserve", row->preserve <= PRESERVE_ALL},
        {"filter", is_filter(&row->filter)},
        {"list", row->list == NULL || (length_within(row->list, 1, XFER_NAME_MAX) &&
                                       strchr(row->list, '/') == NULL)},
        {"files_total", are_counts(row)},
        {"stored", row->stored == NULL || length_within(row->stored, 1, XFER_PATH_SIZE - 1)},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!checks[i].good)
            return checks[i].column;
    return NULL;
}
