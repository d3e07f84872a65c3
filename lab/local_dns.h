/* SPDX-License-Identifier: MIT */
#ifndef LAB_LOCAL_DNS_H
#define LAB_LOCAL_DNS_H

#include "lab/lab.h"

/*
 * NodeLocal DNSCache: a DaemonSet with the argument -localip, its ConfigMap, and the Service at which it
 * asks. A container of it lives only when it listens at nothing that -localip does not name, and has
 * a Corefile at all.
 */
void local_dns_make(struct lab *lab);

/* Why the container of such a Pod ends as soon as it is started; NULL: it does not, or it is another
 * Pod. The caller frees. */
char *local_dns_crash(struct lab *lab, const json_t *pod);

/* A ConfigMap that the Pod wants and that is not there: kubelet does not start it. NULL: none. */
const char *local_dns_missing(struct lab *lab, const json_t *pod);

#endif
