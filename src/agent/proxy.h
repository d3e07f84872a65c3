/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PROXY_H
#define AGENT_PROXY_H

#include "agent/agent.h"
#include "base/slice.h"

/* proxy-metrics: how far this node's kube-proxy has come, by its own metrics. */
agent_operation proxy_metrics;

/* What the text of /metrics says: the answer's "families" (see agent/protocol.h). Sources:
 * pkg/proxy/metrics/metrics.go; one proxier without label before ip_family came, then one row for
 * each family. ERROR_PARSE when nothing in it is of kube-proxy. */
must_check int proxy_metrics_parse(struct slice text, json_t *reply, struct error *err);

#endif
