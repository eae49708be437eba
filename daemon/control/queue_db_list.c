/* SPDX-License-Identifier: MIT
 *
 * Operations in the order in which they are to be done or told.
 */
#include "daemon/control/queue_db_impl.h"

void op_list_init(struct op_list *list)
{
    list->head = NULL;
    list->end = &list->head;
}

void op_list_append(struct op_list *list, struct queue_op *op)
{
    op->next = NULL;
    *list->end = op;
    list->end = &op->next;
}

struct queue_op *op_list_take(struct op_list *list)
{
    struct queue_op *op = list->head;

    if (op != NULL) {
        list->head = op->next;
        if (list->head == NULL)
            list->end = &list->head;
        op->next = NULL;
    }
    return op;
}

void op_list_move(struct op_list *to, struct op_list *from)
{
    if (from->head == NULL)
        return;
    *to->end = from->head;
    to->end = from->end;
    op_list_init(from);
}
