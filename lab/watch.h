/* SPDX-License-Identifier: MIT */
#ifndef LAB_WATCH_H
#define LAB_WATCH_H

#include "lab/api.h"

/* Makes the reply a stream of changes; -1 with the refusal in the answer. */
int watch_start(struct lab_server *server, const struct api_target *target,
		const struct http_request *request, struct http_reply *reply,
		struct answer *answer);

#endif
