/* SPDX-License-Identifier: MIT
 *
 * XXH3 of libxxhash, in the form that uses what the processor has, where the library was built with
 * it. The digests are the same.
 */
#ifndef XFER_PROTO_XXH_H
#define XFER_PROTO_XXH_H

#include <xxhash.h>

#ifdef HAVE_XXHASH_DISPATCH
#include <xxh_x86dispatch.h>
#endif

#endif
