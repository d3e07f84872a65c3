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

/* lab->denied ("create/servicecidrs", "patch/services/status") is refused to everybody. */
int allow_object(const struct lab *lab, const struct http_request *request,
		 const struct api_target *target, struct answer *answer);

/* A SelfSubjectAccessReview: posted, but nothing is made. */
bool allow_is_review(const struct http_request *request);
/* Answers one; false: the request is none. The answer's code is 201. */
bool allow_review(const struct lab *lab, const struct http_request *request, struct answer *answer);

#endif
