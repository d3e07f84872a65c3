/* SPDX-License-Identifier: MIT */
#include "pki/profile.h"

#include <string.h>

const struct pki_profile pki_profiles[] = {
	{"apiserver", "apiserver", "apiserver", "ca", "kube-apiserver", PKI_USAGE_SERVER, true},
	{"apiserver-kubelet-client", "apiserver-kubelet-client", "apiserver-kubelet-client", "ca",
	 "kube-apiserver-kubelet-client", PKI_USAGE_CLIENT, false},
	{"front-proxy-client", "front-proxy-client", "front-proxy-client", "front-proxy-ca",
	 "front-proxy-client", PKI_USAGE_CLIENT, false},
	/* etcd's gateway dials itself with its server certificate (etcd-io/etcd#9785) */
	{"etcd/server", "etcd-server", "etcd/server", "etcd/ca", NULL,
	 PKI_USAGE_SERVER | PKI_USAGE_CLIENT, true},
	{"etcd/peer", "etcd-peer", "etcd/peer", "etcd/ca", NULL,
	 PKI_USAGE_SERVER | PKI_USAGE_CLIENT, true},
	{"etcd/healthcheck-client", "etcd-healthcheck-client", "etcd/healthcheck-client", "etcd/ca",
	 "kube-etcd-healthcheck-client", PKI_USAGE_CLIENT, false},
	{"apiserver-etcd-client", "apiserver-etcd-client", "apiserver-etcd-client", "etcd/ca",
	 "kube-apiserver-etcd-client", PKI_USAGE_CLIENT, false},
};
const size_t pki_profile_count = sizeof(pki_profiles) / sizeof(pki_profiles[0]);

bool pki_version_parse(const char *text, struct pki_version *ret)
{
	struct slice rest = slice_of(text && *text == 'v' ? text + 1 : text);
	uint64_t number[3] = {0};
	struct slice part;

	for (size_t i = 0; i < 3; i++) {
		size_t digits = 0;

		if (!slice_next(&rest, '.', &part))
			return false;
		while (digits < part.len && part.ptr[digits] >= '0' && part.ptr[digits] <= '9')
			digits++;
		/* behind the last number may stand "-rc.1" or "+build" */
		if (i == 2 && digits < part.len && part.ptr[digits] != '-' &&
		    part.ptr[digits] != '+')
			return false;
		if (i == 2)
			part.len = digits;
		if (!slice_to_u64(part, 100000, &number[i]))
			return false;
	}
	*ret = (struct pki_version){(unsigned int)number[0], (unsigned int)number[1],
				    (unsigned int)number[2]};
	return true;
}

const struct pki_profile *pki_profile_find(struct slice name)
{
	for (size_t i = 0; i < pki_profile_count; i++)
		if (slice_is(name, pki_profiles[i].name) || slice_is(name, pki_profiles[i].kubeadm))
			return &pki_profiles[i];
	return NULL;
}

int pki_profile_parse(const char *list, const struct pki_profile **ret, size_t *ret_count,
		      struct error *err)
{
	struct slice rest = slice_of(list);
	struct slice name;
	unsigned int wanted = 0;
	size_t count = 0;

	while (slice_next(&rest, ',', &name)) {
		const struct pki_profile *profile;

		name = slice_trim(name);
		if (slice_is(name, "all")) {
			wanted = ~0U;
			continue;
		}
		profile = pki_profile_find(name);
		if (!profile)
			return error_set(err, ERROR_USAGE,
					 "'%.*s' is not a certificate that can be issued: "
					 "give 'all' or names like apiserver,etcd/server",
					 (int)name.len, name.ptr);
		wanted |= 1U << (profile - pki_profiles);
	}
	if (!wanted)
		return error_set(err, ERROR_USAGE, "no certificate is named");
	for (size_t i = 0; i < pki_profile_count; i++)
		if (wanted & 1U << i)
			ret[count++] = &pki_profiles[i];
	*ret_count = count;
	return 0;
}

static bool version_before(struct pki_version v, unsigned int minor, unsigned int patch)
{
	return v.major == 1 && (v.minor < minor || (v.minor == minor && v.patch < patch));
}

const char *pki_profile_organization(const struct pki_profile *profile, struct pki_version version)
{
	bool old = version_before(version, 29, 0);

	if (strcmp(profile->name, "apiserver-kubelet-client") == 0) {
		if (old)
			return "system:masters";
		if (version_before(version, 35, 5) ||
		    (version.minor == 36 && version_before(version, 36, 1)))
			return "kubeadm:cluster-admins";
		return NULL;
	}
	if (old && (strcmp(profile->name, "etcd/healthcheck-client") == 0 ||
		    strcmp(profile->name, "apiserver-etcd-client") == 0))
		return "system:masters";
	return NULL;
}
