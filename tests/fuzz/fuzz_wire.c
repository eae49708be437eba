/* SPDX-License-Identifier: MIT
 *
 * libFuzzer: every decoder of proto/wire on the same bytes. The first byte picks the decoder; what
 * decodes must encode again to the same bytes (but for error texts, which are made printable).
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const void *a, size_t a_len, const void *b, size_t b_len)
{
    if (a_len != b_len || memcmp(a, b, a_len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char out[XFER_MESSAGE_MAX];
    struct xfer_error err = XFER_ERROR_INIT;
    static union {
        struct wire_meta meta;
        struct wire_verdict verdict;
        struct wire_receipt receipt;
        struct wire_hello hello;
        struct wire_heartbeat heartbeat;
        struct wire_stop stop;
        struct wire_go go;
        struct wire_start start;
        struct wire_jobs jobs;
        struct wire_attrs attrs;
        struct wire_map map;
        struct wire_look look;
        struct wire_looked looked;
    } m;
    const uint8_t *msg = data + 1;
    size_t len = size - 1;

    if (size == 0)
        return 0;
    switch (data[0] % 15) {
    case 0:
        if (wire_meta_decode(msg, len, &m.meta, &err) == 0)
            same(msg, len, out, wire_meta_encode(&m.meta, out));
        break;
    case 1:
        if (wire_verdict_decode(msg, len, &m.verdict, &err) == 0 && m.verdict.error.code == XFER_OK)
            same(msg, 56, out, wire_verdict_encode(&m.verdict, out) >= 56 ? 56 : 0);
        break;
    case 2:
        if (wire_receipt_decode(msg, len, &m.receipt, &err) == 0) {
            size_t again = wire_receipt_encode(&m.receipt, out);
            /* where there is no error all of it is the same, with the place at its end */
            bool whole = m.receipt.error.code == XFER_OK && m.receipt.error.text[0] == '\0' &&
                         m.receipt.error.path[0] == '\0' && m.receipt.warning[0] == '\0';

            same(msg, whole ? len : 48, out, whole || again < 48 ? again : 48);
        }
        break;
    case 3:
        (void)wire_refusal_decode(msg, len, &m.receipt, &err);
        break;
    case 4:
        if (wire_hello_decode(msg, len, &m.hello, &err) == 0)
            same(msg + 16, 40, out + 16, wire_hello_encode(&m.hello, out) >= 56 ? 40 : 0);
        break;
    case 5:
        if (wire_heartbeat_decode(msg, len, &m.heartbeat, &err) == 0)
            same(msg + 16, len - 16, out + 16, wire_heartbeat_encode(&m.heartbeat, out) - 16);
        break;
    case 6:
        if (wire_go_decode(msg, len, &m.go, &err) == 0)
            same(msg, len, out, wire_go_encode(&m.go, out));
        break;
    case 7:
        if (wire_start_decode(msg, len, &m.start, &err) == 0)
            same(msg, len, out, wire_start_encode(&m.start, out));
        break;
    case 8:
        if (wire_partials_decode(msg, len, &m.jobs, &err) == 0)
            same(msg, len, out, wire_partials_encode(&m.jobs, out));
        break;
    case 9:
        if (wire_forget_decode(msg, len, &m.jobs, &err) == 0)
            same(msg, len, out, wire_forget_encode(&m.jobs, out));
        break;
    case 10:
        if (wire_attrs_decode(msg, len, &m.attrs, &err) == 0)
            same(msg, len, out, wire_attrs_encode(&m.attrs, out));
        break;
    case 11:
        if (wire_map_decode(msg, len, &m.map, &err) == 0)
            same(msg, len, out, wire_map_encode(&m.map, out));
        break;
    case 12:
        if (wire_look_decode(msg, len, &m.look, &err) == 0) {
            same(msg, len, out, wire_look_encode(&m.look, out));
            m.look.n--; /* what came has room */
            if (!wire_look_has_room(&m.look, strlen(m.look.entries[m.look.n].name)))
                abort();
        }
        break;
    case 13:
        if (wire_looked_decode(msg, len, &m.looked, &err) == 0)
            same(msg, len, out, wire_looked_encode(&m.looked, out));
        break;
    default:
        (void)wire_stop_decode(msg, len, &m.stop, &err);
        break;
    }
    return 0;
}
