/* SPDX-License-Identifier: MIT */
#include "lab/guard.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "pki/key.h"
#include "pki/pem.h"
#include "pki/x509.h"
#include "text/json.h"

struct guard {
	struct lab *lab;
	json_t *claimed; /* owned; address: whether it was ever */
	json_t *seen;	 /* owned */
	uint64_t version;
};

/* --- addresses -------------------------------------------------------------------------------- */

static bool guard_is_old(const char *address)
{
	return address && strncmp(address, "10.96.", 6) == 0;
}

static void guard_claim(json_t *claims, const char *address)
{
	if (guard_is_old(address))
		json_object_set_new(claims, address, json_true());
}

/* Every address that a Service claims now; a new reference. */
static json_t *guard_claims(const struct lab *lab)
{
	json_t *claims = json_object();
	const char *key;
	json_t *service;
	json_t *item;
	size_t i;

	json_object_foreach(store_all(lab->store, "services"), key, service) {
		guard_claim(claims, json_path_text(service, "spec.clusterIP"));
		json_array_foreach(json_path(service, "status.loadBalancer.ingress"), i, item)
			guard_claim(claims, json_path_text(item, "ip"));
		json_array_foreach(json_path(service, "spec.externalIPs"), i, item)
			guard_claim(claims, json_string_value(item));
	}
	return claims;
}

struct guard *guard_new(struct lab *lab)
{
	struct guard *guard = ALLOC_NEW(struct guard);

	guard->lab = lab;
	guard->claimed = guard_claims(lab);
	json_object_set_new(guard->claimed, "10.96.0.1",
			    json_boolean(json_object_get(guard->claimed, "10.96.0.1") != NULL));
	json_object_set_new(guard->claimed, "10.96.0.10",
			    json_boolean(json_object_get(guard->claimed, "10.96.0.10") != NULL));
	guard->seen = json_array();
	return guard;
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	json_decref(guard->claimed);
	json_decref(guard->seen);
	free(guard);
}

void guard_look(struct guard *guard, const char *method, const char *path)
{
	auto_json json_t *claims = NULL;
	const char *address;
	json_t *was;
	void *next;

	if (!guard || guard->version == store_version(guard->lab->store))
		return;
	guard->version = store_version(guard->lab->store);
	claims = guard_claims(guard->lab);
	json_object_foreach_safe(guard->claimed, next, address, was) {
		bool is = json_object_get(claims, address) != NULL;

		if (json_is_true(was) && !is)
			json_array_append_new(guard->seen,
					      json_sprintf("nobody claims %s since %s %s", address,
							   method, path));
		json_object_set_new(guard->claimed, address, json_boolean(is));
	}
}

void guard_release(struct guard *guard, const char *address)
{
	if (guard && address)
		json_object_del(guard->claimed, address);
}

json_t *guard_seen(const struct guard *guard)
{
	return guard ? json_incref(guard->seen) : json_array();
}

/* --- keys ------------------------------------------------------------------------------------- */

static X509 *guard_x509(const char *path, struct slice pem, struct error *err)
{
	auto_pki_pem struct pki_pem_block block = {0};

	if (pki_pem_find(pem, path, "CERTIFICATE", &block, err) < 0)
		return NULL;
	return pki_x509_parse((struct slice){block.bytes.ptr, block.bytes.len}, err);
}

static void guard_pair(const char *folder, const char *name, json_t *seen)
{
	auto_free char *cert_path = alloc_format("%s/%s.crt", folder, name);
	auto_free char *key_path = alloc_format("%s/%s.key", folder, name);
	auto_x509 X509 *x509 = NULL;
	auto_buffer struct buffer pem = {0};
	auto_buffer struct buffer key = {0};
	auto_error struct error err = {0};
	bool matches = false;

	if (file_read(cert_path, LIMIT_CONFIG_FILE, &pem, &err) < 0) {
		if (err.kind != ERROR_NOT_FOUND)
			json_array_append_new(seen, json_sprintf("%s", error_text(&err)));
		return;
	}
	x509 = guard_x509(cert_path, buffer_as_slice(&pem), &err);
	if (!x509)
		json_array_append_new(seen, json_sprintf("%s is no certificate", cert_path));
	else if (file_read(key_path, LIMIT_CONFIG_FILE, &key, &err) < 0 ||
		 pki_key_matches(buffer_as_slice(&key), key_path, x509, &matches, &err) < 0)
		json_array_append_new(seen, json_sprintf("%s", error_text(&err)));
	else if (!matches)
		json_array_append_new(seen, json_sprintf("%s is of another certificate", key_path));
}

json_t *guard_pairs(const struct lab *lab)
{
	static const char *const names[] = {"ca",
					    "apiserver",
					    "apiserver-kubelet-client",
					    "front-proxy-ca",
					    "front-proxy-client",
					    "apiserver-etcd-client",
					    "etcd/ca",
					    "etcd/server",
					    "etcd/peer",
					    "etcd/healthcheck-client"};
	json_t *seen = json_array();

	for (size_t i = 0; i < lab->node_count; i++) {
		auto_free char *folder =
			alloc_format("%s/etc/kubernetes/pki", lab->nodes[i].folder);

		if (!lab->nodes[i].control_plane || !lab->nodes[i].shown)
			continue;
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			guard_pair(folder, names[k], seen);
	}
	return seen;
}
