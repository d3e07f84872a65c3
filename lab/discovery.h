/* SPDX-License-Identifier: MIT */
#ifndef LAB_DISCOVERY_H
#define LAB_DISCOVERY_H

#include "lab/lab.h"

/* Which types this cluster serves, in which versions. */
bool discovery_serves(const struct lab *lab, const struct store_type *type, const char *version);

/* The documents at "/api", "/apis", "/api/v1" and "/apis/GROUP[/VERSION]"; aggregated where the
 * client takes that and the version of Kubernetes has it. NULL: there is no such document. A new
 * reference; *ret_type is the content type. */
json_t *discovery_document(const struct lab *lab, const char *path, const char *accept,
			   const char **ret_type);

json_t *discovery_version(const struct lab *lab);

#endif
