/* SPDX-License-Identifier: MIT */
#ifndef TEXT_LOCAL_DNS_H
#define TEXT_LOCAL_DNS_H

#include <jansson.h>

#include "text/corefile.h"

/*
 * The Pod template of NodeLocal DNSCache, which answers DNS on each node at addresses of its own,
 * that of kube-dns among them: known by an argument -localip (or --localip, and with '=') of a
 * container. Its Corefile comes from a ConfigMap that is one of its volumes.
 */

/* The value of -localip; NULL when no container has it. The caller frees. */
char *local_dns_addresses(const json_t *template);

/* It has the argument -skipteardown: when it ends, its addresses stay on the node, and the rules that
 * keep others from answering there (cmd/node-cache/app/cache_app.go: TeardownNetworking). */
bool local_dns_leaves_addresses(const json_t *template);

/* The name of the i-th ConfigMap among the volumes; NULL behind the last. Borrowed. */
const char *local_dns_config_map(const json_t *template, size_t i);

/* Whether a volume is that ConfigMap; of a template or a Pod. */
bool local_dns_mounts(const json_t *template, const char *config_map);

/* A copy, a new reference: the volumes that are the ConfigMap `from` are `to`, -localip is edited
 * (text/corefile.h), and where kubelet probes an old address it probes the new one. */
json_t *local_dns_edit(const json_t *template, enum corefile_edit edit,
		       const struct corefile_move *moves, size_t count, const char *from,
		       const char *to);

/* Only what local_dns_edit() may change of a template; a new reference. */
json_t *local_dns_editable(const json_t *template);

#endif
