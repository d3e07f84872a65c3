/* SPDX-License-Identifier: MIT */
#ifndef LAB_ALLOW_H
#define LAB_ALLOW_H

#include "lab/api.h"

/*
 * Who may ask what: the token "lab" everything; "lab-nobody" is a user without rights, who may see
 * what every user may; without a token one may ask for the version and the health. 0, or -1 with
 * the refusal in the answer.
 */

/* What is no object: "/api", "/readyz". */
int allow_path(const struct http_request *request, struct answer *answer);

int allow_object(const struct http_request *request, const struct api_target *target,
		 struct answer *answer);

#endif
