/* SPDX-License-Identifier: MIT */
#include "pki/profile.h"

#include "lib/test.h"
#include "pki/issue.h"

static void test_versions(void)
{
	static const struct {
		const char *text;
		int major, minor, patch; /* -1: none */
	} rows[] = {
		{"v1.36.3", 1, 36, 3},	    {"1.20.2", 1, 20, 2}, {"v1.32.0-rc.1", 1, 32, 0},
		{"v1.30.4+k3s1", 1, 30, 4}, {"v1.36", -1, 0, 0},  {"", -1, 0, 0},
		{"vX.1.2", -1, 0, 0},	    {"1.2.3x", -1, 0, 0}, {"v1..2", -1, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pki_version version = {0};

		TEST("version '%s'", rows[i].text);
		if (!CHECK_INT(pki_version_parse(rows[i].text, &version), rows[i].major >= 0) ||
		    rows[i].major < 0)
			continue;
		CHECK_INT(version.major, rows[i].major);
		CHECK_INT(version.minor, rows[i].minor);
		CHECK_INT(version.patch, rows[i].patch);
	}
}

static void test_organizations(void)
{
	static const struct {
		const char *name;
		struct pki_version version;
		const char *organization; /* NULL: none */
	} rows[] = {
		{"apiserver-kubelet-client", {1, 20, 2}, "system:masters"},
		{"apiserver-kubelet-client", {1, 28, 15}, "system:masters"},
		{"apiserver-kubelet-client", {1, 29, 0}, "kubeadm:cluster-admins"},
		{"apiserver-kubelet-client", {1, 32, 2}, "kubeadm:cluster-admins"},
		{"apiserver-kubelet-client", {1, 35, 4}, "kubeadm:cluster-admins"},
		{"apiserver-kubelet-client", {1, 35, 5}, NULL},
		{"apiserver-kubelet-client", {1, 36, 0}, "kubeadm:cluster-admins"},
		{"apiserver-kubelet-client", {1, 36, 1}, NULL},
		{"apiserver-kubelet-client", {1, 37, 0}, NULL},
		{"apiserver-etcd-client", {1, 28, 0}, "system:masters"},
		{"apiserver-etcd-client", {1, 29, 0}, NULL},
		{"etcd/healthcheck-client", {1, 20, 2}, "system:masters"},
		{"etcd/healthcheck-client", {1, 36, 3}, NULL},
		{"apiserver", {1, 20, 2}, NULL},
		{"front-proxy-client", {1, 20, 2}, NULL},
		{"etcd/server", {1, 20, 2}, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pki_profile *profile = pki_profile_find(slice_of(rows[i].name));

		TEST("organization of %s in 1.%u.%u", rows[i].name, rows[i].version.minor,
		     rows[i].version.patch);
		if (CHECK(profile))
			CHECK_STR(pki_profile_organization(profile, rows[i].version),
				  rows[i].organization);
	}
}

static void test_lists(void)
{
	static const struct {
		const char *list;
		int count; /* -1: an error */
		const char *first;
	} rows[] = {
		{"all", 7, "apiserver"},
		{"apiserver", 1, "apiserver"},
		{"etcd-peer, etcd/server", 2, "etcd/server"},
		{"etcd/peer,etcd-peer", 1, "etcd/peer"},
		{"front-proxy-client,all", 7, "apiserver"},
		{"ca", -1, "'ca' is not a certificate that can be issued"},
		{"apiserver,", -1, "'' is not a certificate"},
		{"", -1, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pki_profile *found[16];
		auto_error struct error err = {0};
		size_t count = 0;

		TEST("list '%s'", rows[i].list);
		if (rows[i].count < 0) {
			CHECK_ERROR(pki_profile_parse(rows[i].list, found, &count, &err), &err,
				    ERROR_USAGE, rows[i].first);
			continue;
		}
		if (!CHECK_OK(pki_profile_parse(rows[i].list, found, &count, &err), &err))
			continue;
		CHECK_INT(count, rows[i].count);
		CHECK_STR(found[0]->name, rows[i].first);
	}
}

static void test_names(void)
{
	static const struct {
		const char *text;
		bool valid, address;
	} rows[] = {
		{"10.17.0.1", true, true},
		{"fd00::1", true, true},
		{"apiserver.cluster.local", true, false},
		{"*.example.com", true, false},
		{"node_1", true, false},
		{"10.17.0.256", false, false},
		{"10.17.0", false, false},
		{"", false, false},
		{"a..b", false, false},
		{"-a", false, false},
		{"a b", false, false},
		{"a,b", false, false},
		{"a.*", false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool address = false;

		TEST("name '%s'", rows[i].text);
		CHECK_INT(pki_name_valid(rows[i].text, &address), rows[i].valid);
		CHECK_INT(address, rows[i].address);
	}
}

int main(void)
{
	test_versions();
	test_organizations();
	test_lists();
	test_names();
	return test_done();
}
