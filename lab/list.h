/* SPDX-License-Identifier: MIT */
#ifndef LAB_LIST_H
#define LAB_LIST_H

#include "lab/api.h"

/* Lists: in pages of `limit`, each as all was when the first one was told, until that is
 * forgotten. 0, or -1 with the refusal in the answer. */
int list_answer(struct lab_server *server, const struct api_target *target,
		const struct http_request *request, struct answer *answer);

/* The selectors name fields that the type is indexed by. */
int list_check_fields(const struct api_target *target, const struct http_request *request,
		      struct answer *answer);

/* Whether the request's namespace and selectors are for this object. */
bool list_wants(const struct api_target *target, const struct http_request *request,
		const json_t *object);

#endif
