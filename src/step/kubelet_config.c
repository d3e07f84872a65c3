/* SPDX-License-Identifier: MIT */
/*
 * kubelet-config: clusterDNS in the ConfigMap from which joining and upgraded nodes get their
 * kubelet configuration. Parameters: namespace, name, dns (array).
 */
#include "step/config_map.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/texts.h"
#include "text/kubelet.h"

#define KUBELET_KEY "kubelet"

static void kubelet_describe(const struct plan_step *step, struct buffer *out)
{
	auto_step_texts struct step_texts dns = step_texts_of(step, "dns");

	buffer_format(out, "%s: clusterDNS %s", step->subject, dns.count ? dns.items[0] : "");
}

static int kubelet_edit(const struct plan_step *step, const char *file, struct slice text,
			struct buffer *ret, struct error *err)
{
	auto_step_texts struct step_texts dns = step_texts_of(step, "dns");

	return kubelet_set_cluster_dns(file, text, dns.items, dns.count, ret, err);
}

static int kubelet_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			 struct error *err)
{
	return step_config_map_check(context, step, KUBELET_KEY, kubelet_edit, ret_done, err);
}

static int kubelet_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	return step_config_map_apply(context, step, KUBELET_KEY, kubelet_edit, err);
}

const struct step_kind step_kubelet_config = {
	.name = "kubelet-config",
	.rights = step_rights_configuration,
	.describe = kubelet_describe,
	.check = kubelet_check,
	.apply = kubelet_apply,
	.undo = step_config_map_undo,
};
