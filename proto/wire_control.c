/* SPDX-License-Identifier: MIT
 *
 * See wire.h: the messages of the control communicator, which belong to no file, but for those
 * about trees (wire_look.c).
 */
#include <assert.h>
#include <string.h>

#include "proto/wire.h"
#include "proto/wire_bytes.h"

/* ---- HELLO ---- */

/* flags */
#define HELLO_CALLER   0x00000001u
#define HELLO_PER_USER 0x00000002u

size_t wire_hello_encode(const struct wire_hello *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_HELLO, 0);

    wire_put_uint(&w, m->version, 4);
    wire_put_uint(&w, m->lanes, 4);
    wire_put_uint(&w, m->chunk, 4);
    wire_put_uint(&w, m->window, 4);
    wire_put_uint(&w, m->pid, 8);
    wire_put_bytes(&w, m->queue_id, XFER_QUEUE_ID_SIZE);
    wire_put_uint(&w, (m->caller ? HELLO_CALLER : 0) | (m->per_user ? HELLO_PER_USER : 0), 4);
    wire_put_string(&w, m->host, XFER_HOST_SIZE - 1);
    wire_put_string(&w, m->root, XFER_PATH_SIZE - 1);
    wire_put_string(&w, m->doorbell, XFER_PATH_SIZE - 1);
    wire_put_error(&w, &m->error, true);
    return wire_finish(&w);
}

int wire_hello_decode(const void *buf, size_t len, struct wire_hello *m, struct xfer_error *err)
{
    struct wire_reader r;
    const unsigned char *id;
    uint64_t flags;

    if (wire_open_control(&r, buf, len, WIRE_HELLO, err))
        return -1;
    m->version = (uint32_t)wire_get_uint(&r, 4);
    m->lanes = (uint32_t)wire_get_uint(&r, 4);
    m->chunk = (uint32_t)wire_get_uint(&r, 4);
    m->window = (uint32_t)wire_get_uint(&r, 4);
    m->pid = wire_get_uint(&r, 8);
    id = wire_get_bytes(&r, XFER_QUEUE_ID_SIZE);
    if (id)
        memcpy(m->queue_id, id, XFER_QUEUE_ID_SIZE);
    flags = wire_get_uint(&r, 4);
    if (wire_get_string(&r, m->host, sizeof(m->host), NULL))
        return wire_bad(err, WIRE_HELLO, "host");
    if (wire_get_string(&r, m->root, sizeof(m->root), NULL))
        return wire_bad(err, WIRE_HELLO, "root");
    if (wire_get_string(&r, m->doorbell, sizeof(m->doorbell), NULL))
        return wire_bad(err, WIRE_HELLO, "doorbell");
    if (wire_get_error(&r, &m->error))
        return wire_bad(err, WIRE_HELLO, "error");
    if (wire_close(&r, WIRE_HELLO, err))
        return -1;
    if (m->version == 0)
        return wire_bad(err, WIRE_HELLO, "version");
    if (m->lanes == 0 || m->lanes > XFER_LANES_MAX)
        return wire_bad(err, WIRE_HELLO, "number of lanes");
    if (m->chunk < XFER_CHUNK_MIN || m->chunk > XFER_CHUNK_MAX)
        return wire_bad(err, WIRE_HELLO, "chunk size");
    if (m->window == 0 || m->window > XFER_LANE_FILES_MAX)
        return wire_bad(err, WIRE_HELLO, "window");
    if (m->pid > INT32_MAX)
        return wire_bad(err, WIRE_HELLO, "pid");
    if (flags & ~(uint64_t)(HELLO_CALLER | HELLO_PER_USER))
        return wire_bad(err, WIRE_HELLO, "option");
    m->caller = flags & HELLO_CALLER;
    m->per_user = flags & HELLO_PER_USER;
    return 0;
}

/* ---- HEARTBEAT, STOP ---- */

size_t wire_heartbeat_encode(const struct wire_heartbeat *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_HEARTBEAT, 0);

    wire_put_uint(&w, m->number, 8);
    wire_put_uint(&w, m->answer, 4);
    wire_put_uint(&w, 0, 4);
    wire_put_uint(&w, m->free_bytes, 8);
    wire_put_uint(&w, m->total_bytes, 8);
    return wire_finish(&w);
}

int wire_heartbeat_decode(const void *buf, size_t len, struct wire_heartbeat *m,
                          struct xfer_error *err)
{
    struct wire_reader r;
    uint64_t answer, zero;

    if (wire_open_control(&r, buf, len, WIRE_HEARTBEAT, err))
        return -1;
    m->number = wire_get_uint(&r, 8);
    answer = wire_get_uint(&r, 4);
    zero = wire_get_uint(&r, 4);
    m->free_bytes = wire_get_uint(&r, 8);
    m->total_bytes = wire_get_uint(&r, 8);
    if (wire_close(&r, WIRE_HEARTBEAT, err))
        return -1;
    if (answer > 1 || zero)
        return wire_bad(err, WIRE_HEARTBEAT, "direction");
    m->answer = answer;
    return 0;
}

size_t wire_stop_encode(const struct wire_stop *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_STOP, 0);

    wire_put_uint(&w, m->reserved, 4);
    return wire_finish(&w);
}

int wire_stop_decode(const void *buf, size_t len, struct wire_stop *m, struct xfer_error *err)
{
    struct wire_reader r;

    if (wire_open_control(&r, buf, len, WIRE_STOP, err))
        return -1;
    m->reserved = (uint32_t)wire_get_uint(&r, 4);
    if (wire_close(&r, WIRE_STOP, err))
        return -1;
    return 0;
}

/* ---- PARTIALS, FORGET ---- */

static size_t jobs_encode(const struct wire_jobs *m, enum wire_type type, void *buf)
{
    struct wire_writer w = wire_begin(buf, type, 0);

    assert(m->n <= XFER_JOB_LIST_MAX);
    wire_put_uint(&w, m->n, 4);
    wire_put_uint(&w, 0, 4);
    for (uint32_t i = 0; i < m->n; i++)
        wire_put_uint(&w, m->jobs[i], 8);
    return wire_finish(&w);
}

static int jobs_decode(const void *buf, size_t len, enum wire_type type, struct wire_jobs *m,
                       struct xfer_error *err)
{
    struct wire_reader r;
    uint64_t zero;

    if (wire_open_control(&r, buf, len, type, err))
        return -1;
    m->n = (uint32_t)wire_get_uint(&r, 4);
    zero = wire_get_uint(&r, 4);
    if (m->n > XFER_JOB_LIST_MAX)
        return wire_bad(err, type, "number of jobs");
    for (uint32_t i = 0; i < m->n; i++)
        m->jobs[i] = wire_get_uint(&r, 8);
    if (wire_close(&r, type, err))
        return -1;
    if (m->n == 0 || zero)
        return wire_bad(err, type, "number of jobs");
    for (uint32_t i = 0; i < m->n; i++)
        if (m->jobs[i] == 0 || m->jobs[i] > XFER_INTEGER_MAX)
            return wire_bad(err, type, "job number");
    return 0;
}

size_t wire_partials_encode(const struct wire_jobs *m, void *buf)
{
    return jobs_encode(m, WIRE_PARTIALS, buf);
}

size_t wire_forget_encode(const struct wire_jobs *m, void *buf)
{
    return jobs_encode(m, WIRE_FORGET, buf);
}

int wire_partials_decode(const void *buf, size_t len, struct wire_jobs *m, struct xfer_error *err)
{
    return jobs_decode(buf, len, WIRE_PARTIALS, m, err);
}

int wire_forget_decode(const void *buf, size_t len, struct wire_jobs *m, struct xfer_error *err)
{
    return jobs_decode(buf, len, WIRE_FORGET, m, err);
}
