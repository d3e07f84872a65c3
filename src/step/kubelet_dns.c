/* SPDX-License-Identifier: MIT */
/*
 * kubelet-dns: clusterDNS of one node's kubelet, which it reads at its start only. Restarting
 * kubelet leaves Pods running. Parameters: node, path, dns (array).
 */
#include <string.h>

#include "base/clock.h"
#include "step/kinds.h"
#include "step/node_file.h"
#include "step/texts.h"
#include "text/kubelet.h"

static void dns_describe(const struct plan_step *step, struct buffer *out)
{
	auto_step_texts struct step_texts dns = step_texts_of(step, "dns");

	buffer_format(out, "kubelet on %s: clusterDNS %s (restarts kubelet, not Pods)",
		      step_optional_text(step, "node"), dns.count ? dns.items[0] : "");
}

static int dns_edit(const struct plan_step *step, const char *file, struct slice text,
		    struct buffer *ret, struct error *err)
{
	auto_step_texts struct step_texts dns = step_texts_of(step, "dns");

	return kubelet_set_cluster_dns(file, text, dns.items, dns.count, ret, err);
}

/* The file may have been written before a crash and kubelet not restarted: it counts as done only
 * when the process is younger than the file. */
static int dns_restarted(struct step_context *context, const struct plan_step *step, bool *ret_done,
			 struct error *err)
{
	auto_json json_t *status = json_pack("{s:s}", "op", "kubelet-status");
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	auto_json json_t *file = NULL;
	const char *node = step_optional_text(step, "node");

	request = json_pack("{s:s, s:s}", "op", "read-file", "path",
			    step_optional_text(step, "path"));
	if (node_call(context->pool, node, request, &file, err) < 0 ||
	    node_call(context->pool, node, status, &reply, err) < 0)
		return -1;
	*ret_done = json_path_int(reply, "startedAt", 0) >= json_path_int(file, "mtime", INT64_MAX);
	return 0;
}

static int dns_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		     struct error *err)
{
	if (step_node_file_check(context, step, dns_edit, ret_done, err) < 0)
		return -1;
	return *ret_done ? dns_restarted(context, step, ret_done, err) : 0;
}

static int dns_restart(struct step_context *context, const struct plan_step *step,
		       step_condition done, struct error *err)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "restart-kubelet");
	auto_json json_t *reply = NULL;

	/* Start times have a second's grain; the check above compares with the file's. */
	if (step_pause(context, 1100, err) < 0)
		return -1;
	if (node_call(context->pool, step_optional_text(step, "node"), request, &reply, err) < 0)
		return -1;
	return step_wait(context, step, done, 500, 60000, "kubelet did not come back", err);
}

static int dns_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	if (step_node_file_apply(context, step, dns_edit, err) < 0)
		return -1;
	return dns_restart(context, step, dns_check, err);
}

/* A file that was put back before a crash, with a kubelet that does not know: it is younger. */
static int dns_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	bool changed = false;
	bool restarted = false;

	if (step_need_nodes(context, step, err) < 0 ||
	    step_node_file_undo(context, step, &changed, err) < 0 ||
	    dns_restarted(context, step, &restarted, err) < 0)
		return -1;
	return !changed && restarted ? 0 : dns_restart(context, step, dns_restarted, err);
}

const struct step_kind step_kubelet_dns = {
	.name = "kubelet-dns",
	.describe = dns_describe,
	.check = dns_check,
	.apply = dns_apply,
	.undo = dns_undo,
};
