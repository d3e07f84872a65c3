/* SPDX-License-Identifier: MIT */
#include "pki/cert.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/limits.h"
#include "net/address.h"
#include "pki/pem.h"
#include "pki/x509.h"

static char *cert_hex(const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *text = alloc_bytes(2 * len + 1);

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * len] = '\0';
	return text;
}

static char *cert_serial(const ASN1_INTEGER *serial)
{
	auto_free char *hex = cert_hex(serial->data, (size_t)serial->length);
	const char *start = hex;

	while (*start == '0' && start[1])
		start++;
	return alloc_format("%s%s", ASN1_STRING_type(serial) & V_ASN1_NEG ? "-" : "", start);
}

/* Bytes of a foreign certificate as text that can stand in JSON and on a terminal. */
static char *cert_printable(const unsigned char *bytes, size_t len)
{
	char *text = alloc_text_n("", 0);

	text = alloc_resize(text, len + 1, 1);
	for (size_t i = 0; i < len; i++)
		text[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
	text[len] = '\0';
	return text;
}

/* A name's value in UTF-8; what is not valid becomes '?'. */
static char *cert_name_value(const ASN1_STRING *value)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, value);
	char *text;

	if (len < 0)
		return cert_printable(value->data, (size_t)value->length);
	text = alloc_text_n((const char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	for (int i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	return text;
}

static void cert_object(const ASN1_OBJECT *object, char *ret, size_t size)
{
	int nid = OBJ_obj2nid(object);

	if (nid != NID_undef && OBJ_nid2sn(nid))
		snprintf(ret, size, "%s", OBJ_nid2sn(nid));
	else
		OBJ_obj2txt(ret, (int)size, object, 1);
}

static char *cert_name(const X509_NAME *name, char **ret_common_name,
		       struct pki_texts *organizations)
{
	auto_buffer struct buffer text = {0};

	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
		auto_free char *value = cert_name_value(X509_NAME_ENTRY_get_data(entry));
		char type[80];

		cert_object(object, type, sizeof(type));
		buffer_format(&text, "%s%s=", text.len ? "," : "", type);
		for (const char *c = value; *c; c++) {
			if (strchr(",+=\\\"<>;", *c))
				buffer_char(&text, '\\');
			buffer_char(&text, *c);
		}
		if (ret_common_name && OBJ_obj2nid(object) == NID_commonName) {
			free(*ret_common_name);
			*ret_common_name = steal(value);
		} else if (organizations && OBJ_obj2nid(object) == NID_organizationName) {
			pki_texts_add(organizations, value);
		}
	}
	return buffer_detach(&text);
}

static void cert_algorithm(const X509 *x509, struct pki_cert *cert)
{
	const X509_PUBKEY *public_key = X509_get_X509_PUBKEY(x509);
	const unsigned char *bytes = NULL;
	X509_ALGOR *algorithm = NULL;
	ASN1_OBJECT *object = NULL;
	const ASN1_OBJECT *curve = NULL;
	int len = 0;
	int type = 0;
	char name[80];

	X509_PUBKEY_get0_param(&object, &bytes, &len, &algorithm, public_key);
	cert_object(object, name, sizeof(name));
	if (OBJ_obj2nid(object) == NID_rsaEncryption) {
		long body = 0;
		int tag = 0;
		int class = 0;
		const unsigned char *p = bytes;
		const unsigned char *end = bytes + len;

		/* SEQUENCE { n INTEGER, … }: the bits of n */
		if (!(ASN1_get_object(&p, &body, &tag, &class, len) & 0x80) &&
		    !(ASN1_get_object(&p, &body, &tag, &class, end - p) & 0x80) &&
		    tag == V_ASN1_INTEGER && body > 0 && body <= end - p) {
			while (body > 1 && *p == 0) {
				p++;
				body--;
			}
			cert->algorithm = alloc_format(
				"RSA-%ld", body * 8 - __builtin_clz((unsigned int)*p | 1) + 24);
			return;
		}
	} else if (OBJ_obj2nid(object) == NID_X9_62_id_ecPublicKey) {
		X509_ALGOR_get0(NULL, &type, (const void **)&curve, algorithm);
		if (type == V_ASN1_OBJECT && EC_curve_nid2nist(OBJ_obj2nid(curve))) {
			const char *nist = EC_curve_nid2nist(OBJ_obj2nid(curve));

			cert->algorithm = alloc_format("ECDSA-P%s", nist + strlen("P-"));
			return;
		}
	} else if (OBJ_obj2nid(object) == NID_ED25519) {
		snprintf(name, sizeof(name), "Ed25519");
	}
	cert->algorithm = alloc_text(name);
}

static void cert_names(const X509 *x509, struct pki_cert *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		struct net_address address = {0};

		if (name->type == GEN_DNS) {
			auto_free char *text = cert_printable(name->d.dNSName->data,
							      (size_t)name->d.dNSName->length);

			pki_texts_add(&cert->dns_names, text);
		} else if (name->type == GEN_IPADD &&
			   net_address_from_bytes(name->d.iPAddress->data,
						  (size_t)name->d.iPAddress->length, &address)) {
			pki_texts_add(&cert->addresses, net_address_text(address).text);
		}
	}
	GENERAL_NAMES_free(names);
}

static void cert_usages(const X509 *x509, struct pki_cert *cert)
{
	static const char *const key_usages[] = {
		"digitalSignature", "contentCommitment", "keyEncipherment",
		"dataEncipherment", "keyAgreement",	 "keyCertSign",
		"cRLSign",	    "encipherOnly",	 "decipherOnly",
	};
	EXTENDED_KEY_USAGE *extended = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);
	ASN1_BIT_STRING *bits = X509_get_ext_d2i(x509, NID_key_usage, NULL, NULL);
	BASIC_CONSTRAINTS *basic = X509_get_ext_d2i(x509, NID_basic_constraints, NULL, NULL);

	for (int i = 0; i < sk_ASN1_OBJECT_num(extended); i++) {
		const ASN1_OBJECT *object = sk_ASN1_OBJECT_value(extended, i);
		char text[80];

		OBJ_obj2txt(text, sizeof(text), object, 1);
		if (OBJ_obj2nid(object) == NID_server_auth)
			pki_texts_add(&cert->usages, "server");
		else if (OBJ_obj2nid(object) == NID_client_auth)
			pki_texts_add(&cert->usages, "client");
		else
			pki_texts_add(&cert->usages, text);
	}
	for (size_t i = 0; bits && i < sizeof(key_usages) / sizeof(key_usages[0]); i++)
		if (ASN1_BIT_STRING_get_bit(bits, (int)i))
			pki_texts_add(&cert->key_usages, key_usages[i]);
	cert->is_ca = basic && basic->ca;
	EXTENDED_KEY_USAGE_free(extended);
	ASN1_BIT_STRING_free(bits);
	BASIC_CONSTRAINTS_free(basic);
}

static int cert_time(const ASN1_TIME *time, int64_t *ret, struct error *err)
{
	struct tm tm = {0};

	if (!ASN1_TIME_to_tm(time, &tm))
		return pki_openssl_error(err, ERROR_PARSE, "a time in the certificate is none");
	*ret = timegm(&tm);
	return 0;
}

int pki_cert_from_x509(X509 *x509, struct slice der, struct pki_cert *ret, struct error *err)
{
	auto_pki_cert struct pki_cert cert = {0};
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char signature[80];

	if (cert_time(X509_get0_notBefore(x509), &cert.not_before_s, err) < 0 ||
	    cert_time(X509_get0_notAfter(x509), &cert.not_after_s, err) < 0)
		return -1;
	cert.subject =
		cert_name(X509_get_subject_name(x509), &cert.common_name, &cert.organizations);
	if (!cert.common_name)
		cert.common_name = alloc_text("");
	cert.issuer = cert_name(X509_get_issuer_name(x509), NULL, NULL);
	cert.serial = cert_serial(X509_get0_serialNumber(x509));
	SHA256((const unsigned char *)der.ptr, der.len, digest);
	cert.fingerprint = cert_hex(digest, sizeof(digest));
	cert_algorithm(x509, &cert);
	OBJ_obj2txt(signature, sizeof(signature), OBJ_nid2obj(X509_get_signature_nid(x509)), 0);
	cert.signature = alloc_text(signature);
	cert_names(x509, &cert);
	cert_usages(x509, &cert);
	*ret = cert;
	cert = (struct pki_cert){0};
	return 0;
}

int pki_cert_from_der(struct slice der, struct pki_cert *ret, struct error *err)
{
	auto_x509 X509 *x509 = pki_x509_parse(der, err);

	return x509 ? pki_cert_from_x509(x509, der, ret, err) : -1;
}

int pki_cert_read(const char *path, struct pki_cert *ret, struct error *err)
{
	auto_buffer struct buffer text = {0};
	auto_pki_pem struct pki_pem_block block = {0};

	if (file_read(path, LIMIT_CONFIG_FILE, &text, err) < 0 ||
	    pki_pem_find(buffer_as_slice(&text), path, "CERTIFICATE", &block, err) < 0)
		return -1;
	if (pki_cert_from_der((struct slice){block.bytes.ptr, block.bytes.len}, ret, err) < 0)
		return error_wrap(err, "%s:%zu:1", path, block.line);
	return 0;
}

void pki_cert_release(struct pki_cert *cert)
{
	free(cert->subject);
	free(cert->common_name);
	free(cert->issuer);
	free(cert->serial);
	free(cert->fingerprint);
	free(cert->algorithm);
	free(cert->signature);
	pki_texts_release(&cert->organizations);
	pki_texts_release(&cert->dns_names);
	pki_texts_release(&cert->addresses);
	pki_texts_release(&cert->usages);
	pki_texts_release(&cert->key_usages);
	*cert = (struct pki_cert){0};
}

/* RFC 6125 as Go reads it: a wildcard is the whole first label and stands for one label. */
static bool cert_dns_covers(const char *pattern, const char *host)
{
	const char *rest = strchr(host, '.');

	if (strcasecmp(pattern, host) == 0)
		return true;
	return strncmp(pattern, "*.", 2) == 0 && rest && rest != host &&
	       strcasecmp(pattern + 1, rest) == 0;
}

bool pki_cert_covers(const struct pki_cert *cert, const char *host)
{
	struct net_address address = {0};

	if (net_address_read(slice_of(host), &address))
		return pki_texts_have(&cert->addresses, net_address_text(address).text);
	for (size_t i = 0; i < cert->dns_names.count; i++)
		if (cert_dns_covers(cert->dns_names.items[i], host))
			return true;
	return false;
}
