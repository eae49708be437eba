/* SPDX-License-Identifier: MIT
 *
 * A link without MPI and a receiving rank without a disk: stands in for daemon/link in a test
 * program of trees. It remembers what it was sent as nodes, answers LOOKs by them, gives receipts
 * (at once, or like a batch only when it must), and keeps a log of it all:
 *
 *   MADE path      a directory by a LOOK        META path     a META came (of whatever kind)
 *   STORED path    its receipt has left         BARRIER       one came
 *   ATTRS path     all of its attributes came
 */
#ifndef XFER_TESTS_UNIT_FAKE_RECEIVER_H
#define XFER_TESTS_UNIT_FAKE_RECEIVER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/link/lane.h"
#include "daemon/link/link.h"
#include "daemon/send/sender.h"

#define FAKE_LANES 3
#define FAKE_CHUNK ((size_t)64 * 1024)

struct node {
    struct node *next;
    enum wire_kind kind;
    uint32_t mode;
    uint64_t size;
    int64_t mtime;
    unsigned inode;
    uint64_t file;
    bool of_this_job;
    char target[64];
    char path[];
};

struct due { /* a receipt; small, for memory is measured while thousands of them are due */
    struct due *next;
    bool held, unchanged;
    uint64_t seq, size;
    unsigned char digest[XFER_DIGEST_SIZE];
    struct xfer_error *error; /* NULL: none */
    const char *warning;      /* the same */
    char path[];
};

struct rule { /* what is to happen to a path */
    const char *path;
    struct xfer_error error;  /* of its receipt */
    enum xfer_code look_code; /* of its LOOK: it fails */
    const char *warning;
};

struct lane {
    struct link *link;
    const struct lane_sender_events *events;
    void *user;
    struct chunk chunks[XFER_RING_CHUNKS];
    struct chunk *free, *leaving;
    bool wanted, awake;
    struct wire_meta meta;
    uint64_t received, offset; /* bytes; of START */
    uint32_t attrs_came;
    struct due *first, *last;
    unsigned n_due, max_due, barriers;
    bool asks; /* GO is to come */
};

struct link {
    unsigned n;
    struct lane lanes[FAKE_LANES];
    bool failed;
    struct xfer_error why;
    struct sender *sender;

    bool batch;  /* receipts are held until a barrier, or until the window is full */
    bool silent; /* nothing is answered */
    bool offers; /* what is asked about is there already, and the same */
    struct wire_look *looks[XFER_LOOKS_MAX];
    unsigned n_looks, max_looks;
    unsigned looked_entries; /* of all LOOKs */
    struct wire_look last_look;
    struct rule rules[8];
    unsigned n_rules;

    struct node *nodes[4096];
    unsigned n_nodes, last_inode;
    bool keeps_log;
    char *log[4096];
    unsigned n_log;
    uint64_t files, bytes;
};

/* ---- what it remembers ---- */

static inline void fake_log(struct link *link, const char *what, const char *path)
{
    size_t size = strlen(what) + strlen(path) + 2;

    if (!link->keeps_log)
        return;
    if (link->n_log == sizeof link->log / sizeof *link->log)
        abort();
    link->log[link->n_log] = malloc(size);
    snprintf(link->log[link->n_log++], size, "%s%s%s", what, path[0] ? " " : "", path);
}

/* Where in the log, -1: nowhere. */
static inline int fake_logged(const struct link *link, const char *line)
{
    for (unsigned i = 0; i < link->n_log; i++)
        if (strcmp(link->log[i], line) == 0)
            return (int)i;
    return -1;
}

static inline struct node **fake_slot(struct link *link, const char *path)
{
    uint32_t h = 5381;

    for (const char *c = path; *c; c++)
        h = h * 33 + (unsigned char)*c;
    return &link->nodes[h % (sizeof link->nodes / sizeof *link->nodes)];
}

static inline struct node *fake_node(struct link *link, const char *path)
{
    struct node *node = *fake_slot(link, path);

    while (node && strcmp(node->path, path) != 0)
        node = node->next;
    return node;
}

static inline struct node *fake_add(struct link *link, const char *path, enum wire_kind kind)
{
    struct node *node = fake_node(link, path), **slot = fake_slot(link, path);

    if (!node) {
        node = calloc(1, sizeof *node + strlen(path) + 1);
        strcpy(node->path, path);
        node->next = *slot;
        *slot = node;
        link->n_nodes++;
    }
    node->kind = kind;
    node->inode = ++link->last_inode;
    return node;
}

static inline struct rule *fake_rule(struct link *link, const char *path)
{
    for (unsigned i = 0; i < link->n_rules; i++)
        if (strcmp(link->rules[i].path, path) == 0)
            return &link->rules[i];
    return NULL;
}

static inline struct rule *fake_add_rule(struct link *link, const char *path)
{
    link->rules[link->n_rules].path = path;
    return &link->rules[link->n_rules++];
}

/* ---- what the sender calls ---- */

unsigned link_lanes(const struct link *link)
{
    return link->n;
}

struct lane *link_lane(struct link *link, unsigned i)
{
    return &link->lanes[i];
}

void link_fail(struct link *link, const struct xfer_error *why)
{
    link->failed = true;
    link->why = *why;
}

void link_send_look(struct link *link, const struct wire_look *look)
{
    static unsigned char msg[XFER_MESSAGE_MAX];
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_look *copy = malloc(sizeof *copy);

    if (!copy || link->n_looks == XFER_LOOKS_MAX ||
        wire_look_decode(msg, wire_look_encode(look, msg), copy, &err))
        abort();
    link->looks[link->n_looks++] = copy;
    link->last_look = *copy;
    link->looked_entries += copy->n;
    if (link->n_looks > link->max_looks)
        link->max_looks = link->n_looks;
}

void lane_set_sender(struct lane *lane, const struct lane_sender_events *events, void *user)
{
    lane->events = events;
    lane->user = user;
}

void lane_send_meta(struct lane *lane, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_meta_decode(msg, len, &lane->meta, &err)) {
        fprintf(stderr, "META: %s\n", err.text);
        abort();
    }
    lane->received = lane->offset = 0;
    lane->attrs_came = 0;
    lane->asks = lane->meta.ask;
    if (lane->meta.kind == WIRE_KIND_BARRIER) {
        fake_log(lane->link, "BARRIER", "");
        lane->barriers++;
    } else {
        fake_log(lane->link, "META", lane->meta.path);
    }
}

void lane_send_attrs(struct lane *lane, const void *msg, size_t len)
{
    struct wire_attrs attrs;
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_attrs_decode(msg, len, &attrs, &err) || attrs.offset != lane->attrs_came)
        abort();
    lane->attrs_came += attrs.len;
    if (lane->attrs_came == lane->meta.attrs_size)
        fake_log(lane->link, "ATTRS", lane->meta.path);
}

void lane_send_map(struct lane *lane, const void *msg, size_t len)
{
    struct wire_map map;
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_map_decode(msg, len, &map, &err) || !lane->meta.sparse)
        abort();
}

void lane_send_start(struct lane *lane, const void *msg, size_t len)
{
    struct wire_start start;
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_start_decode(msg, len, &start, &err))
        abort();
    lane->received = lane->offset = start.offset;
}

void lane_send_chunk(struct lane *lane, struct chunk *chunk)
{
    lane->received += chunk->len;
    lane->link->bytes += chunk->len;
    chunk->next = lane->leaving;
    lane->leaving = chunk;
}

void lane_send_end(struct lane *lane, struct chunk *unused)
{
    if (!unused)
        return;
    unused->next = lane->leaving;
    lane->leaving = unused;
}

static inline void fake_due_error(struct due *due, const struct xfer_error *err)
{
    due->error = malloc(sizeof *due->error);
    if (!due->error)
        abort();
    *due->error = *err;
}

static inline void fake_due_free(struct due *due)
{
    free(due->error);
    free(due);
}

static inline void fake_store(struct lane *lane, struct due *due)
{
    const struct wire_meta *m = &lane->meta;
    struct node *node = fake_node(lane->link, m->path);
    struct node *target = m->target_len ? fake_node(lane->link, m->target) : NULL;
    struct xfer_error err = XFER_ERROR_INIT;

    if (m->kind == WIRE_KIND_HARDLINK && !target) {
        error_set(&err, XFER_NO_SUCH_FILE, "%s: is not there", m->target);
        fake_due_error(due, &err);
        return;
    }
    if (m->kind == WIRE_KIND_DIRECTORY) {
        if (!node)
            abort();
        node->mode = m->mode;
        node->mtime = m->mtime_sec;
        return;
    }
    if (m->kind == WIRE_KIND_HARDLINK && node && node->inode == target->inode) {
        due->unchanged = true;
        return;
    }
    due->unchanged = lane->offset > 0;
    node = fake_add(lane->link, m->path, m->kind);
    node->mode = m->mode;
    node->size = m->size;
    node->file = m->file;
    node->mtime = m->mtime_sec;
    node->of_this_job = true;
    snprintf(node->target, sizeof node->target, "%.60s", m->target);
    if (target) {
        node->inode = target->inode;
        node->size = target->size;
        node->mtime = target->mtime;
    } else if (m->kind == WIRE_KIND_FILE) {
        lane->link->files++;
    }
}

static inline void fake_put_due(struct lane *lane, struct due *due)
{
    if (lane->last)
        lane->last->next = due;
    else
        lane->first = due;
    lane->last = due;
    if (++lane->n_due > lane->max_due)
        lane->max_due = lane->n_due;
}

void lane_send_verdict(struct lane *lane, const void *msg, size_t len)
{
    static struct wire_verdict verdict;
    struct xfer_error err = XFER_ERROR_INIT;
    struct due *due = calloc(1, sizeof *due + lane->meta.path_len + 1);
    const struct rule *rule = fake_rule(lane->link, lane->meta.path);

    if (!due || wire_verdict_decode(msg, len, &verdict, &err) || verdict.seq != lane->meta.seq)
        abort();
    due->seq = verdict.seq;
    due->held = lane->link->batch;
    strcpy(due->path, lane->meta.path);
    if (verdict.kind == WIRE_ABORT) {
        fake_due_error(due, &verdict.error);
    } else if (rule && rule->error.code != XFER_OK) {
        fake_due_error(due, &rule->error);
    } else {
        if (lane->meta.kind != WIRE_KIND_BARRIER)
            fake_store(lane, due);
        due->size = verdict.size;
        memcpy(due->digest, verdict.digest, XFER_DIGEST_SIZE);
        due->warning = rule ? rule->warning : NULL;
    }
    fake_put_due(lane, due);
    if (lane->meta.kind == WIRE_KIND_BARRIER || verdict.kind == WIRE_ABORT ||
        lane->n_due == XFER_LANE_FILES_MAX)
        for (due = lane->first; due; due = due->next)
            due->held = false;
}

void lane_wake(struct lane *lane)
{
    lane->awake = true;
}

void lane_hold(struct lane *lane, bool held)
{
    (void)lane;
    (void)held;
}

struct chunk *lane_chunk_get(struct lane *lane)
{
    struct chunk *chunk = lane->free;

    if (!chunk) {
        lane->wanted = true;
        return NULL;
    }
    lane->free = chunk->next;
    chunk->len = 0;
    return chunk;
}

void lane_chunk_put(struct lane *lane, struct chunk *chunk)
{
    chunk->next = lane->free;
    lane->free = chunk;
}

/* ---- LOOKs ---- */

static inline bool fake_agrees(const struct node *node, const struct wire_look_entry *e)
{
    return node->kind == e->kind && (e->kind == WIRE_KIND_SYMLINK || node->size == e->size) &&
           node->mtime == e->mtime_sec;
}

static inline enum wire_looked_result
fake_judge(const struct wire_look *look, const struct wire_look_entry *e, const struct node *node)
{
    bool agrees;

    if (!node)
        return WIRE_LOOKED_ABSENT;
    agrees = fake_agrees(node, e);
    switch (look->overwrite) {
    case OVERWRITE_NEVER:
        return agrees ? WIRE_LOOKED_SAME : WIRE_LOOKED_KEPT;
    case OVERWRITE_NEWER:
        if (node->mtime > e->mtime_sec)
            return WIRE_LOOKED_KEPT;
        break;
    case OVERWRITE_REPLACE:
        if (look->since && !node->of_this_job)
            return WIRE_LOOKED_DIFFERENT;
        break;
    case OVERWRITE_CHANGED:
        if (look->checksum && e->kind == WIRE_KIND_FILE)
            return node->size == e->size ? WIRE_LOOKED_COMPARE : WIRE_LOOKED_DIFFERENT;
        break;
    }
    if (!agrees)
        return WIRE_LOOKED_DIFFERENT;
    return node->mode == e->mode ? WIRE_LOOKED_SAME : WIRE_LOOKED_METADATA;
}

static inline void fake_look_at(struct link *link, const struct wire_look *look, uint32_t i,
                                struct wire_looked *answer)
{
    const struct wire_look_entry *e = &look->entries[i];
    char path[2 * XFER_PATH_SIZE];
    struct node *node;
    const struct rule *rule;
    enum xfer_code code = XFER_OK;

    snprintf(path, sizeof path, "%s%s%s", look->base, look->base[0] ? "/" : "", e->name);
    node = fake_node(link, path);
    rule = fake_rule(link, path);
    if (rule)
        code = rule->look_code;
    if (code == XFER_OK && node &&
        (node->kind == WIRE_KIND_DIRECTORY) != (e->kind == WIRE_KIND_DIRECTORY))
        code = node->kind == WIRE_KIND_DIRECTORY ? XFER_IS_DIRECTORY : XFER_NOT_DIRECTORY;
    if (code != XFER_OK) {
        answer->entries[i].result = WIRE_LOOKED_FAILED;
        answer->entries[i].code = code;
    } else if (e->kind != WIRE_KIND_DIRECTORY) {
        answer->entries[i].result = fake_judge(look, e, node);
    } else if (node) {
        answer->entries[i].result = WIRE_LOOKED_READY;
    } else {
        answer->entries[i].result = WIRE_LOOKED_MADE;
        if (!look->dry) {
            fake_add(link, path, WIRE_KIND_DIRECTORY)->of_this_job = true;
            fake_log(link, "MADE", path);
        }
    }
}

static inline void fake_answer(struct link *link, struct wire_look *look)
{
    static struct wire_looked answer;

    memset(&answer, 0, sizeof answer);
    answer.number = look->number;
    answer.n = look->n;
    for (uint32_t i = 0; i < look->n; i++)
        fake_look_at(link, look, i, &answer);
    sender_looked(link->sender, &answer);
    free(look);
}

/* ---- what the test calls ---- */

static inline struct link *fake_link(unsigned n)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link)
        abort();
    link->n = n;
    link->keeps_log = true;
    for (unsigned i = 0; i < n; i++) {
        struct lane *lane = &link->lanes[i];

        lane->link = link;
        for (unsigned c = 0; c < XFER_RING_CHUNKS; c++) {
            lane->chunks[c].data = malloc(FAKE_CHUNK);
            lane->chunks[c].size = FAKE_CHUNK;
            lane_chunk_put(lane, &lane->chunks[c]);
        }
    }
    return link;
}

static inline void fake_link_free(struct link *link)
{
    for (unsigned i = 0; i < link->n; i++) {
        for (unsigned c = 0; c < XFER_RING_CHUNKS; c++)
            free(link->lanes[i].chunks[c].data);
        while (link->lanes[i].first) {
            struct due *due = link->lanes[i].first;

            link->lanes[i].first = due->next;
            fake_due_free(due);
        }
    }
    for (size_t i = 0; i < sizeof link->nodes / sizeof *link->nodes; i++) {
        while (link->nodes[i]) {
            struct node *node = link->nodes[i];

            link->nodes[i] = node->next;
            free(node);
        }
    }
    for (unsigned i = 0; i < link->n_log; i++)
        free(link->log[i]);
    for (unsigned i = 0; i < link->n_looks; i++)
        free(link->looks[i]);
    free(link);
}

static inline void fake_receipt(struct lane *lane, const struct due *due)
{
    static unsigned char msg[XFER_MESSAGE_MAX];
    static struct wire_receipt receipt;

    memset(&receipt, 0, sizeof receipt);
    receipt.seq = due->seq;
    if (due->error) {
        receipt.error = *due->error;
    } else {
        receipt.size = due->size;
        memcpy(receipt.digest, due->digest, XFER_DIGEST_SIZE);
        receipt.unchanged = due->unchanged;
        snprintf(receipt.warning, sizeof receipt.warning, "%s", due->warning ? due->warning : "");
        if (strcmp(due->path, ".") != 0)
            fake_log(lane->link, "STORED", due->path);
    }
    lane->events->receipt(lane->user, msg, wire_receipt_encode(&receipt, msg));
}

static inline void fake_receipts(struct lane *lane)
{
    struct due *due;

    while ((due = lane->first) && !due->held && !lane->link->silent) {
        lane->first = due->next;
        if (!lane->first)
            lane->last = NULL;
        lane->n_due--;
        fake_receipt(lane, due);
        fake_due_free(due);
    }
}

static inline void fake_go(struct lane *lane)
{
    static unsigned char msg[XFER_MESSAGE_MAX];
    static struct wire_go go;

    if (!lane->asks)
        return;
    lane->asks = false;
    memset(&go, 0, sizeof go);
    go.seq = lane->meta.seq;
    go.offer = WIRE_OFFER_NOTHING;
    if (lane->link->offers && lane->meta.size == 4) { /* "same" */
        XXH128_canonical_t digest;

        XXH128_canonicalFromHash(&digest, XXH3_128bits("same", 4));
        go.offer = WIRE_OFFER_STORED;
        go.size = 4;
        go.block = 4096;
        go.n = 1;
        memcpy(go.digests[0], digest.digest, XFER_DIGEST_SIZE);
    }
    lane->events->go(lane->user, msg, wire_go_encode(&go, msg));
}

/* What was sent has left, and what is due comes. */
static inline void fake_poll(struct link *link)
{
    unsigned n = link->silent ? 0 : link->n_looks;

    for (; n > 0; n--) {
        struct wire_look *look = link->looks[0];

        link->n_looks--;
        memmove(link->looks, link->looks + 1, link->n_looks * sizeof *link->looks);
        fake_answer(link, look);
    }
    for (unsigned i = 0; i < link->n; i++) {
        struct lane *lane = &link->lanes[i];

        fake_go(lane);
        fake_receipts(lane);
        while (lane->leaving) {
            struct chunk *chunk = lane->leaving;

            lane->leaving = chunk->next;
            lane_chunk_put(lane, chunk);
        }
        if (lane->awake || (lane->wanted && lane->free)) {
            lane->awake = lane->wanted = false;
            lane->events->chunk_free(lane->user);
        }
    }
}

#endif
