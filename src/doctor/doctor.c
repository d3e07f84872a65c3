/* SPDX-License-Identifier: MIT */
#include "doctor/doctor.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "doctor/family.h"

static doctor_family *const families[] = {
	doctor_facts, doctor_ranges,	doctor_kubernetes, doctor_certificates,
	doctor_dns,   doctor_workloads, doctor_files,	   doctor_environment,
};

static struct patient patient_of(const struct cluster *c)
{
	struct patient p = {
		.cluster = c,
		.kubernetes = cluster_find_service(c, "default", "kubernetes"),
		.dns = cluster_find_service(c, "kube-system", "kube-dns"),
		.has_cidrs = c->regime == CLUSTER_REGIME_SERVICECIDR ||
			     c->regime == CLUSTER_REGIME_DUAL_WRITE,
	};

	if (cluster_agreed_range(c, &p.range)) {
		p.first = cluster_nth_address(c, p.range, 1);
		p.tenth = cluster_nth_address(c, p.range, 10);
	}
	if (p.kubernetes && p.kubernetes->cluster_ips.count)
		p.address = p.kubernetes->cluster_ips.items[0];
	if (p.dns && p.dns->cluster_ips.count)
		p.dns_address = p.dns->cluster_ips.items[0];
	p.address_broken = !p.address;
	for (size_t i = 0; i < c->dead_count; i++)
		p.address_broken |= doctor_is_dialled(&c->dead[i]);
	return p;
}

void doctor_examine(const struct cluster *cluster, struct finding_list *ret)
{
	struct patient patient = patient_of(cluster);

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		families[i](&patient, ret);
	for (size_t i = 0; i < ret->count; i++)
		finding_close(&ret->items[i]);
	finding_list_sort(ret);
}

char *doctor_join(const struct cluster_texts *texts)
{
	auto_buffer struct buffer b = {0};

	for (size_t i = 0; i < texts->count; i++)
		buffer_format(&b, "%s%s", i ? ", " : "", texts->items[i]);
	return buffer_detach(&b);
}

bool doctor_has_address(const struct cluster_service *service)
{
	return !service->alias_run && service->cluster_ips.count;
}

char *doctor_workload(const struct cluster_pod *pod)
{
	const char *dash = pod->owner_name ? strrchr(pod->owner_name, '-') : NULL;

	if (!pod->owner_kind || !pod->owner_name)
		return alloc_format("Pod/%s/%s", pod->namespace_, pod->name);
	if (strcmp(pod->owner_kind, "ReplicaSet") == 0 && dash)
		return alloc_format("Deployment/%s/%.*s", pod->namespace_,
				    (int)(dash - pod->owner_name), pod->owner_name);
	return alloc_format("%s/%s/%s", pod->owner_kind, pod->namespace_, pod->owner_name);
}

bool doctor_is_dialled(const struct cluster_dead_address *address)
{
	for (size_t i = 0; i < address->users.count; i++) {
		if (!slice_starts(slice_of(address->users.items[i]), "ConfigMap/"))
			return address->role == CLUSTER_DEAD_KUBERNETES;
	}
	return false;
}
