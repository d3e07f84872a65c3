/* SPDX-License-Identifier: MIT */
#include "lab/keys.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "lab/folder.h"
#include "pki/issue.h"
#include "pki/x509.h"

enum { KEYS_AUTHORITIES = 3, KEYS_DAY = 24 * 3600 };

static const struct {
	const char *base;
	const char *name;
} keys_authorities[KEYS_AUTHORITIES] = {
	{"ca", "kubernetes"},
	{"front-proxy-ca", "front-proxy-ca"},
	{"etcd/ca", "etcd-ca"},
};

/* A certificate or key with its text. */
struct keys_pair {
	EVP_PKEY *key;
	X509 *x509;
	char *pem;
	struct secret key_pem;
};

struct keys {
	struct lab *lab;
	struct keys_pair authorities[KEYS_AUTHORITIES];
	char *account_public; /* owned; sa.pub */
	struct secret account;
};

static void keys_pair_release(struct keys_pair *pair)
{
	EVP_PKEY_free(pair->key);
	X509_free(pair->x509);
	free(pair->pem);
	secret_release(&pair->key_pem);
}
#define auto_keys_pair __attribute__((cleanup(keys_pair_release)))

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < KEYS_AUTHORITIES; i++)
		keys_pair_release(&keys->authorities[i]);
	free(keys->account_public);
	secret_release(&keys->account);
	free(keys);
}

const char *keys_ca(const struct keys *keys)
{
	return keys->authorities[0].pem;
}

/* --- certificates ----------------------------------------------------------------------------- */

static bool keys_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	bool good;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	good = extension && X509_add_ext(x509, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good;
}

static bool keys_name(X509_NAME *name, const char *field, const char *value)
{
	return !value || X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
						    (const unsigned char *)value, -1, -1, 0) == 1;
}

static char *keys_pem(X509 *x509)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	char *text = NULL;

	if (bio && PEM_write_bio_X509(bio, x509) == 1) {
		long len = BIO_get_mem_data(bio, &bytes);

		text = alloc_text_n(bytes, (size_t)len);
	}
	BIO_free(bio);
	return text;
}

static bool keys_fill(struct keys_pair *pair, const struct keys_pair *ca, const char *name,
		      const char *organization)
{
	X509 *x509 = pair->x509;
	X509 *issuer = ca ? ca->x509 : x509;
	unsigned char serial[8];

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	/* positive, and without a zero in front, which DER forbids */
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
	return X509_set_version(x509, 2) == 1 &&
	       ASN1_STRING_set(X509_get_serialNumber(x509), serial, sizeof(serial)) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(x509), -KEYS_DAY) &&
	       X509_gmtime_adj(X509_getm_notAfter(x509), (ca ? 364L : 3650L) * KEYS_DAY) &&
	       X509_set_pubkey(x509, pair->key) == 1 &&
	       keys_name(X509_get_subject_name(x509), "O", organization) &&
	       keys_name(X509_get_subject_name(x509), "CN", name) &&
	       X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1 &&
	       (ca ? keys_extension(x509, issuer, NID_key_usage,
				    "critical,digitalSignature,keyEncipherment") &&
				keys_extension(x509, issuer, NID_ext_key_usage, "clientAuth") &&
				keys_extension(x509, issuer, NID_basic_constraints,
					       "critical,CA:FALSE") &&
				keys_extension(x509, issuer, NID_authority_key_identifier, "keyid")
		   : keys_extension(x509, issuer, NID_key_usage,
				    "critical,digitalSignature,keyEncipherment,keyCertSign") &&
				keys_extension(x509, issuer, NID_basic_constraints,
					       "critical,CA:TRUE") &&
				keys_extension(x509, issuer, NID_subject_key_identifier, "hash")) &&
	       X509_sign(x509, ca ? ca->key : pair->key, EVP_sha256()) > 0;
}

/* `ca` NULL: an authority that signs itself; else a client. */
static int keys_make(const struct keys_pair *ca, const char *name, const char *organization,
		     struct keys_pair *ret, struct error *err)
{
	auto_keys_pair struct keys_pair pair = {0};

	if (pki_key_generate(PKI_KEY_ECDSA_P256, &pair.key, err) < 0 ||
	    pki_key_to_pem(pair.key, &pair.key_pem, err) < 0)
		return -1;
	pair.x509 = X509_new();
	if (!pair.x509 || !keys_fill(&pair, ca, name, organization) ||
	    !(pair.pem = keys_pem(pair.x509))) {
		pki_openssl_error(err, ERROR_IO, "cannot make a certificate for '%s'", name);
		return -1;
	}
	*ret = pair;
	pair = (struct keys_pair){0};
	return 0;
}

static int keys_account(struct keys *keys, struct error *err)
{
	auto_pkey EVP_PKEY *key = NULL;
	char *bytes = NULL;
	BIO *bio;

	if (pki_key_generate(PKI_KEY_ECDSA_P256, &key, err) < 0 ||
	    pki_key_to_pem(key, &keys->account, err) < 0)
		return -1;
	bio = BIO_new(BIO_s_mem());
	if (bio && PEM_write_bio_PUBKEY(bio, key) == 1) {
		long len = BIO_get_mem_data(bio, &bytes);

		keys->account_public = alloc_text_n(bytes, (size_t)len);
	}
	BIO_free(bio);
	return keys->account_public ? 0 : pki_openssl_error(err, ERROR_IO, "cannot make sa.pub");
}

struct keys *keys_new(struct lab *lab, struct error *err)
{
	struct keys *keys = ALLOC_NEW(struct keys);

	keys->lab = lab;
	for (size_t i = 0; i < KEYS_AUTHORITIES; i++) {
		if (keys_make(NULL, keys_authorities[i].name, NULL, &keys->authorities[i], err) <
		    0) {
			keys_free(keys);
			return NULL;
		}
	}
	if (keys_account(keys, err) < 0) {
		keys_free(keys);
		return NULL;
	}
	return keys;
}

/* --- files ------------------------------------------------------------------------------------ */

static int keys_put(const struct lab_node *node, const char *name, struct slice text, mode_t mode,
		    struct error *err)
{
	auto_free char *path = alloc_format("%s/etc/kubernetes/%s", node->folder, name);

	return folder_write(path, text, mode, err);
}

static int keys_put_pair(const struct lab_node *node, const char *base, const char *pem,
			 const struct secret *key, struct error *err)
{
	auto_free char *cert_name = alloc_format("pki/%s.crt", base);
	auto_free char *key_name = alloc_format("pki/%s.key", base);

	if (keys_put(node, key_name, (struct slice){key->ptr, key->len}, 0600, err) < 0)
		return -1;
	return keys_put(node, cert_name, slice_of(pem), 0644, err);
}

static char *keys_base64(const char *bytes, size_t len)
{
	char *text = alloc_array(len / 3 * 4 + 5, 1);

	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes, (int)len);
	return text;
}

static int keys_kubeconfig(const struct keys *keys, const struct lab_node *node, const char *file,
			   const char *user, const char *organization, const char *host,
			   struct error *err)
{
	auto_keys_pair struct keys_pair pair = {0};
	auto_free char *ca = keys_base64(keys_ca(keys), strlen(keys_ca(keys)));
	auto_free char *cert = NULL;
	auto_free char *key = NULL;
	auto_free char *text = NULL;

	if (keys_make(&keys->authorities[0], user, organization, &pair, err) < 0)
		return -1;
	cert = keys_base64(pair.pem, strlen(pair.pem));
	key = keys_base64(pair.key_pem.ptr, pair.key_pem.len);
	text = alloc_format("apiVersion: v1\n"
			    "clusters:\n"
			    "- cluster:\n"
			    "    certificate-authority-data: %s\n"
			    "    server: https://%s:%u\n"
			    "  name: kubernetes\n"
			    "contexts:\n"
			    "- context:\n"
			    "    cluster: kubernetes\n"
			    "    user: %s\n"
			    "  name: %s@kubernetes\n"
			    "current-context: %s@kubernetes\n"
			    "kind: Config\n"
			    "preferences: {}\n"
			    "users:\n"
			    "- name: %s\n"
			    "  user:\n"
			    "    client-certificate-data: %s\n"
			    "    client-key-data: %s\n",
			    ca, host, keys->lab->port, user, user, user, user, cert, key);
	return keys_put(node, file, slice_of(text), 0600, err);
}

/* The names that the incident's cluster had in its certificates besides kubeadm's own. */
static void keys_names(const struct lab *lab, const char *service, struct pki_texts *ret)
{
	pki_texts_add(ret, service);
	pki_texts_add_new(ret, "127.0.0.1");
	pki_texts_add_new(ret, "apiserver.cluster.local");
	pki_texts_add_new(ret, lab->endpoint);
	for (size_t i = 0; i < lab->node_count; i++)
		if (lab->nodes[i].control_plane)
			pki_texts_add_new(ret, lab->nodes[i].address);
}

static int keys_issue(const struct lab_node *node, const struct pki_texts *add, struct error *err)
{
	auto_free char *folder = alloc_format("%s/etc/kubernetes/pki", node->folder);
	const struct pki_issue_options options = {
		.folder = folder,
		.node = node->name,
		.address = node->address,
		.version = {1, node->lab->options.minor, node->lab->options.patch},
		.add = add,
		.algorithm = PKI_KEY_ECDSA_P256,
	};

	for (size_t i = 0; i < pki_profile_count; i++) {
		auto_pki_pair struct pki_pair pair = {0};

		if (pki_issue(&pki_profiles[i], &options, &pair, err) < 0 ||
		    keys_put_pair(node, pki_profiles[i].base, pair.pem, &pair.key, err) < 0)
			return -1;
	}
	return 0;
}

int keys_write(const struct keys *keys, const struct lab_node *node, const char *service,
	       struct error *err)
{
	auto_pki_texts struct pki_texts names = {0};
	auto_free char *kubelet = alloc_format("system:node:%s", node->name);
	const char *admins = lab_since(keys->lab, 29) ? "kubeadm:cluster-admins" : "system:masters";

	for (size_t i = 0; i < KEYS_AUTHORITIES; i++)
		if (keys_put_pair(node, keys_authorities[i].base, keys->authorities[i].pem,
				  &keys->authorities[i].key_pem, err) < 0)
			return -1;
	keys_names(keys->lab, service, &names);
	if (keys_put(node, "pki/sa.key", (struct slice){keys->account.ptr, keys->account.len}, 0600,
		     err) < 0 ||
	    keys_put(node, "pki/sa.pub", slice_of(keys->account_public), 0600, err) < 0 ||
	    keys_issue(node, &names, err) < 0 ||
	    keys_kubeconfig(keys, node, "admin.conf", "kubernetes-admin", admins,
			    keys->lab->endpoint, err) < 0 ||
	    keys_kubeconfig(keys, node, "controller-manager.conf", "system:kube-controller-manager",
			    NULL, node->address, err) < 0 ||
	    keys_kubeconfig(keys, node, "scheduler.conf", "system:kube-scheduler", NULL,
			    node->address, err) < 0)
		return -1;
	if (lab_since(keys->lab, 29) &&
	    keys_kubeconfig(keys, node, "super-admin.conf", "kubernetes-super-admin",
			    "system:masters", keys->lab->endpoint, err) < 0)
		return -1;
	return keys_kubeconfig(keys, node, "kubelet.conf", kubelet, "system:nodes",
			       keys->lab->endpoint, err);
}

int keys_renew(const struct lab_node *node, const char *name, struct error *err)
{
	auto_pki_texts struct pki_texts names = {0};

	pki_texts_add(&names, name);
	return keys_issue(node, &names, err);
}
