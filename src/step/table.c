/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "step/kinds.h"

static const struct step_kind *const step_table[] = {
	&step_alias,
	&step_alias_trim,
	&step_alias_delete,
	&step_flip,
	&step_aliases,
	&step_flip_group,
	&step_alias_trims,
	&step_alias_swap,
	&step_rights,
	&step_canary,
	&step_proxies,
	&step_kubernetes_service,
	&step_service_cidr,
	&step_service_cidr_default,
	&step_service_cidr_delete,
	&step_certificate,
	&step_certificate_served,
	&step_kubeadm_config,
	&step_manifest_flags,
	&step_roll,
	&step_converge_kind,
	&step_allocation,
	&step_hold,
	&step_freeze,
	&step_thaw,
	&step_stray_manifest,
	&step_kubelet_config,
	&step_kubelet_dns,
	&step_local_dns,
	&step_local_dns_end,
	&step_services_endpoint,
	&step_restart,
	&step_restart_rest,
	&step_restart_back,
	&step_snapshot,
	&step_sweep,
	&step_sweep_end,
	&step_drain,
	&step_forget,
};

const struct step_kind *step_kind_at(size_t i)
{
	return i < sizeof(step_table) / sizeof(step_table[0]) ? step_table[i] : NULL;
}

const struct step_kind *step_kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(step_table) / sizeof(step_table[0]); i++)
		if (strcmp(step_table[i]->name, name) == 0)
			return step_table[i];
	return NULL;
}
