/* SPDX-License-Identifier: MIT
 *
 * The value of one parameter of a request.
 */
#ifndef XFER_PROTO_CONTROL_PARAM_H
#define XFER_PROTO_CONTROL_PARAM_H

#include "proto/control_method.h"
#include "proto/error.h"

struct cJSON;

/* target: in a struct control_params that is freed whatever comes of it. The item's own name tells
 * whether it is the parameter or its twin in base64. XFER_INVALID_PARAMS names the parameter and
 * what it must be. */
int param_decode(const struct param_spec *spec, const struct cJSON *value, void *target,
                 struct xfer_error *err);

#endif
