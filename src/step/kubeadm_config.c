/* SPDX-License-Identifier: MIT */
/*
 * kubeadm-config: what the next `kubeadm upgrade`, `join` or `init phase` will read.
 * Parameters: namespace, name, range (optional: new Service range), add, remove (optional arrays:
 * apiServer.certSANs), featureGates (optional: the argument feature-gates of the API server).
 */
#include "step/config_map.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/texts.h"
#include "text/kubeadm.h"

#define KUBEADM_KEY "ClusterConfiguration"

static void kubeadm_describe(const struct plan_step *step, struct buffer *out)
{
	auto_step_texts struct step_texts add = step_texts_of(step, "add");
	auto_step_texts struct step_texts remove = step_texts_of(step, "remove");
	const char *range = step_optional_text(step, "range");

	buffer_format(out, "%s:", step->subject);
	if (range)
		buffer_format(out, " serviceSubnet %s", range);
	if (step_optional_text(step, "featureGates"))
		buffer_format(out, " feature-gates %s", step_optional_text(step, "featureGates"));
	for (size_t i = 0; i < add.count; i++)
		buffer_format(out, " +%s", add.items[i]);
	for (size_t i = 0; i < remove.count; i++)
		buffer_format(out, " -%s", remove.items[i]);
}

static int kubeadm_edit(const struct plan_step *step, const char *file, struct slice text,
			struct buffer *ret, struct error *err)
{
	auto_step_texts struct step_texts add = step_texts_of(step, "add");
	auto_step_texts struct step_texts remove = step_texts_of(step, "remove");
	const char *range = step_optional_text(step, "range");
	const char *gates = step_optional_text(step, "featureGates");
	auto_buffer struct buffer ranged = {0};
	auto_buffer struct buffer gated = {0};
	auto_buffer struct buffer added = {0};

	if (!range)
		buffer_slice(&ranged, text);
	else if (kubeadm_set_service_range(file, text, range, &ranged, err) < 0)
		return -1;
	if (!gates)
		buffer_slice(&gated, buffer_as_slice(&ranged));
	else if (kubeadm_set_arg(file, buffer_as_slice(&ranged), KUBEADM_API_SERVER,
				 "feature-gates", gates, /* only_existing= */ false, &gated,
				 err) < 0)
		return -1;
	if (kubeadm_add_cert_sans(file, buffer_as_slice(&gated), add.items, add.count, &added,
				  err) < 0)
		return -1;
	return kubeadm_remove_cert_sans(file, buffer_as_slice(&added), remove.items, remove.count,
					ret, err);
}

static int kubeadm_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			 struct error *err)
{
	return step_config_map_check(context, step, KUBEADM_KEY, kubeadm_edit, ret_done, err);
}

static int kubeadm_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	return step_config_map_apply(context, step, KUBEADM_KEY, kubeadm_edit, err);
}

const struct step_kind step_kubeadm_config = {
	.name = "kubeadm-config",
	.rights = step_rights_configuration,
	.describe = kubeadm_describe,
	.check = kubeadm_check,
	.apply = kubeadm_apply,
	.undo = step_config_map_undo,
};
