/* SPDX-License-Identifier: MIT */
#ifndef LAB_API_H
#define LAB_API_H

#include "lab/answer.h"
#include "lab/http.h"
#include "lab/lab.h"

/* The REST API of one server; an http_handler whose data is the struct lab_server. */
void api_handle(void *data, const struct http_request *request, struct http_reply *reply);

/* What a path means. */
struct api_target {
	const struct store_type *type;
	char *version;
	char *space;	   /* NULL: all, or none */
	char *name;	   /* NULL: the collection */
	char *subresource; /* NULL */
};

/* The verbs, for the server's own controllers too. 0, or -1 with the refusal in the answer. On
 * success answer->object is what is sent. */
int api_create(struct lab_server *server, const struct api_target *target, json_t *object, bool dry,
	       struct answer *answer);
int api_replace(struct lab_server *server, const struct api_target *target, json_t *object,
		bool dry, struct answer *answer);
int api_delete(struct lab_server *server, const struct api_target *target, const json_t *options,
	       bool dry, struct answer *answer);

/* The object as it is sent: with apiVersion and kind. A new reference. */
json_t *api_show(const struct api_target *target, const json_t *object);

#endif
