/* SPDX-License-Identifier: MIT */
#include "kube/tls.h"

#include <string.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "kube/client.h"
#include "lib/fake_api.h"
#include "lib/test.h"
#include "pki/cert.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* handshakes take seconds under valgrind on a busy machine */
#define PATIENCE_MS 60000

static const struct fake_step one[] = {{"GET", "/x", NULL, 200, NULL, "ok", 0}};

static struct fake_tls good;	/* for 127.0.0.1 and api.test */
static struct fake_tls named;	/* for api.test only */
static struct fake_tls expired; /* since a minute */
static struct fake_tls early;	/* from in a minute on */
static struct fake_tls other;	/* another CA with the same name */

/* GET /x with this configuration; 0 or -1. */
static int ask(struct fake_api *api, struct kube_config *config, struct error *err)
{
	auto_free char *server = alloc_format("https://127.0.0.1:%u", fake_api_port(api));
	auto_kube_reply struct kube_reply reply = {0};
	struct kube_client_options options = {.connect_timeout_ms = PATIENCE_MS, .retry_ms = -1};
	struct kube_client *kube;
	int result;

	config->server = server;
	config->context = (char *)(uintptr_t) "test";
	kube = kube_client_open(config, &options, err);
	if (!kube)
		return -1;
	result = kube_client_get_raw(kube, "/x", &reply, err);
	kube_client_free(kube);
	return result;
}

static void test_trust(void)
{
	const struct {
		const char *name;
		const struct fake_tls *server;
		const char *ca;
		const char *tls_server_name;
		bool insecure;
		const char *says; /* NULL: it is trusted */
	} rows[] = {
		{"its own CA", &good, good.ca, NULL, false, NULL},
		{"tls-server-name", &named, named.ca, "api.test", false, NULL},
		{"not verified", &expired, NULL, "nonsense", true, NULL},
		{"address not in the certificate", &named, named.ca, NULL, false,
		 "is not valid for '127.0.0.1', only for 'api.test', 'other.test', '10.96.0.1': "
		 "use"},
		{"name not in the certificate", &good, good.ca, "wrong.test", false,
		 "is not valid for 'wrong.test', only for 'api.test', '127.0.0.1'"},
		{"another CA", &good, other.ca, NULL, false,
		 "issued by 'CN=test-ca', is not trusted by the certificate authority of the "
		 "kubeconfig"},
		{"no CA", &good, NULL, NULL, false,
		 "is not trusted by this machine (the kubeconfig brings no certificate authority)"},
		{"expired", &expired, expired.ca, NULL, false, "expired at 20"},
		{"not valid yet", &early, early.ca, NULL, false, "is not valid before 20"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kube_config config = {.ca = (char *)(uintptr_t)rows[i].ca,
					     .tls_server_name =
						     (char *)(uintptr_t)rows[i].tls_server_name,
					     .insecure = rows[i].insecure};
		struct fake_api *api =
			fake_api_start(one, rows[i].says ? 0 : 1, rows[i].server, NULL);
		struct error err = {0};

		TEST("server certificate: %s", rows[i].name);
		if (rows[i].says)
			CHECK_ERROR(ask(api, &config, &err), &err, ERROR_NETWORK, rows[i].says);
		else
			CHECK_OK(ask(api, &config, &err), &err);
		fake_api_stop(api);
	}
}

/* One server asked by its address, as for a repair. */
static void test_at(void)
{
	static const struct {
		const char *name; /* by which the kubeconfig knows the servers */
		const struct fake_tls *server;
		const char *says; /* NULL: it is trusted */
	} rows[] = {
		{"api.test", &named, NULL},
		{"lb.test", &good, NULL}, /* has the address, not the name */
		{"lb.test", &named, "is not valid for 'lb.test', only for 'api.test'"},
		{"lb.test", &other, "is not trusted by the certificate authority"},
		{"lb.test", &expired, "expired at 20"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		auto_free char *server = alloc_format("https://%s:6443", rows[i].name);
		struct kube_config config = {.ca = rows[i].server == &other ? good.ca
									    : rows[i].server->ca,
					     .context = server,
					     .server = server};
		struct fake_step steps[] = {one[0], one[0]};
		struct fake_api *api =
			fake_api_start(steps, rows[i].says ? 0 : 2, rows[i].server, NULL);
		struct kube_client_options options = {.connect_timeout_ms = PATIENCE_MS};
		auto_kube_reply struct kube_reply reply = {0};
		struct kube_client *kube, *there;
		struct error err = {0};

		TEST("kube_client_at: '%s', %s", rows[i].name,
		     rows[i].says ? rows[i].says : "trusted");
		kube = kube_client_open(&config, &options, &err);
		there = kube_client_at(kube, "127.0.0.1", fake_api_port(api), &err);
		for (int twice = 0; twice < 2; twice++) {
			if (rows[i].says)
				CHECK_ERROR(kube_client_get_raw(there, "/x", &reply, &err), &err,
					    ERROR_NETWORK, rows[i].says);
			else
				CHECK_OK(kube_client_get_raw(there, "/x", &reply, &err), &err);
		}
		kube_client_free(there);
		kube_client_free(kube);
		fake_api_stop(api);
	}
}

static void test_client_certificate(void)
{
	struct kube_config config = {.ca = good.ca};
	struct fake_api *api = fake_api_start(one, 1, &good, named.ca);
	struct error err = {0};

	TEST("the client shows its certificate, from memory");
	secret_set(&config.certificate, named.certificate, strlen(named.certificate));
	secret_set(&config.key, named.key, strlen(named.key));
	CHECK_OK(ask(api, &config, &err), &err);
	fake_api_stop(api);

	TEST("a client certificate of another CA is refused");
	api = fake_api_start(one, 0, &good, other.ca);
	CHECK_ERROR(ask(api, &config, &err), &err, ERROR_NETWORK, "https://127.0.0.1:");
	fake_api_stop(api);
	secret_release(&config.certificate);
	secret_release(&config.key);
}

static void test_expired_client_certificate(void)
{
	static const struct fake_step rejected[] = {{"GET", "/x", NULL, 401, NULL, "", 0}};
	struct kube_config config = {.ca = good.ca, .user = (char *)(uintptr_t) "jane"};
	struct fake_api *api = fake_api_start(rejected, 1, &good, NULL);
	struct error err = {0};

	TEST("401 to an expired client certificate says so");
	secret_set(&config.certificate, expired.certificate, strlen(expired.certificate));
	secret_set(&config.key, expired.key, strlen(expired.key));
	CHECK_ERROR(ask(api, &config, &err), &err, ERROR_API,
		    "its client certificate expired at 20");
	fake_api_stop(api);

	TEST("401 to a valid one blames its issuer");
	api = fake_api_start(rejected, 1, &good, NULL);
	secret_set(&config.certificate, named.certificate, strlen(named.certificate));
	secret_set(&config.key, named.key, strlen(named.key));
	CHECK_ERROR(ask(api, &config, &err), &err, ERROR_API, "issued by another authority");
	fake_api_stop(api);
	secret_release(&config.certificate);
	secret_release(&config.key);
}

static void test_plain_server(void)
{
	struct kube_config config = {.ca = good.ca};
	struct fake_api *api = fake_api_start(one, 0, NULL, NULL);
	struct kube_tls_chain chain = {0};
	struct error err = {0};
	auto_free char *prefix = alloc_format("TLS with 127.0.0.1:%u: ", fake_api_port(api));

	/* it waits for the end of a request; the handshake never gets an answer */
	TEST("a server without TLS");
	CHECK_ERROR(kube_tls_fetch("127.0.0.1", fake_api_port(api), NULL, 300, &chain, &err), &err,
		    ERROR_NETWORK, prefix);
	(void)config;
	fake_api_stop(api);
}

static void test_fetch(void)
{
	/* asks for a client certificate, which we do not have */
	struct fake_api *api = fake_api_start(one, 0, &expired, other.ca);
	auto_kube_tls_chain struct kube_tls_chain chain = {0};
	auto_pki_cert struct pki_cert cert = {0};
	struct error err = {0};

	TEST("the served certificate, whatever it is");
	CHECK_OK(kube_tls_fetch("127.0.0.1", fake_api_port(api), "api.test", PATIENCE_MS, &chain,
				&err),
		 &err);
	if (CHECK(chain.count >= 1)) {
		struct slice der = {(const char *)chain.items[0].ptr, chain.items[0].len};

		CHECK_OK(pki_cert_from_der(der, &cert, &err), &err);
		CHECK_STR(cert.common_name, "test-server");
	}
	fake_api_stop(api);

	TEST("nobody listens");
	CHECK_ERROR(kube_tls_fetch("127.0.0.1", 1, NULL, 5000, &chain, &err), &err, ERROR_NETWORK,
		    "TLS with 127.0.0.1:1: Connection refused");
	CHECK_ERROR(kube_tls_fetch("::1", 1, NULL, 5000, &chain, &err), &err, ERROR_NETWORK,
		    "TLS with [::1]:1: ");
	TEST("a name without an address");
	CHECK_ERROR(kube_tls_fetch("nobody.invalid", 1, NULL, 5000, &chain, &err), &err,
		    ERROR_NETWORK, "TLS with nobody.invalid:1: ");
}

int main(void)
{
	interrupt_install();
	fake_tls_make(&good, "DNS:api.test,IP:127.0.0.1", 60, 3600);
	fake_tls_make(&named, "DNS:api.test,DNS:other.test,IP:10.96.0.1", 60, 3600);
	fake_tls_make(&expired, "IP:127.0.0.1", 3600, -60);
	fake_tls_make(&early, "IP:127.0.0.1", -60, 3600);
	fake_tls_make(&other, "IP:127.0.0.1", 60, 3600);
	test_trust();
	test_at();
	test_client_certificate();
	test_expired_client_certificate();
	test_plain_server();
	test_fetch();
	fake_tls_release(&good);
	fake_tls_release(&named);
	fake_tls_release(&expired);
	fake_tls_release(&early);
	fake_tls_release(&other);
	return test_done();
}
