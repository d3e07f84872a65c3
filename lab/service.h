/* SPDX-License-Identifier: MIT */
#ifndef LAB_SERVICE_H
#define LAB_SERVICE_H

#include "lab/answer.h"
#include "lab/lab.h"

/*
 * What an API server does with Services beyond storing them: defaults, the checks that the flip and
 * its aliases run into, addresses and NodePorts.
 */

/* Completes the object that is to be created; addresses and ports are taken unless `dry`. */
int service_create(struct lab_server *server, json_t *object, bool dry, struct answer *answer);

/* The same for an object that takes the place of `old`. What is no longer used is to be released
 * with service_replaced when it has been stored. */
int service_update(struct lab_server *server, const json_t *old, json_t *object, bool dry,
		   struct answer *answer);
void service_replaced(struct lab_server *server, const json_t *old, const json_t *object);

/* Through the subresource "status". */
int service_update_status(struct lab_server *server, const json_t *old, json_t *object,
			  struct answer *answer);

/* Before its object goes: addresses, ports and Endpoints of its name. */
void service_delete(struct lab_server *server, const json_t *object);

#endif
