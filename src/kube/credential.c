/* SPDX-License-Identifier: MIT */
#include "kube/credential.h"

#include <openssl/x509.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/process.h"
#include "pki/cert.h"
#include "pki/key.h"
#include "pki/pem.h"
#include "text/json.h"

/* kubelet replaces a projected token long before it expires; client-go looks once a minute too. */
#define KUBE_CREDENTIAL_REREAD_MS 60000
/* a plugin that asks its user to log in, and one that does not */
#define KUBE_CREDENTIAL_PROMPT_MS 300000
#define KUBE_CREDENTIAL_SILENT_MS 60000
/* what expires in the next seconds would expire on its way to the server */
#define KUBE_CREDENTIAL_MARGIN_S 10

/* --- certificate and key --------------------------------------------------------------------- */

static struct slice kube_credential_slice(const struct secret *secret)
{
	return (struct slice){secret->ptr, secret->len};
}

int kube_credential_check_pair(const struct secret *certificate, const struct secret *key,
			       struct error *err)
{
	auto_pki_pem struct pki_pem_block block = {0};
	const unsigned char *der;
	bool matches = false;
	X509 *x509;
	int result;

	if (pki_pem_find(kube_credential_slice(certificate), "client-certificate", "CERTIFICATE",
			 &block, err) < 0)
		return -1;
	der = (const unsigned char *)block.bytes.ptr;
	x509 = d2i_X509(NULL, &der, (long)block.bytes.len);
	if (!x509)
		return error_set(err, ERROR_PARSE, "the client certificate is malformed");
	result = pki_key_matches(kube_credential_slice(key), "client-key", x509, &matches, err);
	X509_free(x509);
	if (result < 0)
		return -1;
	if (!matches)
		return error_set(err, ERROR_PARSE,
				 "the client key does not belong to the client certificate");
	return 0;
}

bool kube_credential_expiry(const struct secret *certificate, int64_t *ret_s)
{
	auto_pki_pem struct pki_pem_block block = {0};
	auto_pki_cert struct pki_cert cert = {0};
	auto_error struct error ignored = {0};

	if (certificate->len == 0 ||
	    pki_pem_find(kube_credential_slice(certificate), "", "CERTIFICATE", &block, &ignored) <
		    0 ||
	    pki_cert_from_der(kube_credential_slice(&block.bytes), &cert, &ignored) < 0)
		return false;
	*ret_s = cert.not_after_s;
	return true;
}

/* --- token files ----------------------------------------------------------------------------- */

static int kube_credential_read_token(struct kube_credential *credential,
				      const struct kube_config *config, struct error *err)
{
	auto_secret struct secret text = {0};
	struct slice token;

	if (secret_read(&text, config->token_file, LIMIT_CONFIG_FILE, err) < 0)
		return error_wrap(err, "token of user '%s'", config->user);
	token = slice_trim(kube_credential_slice(&text));
	if (token.len == 0)
		return error_set(err, ERROR_PARSE, "the token file '%s' is empty",
				 config->token_file);
	secret_set(&credential->token, token.ptr, token.len);
	credential->read_ms = clock_monotonic_ms();
	credential->loaded = true;
	return 0;
}

/* --- plugins --------------------------------------------------------------------------------- */

static void kube_credential_set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
}

/* The plugin has the same view of the cluster as we have, where it asks for it. */
static json_t *kube_credential_cluster(const struct kube_config *config)
{
	json_t *cluster = json_object();
	auto_error struct error ignored = {0};
	auto_json json_t *extra = NULL;
	const char *extra_text = config->exec->cluster_extra;

	kube_credential_set_text(cluster, "server", config->server);
	kube_credential_set_text(cluster, "tls-server-name", config->tls_server_name);
	kube_credential_set_text(cluster, "proxy-url", config->proxy_url);
	if (config->insecure)
		json_object_set_new(cluster, "insecure-skip-tls-verify", json_true());
	if (!config->compression)
		json_object_set_new(cluster, "disable-compression", json_true());
	if (config->ca) {
		size_t len = strlen(config->ca);
		auto_free unsigned char *base64 = alloc_bytes(len * 4 / 3 + 8);

		EVP_EncodeBlock(base64, (const unsigned char *)config->ca, (int)len);
		kube_credential_set_text(cluster, "certificate-authority-data", (char *)base64);
	}
	if (extra_text)
		extra = json_parse(slice_of(extra_text), "extension", &ignored);
	if (extra)
		json_object_set(cluster, "config", extra);
	return cluster;
}

static char *kube_credential_exec_info(const struct kube_config *config)
{
	auto_json json_t *info = json_object();
	json_t *spec = json_object();

	json_object_set_new(info, "apiVersion", json_string(config->exec->api_version));
	json_object_set_new(info, "kind", json_string("ExecCredential"));
	/* its stdin is a pipe of ours, so it has no terminal to read from */
	json_object_set_new(spec, "interactive", json_false());
	if (config->exec->provide_cluster_info)
		json_object_set_new(spec, "cluster", kube_credential_cluster(config));
	json_object_set_new(info, "spec", spec);
	return json_print(info);
}

/* Ours, then what the kubeconfig adds, then KUBERNETES_EXEC_INFO. Names that are set anew are left
 * out of ours: of two values a program may take either. */
static char **kube_credential_environment(const struct kube_config *config, char **ret_info)
{
	auto_free char *json = kube_credential_exec_info(config);
	size_t count = 0, added = 0, used = 0;
	char **list;

	while (environ[count])
		count++;
	while (config->exec->env && config->exec->env[added])
		added++;
	list = alloc_array(count + added + 2, sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		bool replaced = slice_starts(slice_of(environ[i]), "KUBERNETES_EXEC_INFO=");

		for (size_t j = 0; j < added && !replaced; j++) {
			size_t name = strcspn(config->exec->env[j], "=") + 1;

			replaced = strncmp(environ[i], config->exec->env[j], name) == 0;
		}
		if (!replaced)
			list[used++] = environ[i];
	}
	for (size_t j = 0; j < added; j++)
		list[used++] = config->exec->env[j];
	list[used] = *ret_info = alloc_format("KUBERNETES_EXEC_INFO=%s", json);
	return list;
}

static const char **kube_credential_argv(const struct kube_exec *exec)
{
	size_t count = 0;
	const char **argv;

	while (exec->args && exec->args[count])
		count++;
	argv = alloc_array(count + 2, sizeof(*argv));
	argv[0] = exec->command;
	for (size_t i = 0; i < count; i++)
		argv[i + 1] = exec->args[i];
	return argv;
}

static void kube_credential_wipe(struct buffer *output)
{
	if (output->ptr)
		explicit_bzero(output->ptr, output->capacity);
	buffer_release(output);
}

/* The last line of what a plugin said: the reason, by custom. */
static struct slice kube_credential_last_line(const struct buffer *errors)
{
	struct slice rest = slice_trim(buffer_as_slice(errors));
	struct slice line = {0};
	struct slice part;

	while (slice_next(&rest, '\n', &part))
		line = slice_trim(part);
	return line;
}

static int kube_credential_execute(const struct kube_config *config, struct buffer *output,
				   struct error *err)
{
	const struct kube_exec *exec = config->exec;
	auto_free const char **argv = kube_credential_argv(exec);
	auto_free char *info = NULL;
	auto_free char **environment = kube_credential_environment(config, &info);
	bool prompts = exec->may_prompt && isatty(STDERR_FILENO);
	struct process_options options = {.environment = environment, .inherit_errors = prompts};
	int64_t timeout = prompts ? KUBE_CREDENTIAL_PROMPT_MS : KUBE_CREDENTIAL_SILENT_MS;
	auto_buffer struct buffer errors = {.max = LIMIT_PROCESS_OUTPUT};
	const char *hint = exec->install_hint;
	struct slice reason;
	int status = 0;

	output->max = LIMIT_PROCESS_OUTPUT;
	if (process_run(argv, &options, (struct slice){0}, timeout, output, &errors, &status, err) <
	    0) {
		if (err->kind != ERROR_NOT_FOUND)
			return error_wrap(err, "credential plugin");
		return error_set(err, ERROR_USAGE,
				 "the credential plugin '%s' of user '%s' is not "
				 "installed%s%s",
				 exec->command, config->user, hint ? ": " : "", hint ? hint : "");
	}
	if (status == 0)
		return 0;
	reason = kube_credential_last_line(&errors);
	return error_set(err, ERROR_API,
			 "the credential plugin '%s' of user '%s' failed with status %d%s%.*s",
			 exec->command, config->user, status, reason.len ? ": " : "",
			 (int)reason.len, reason.len ? reason.ptr : "");
}

static void kube_credential_take_pair(struct kube_credential *credential, const char *certificate,
				      const char *key)
{
	if (credential->certificate.ptr && strcmp(credential->certificate.ptr, certificate) == 0)
		return;
	secret_set(&credential->certificate, certificate, strlen(certificate));
	secret_set(&credential->key, key, strlen(key));
	credential->generation++;
}

/* jansson does not wipe what it frees. */
static void kube_credential_wipe_text(const char *text)
{
	if (text)
		explicit_bzero((char *)(uintptr_t)text, strlen(text));
}

static int kube_credential_take(struct kube_credential *credential,
				const struct kube_config *config, const json_t *answer,
				struct error *err)
{
	const char *command = config->exec->command;
	const char *token = json_path_text(answer, "status.token");
	const char *certificate = json_path_text(answer, "status.clientCertificateData");
	const char *key = json_path_text(answer, "status.clientKeyData");
	const char *expires = json_path_text(answer, "status.expirationTimestamp");
	int64_t expires_s = 0;

	if (!json_path_is(answer, "kind", "ExecCredential") ||
	    !json_path_is(answer, "apiVersion", config->exec->api_version))
		return error_set(
			err, ERROR_PARSE,
			"the credential plugin '%s' did not answer with an ExecCredential of %s",
			command, config->exec->api_version);
	if (!certificate != !key || (!token && !certificate))
		return error_set(err, ERROR_PARSE,
				 "the credential plugin '%s' gave neither a token nor "
				 "a certificate with its key",
				 command);
	if (expires && !clock_parse(expires, &expires_s))
		return error_set(err, ERROR_PARSE,
				 "the credential plugin '%s' gave a credential with a "
				 "malformed expirationTimestamp",
				 command);
	secret_release(&credential->token);
	if (token)
		secret_set(&credential->token, token, strlen(token));
	if (certificate)
		kube_credential_take_pair(credential, certificate, key);
	if (certificate &&
	    kube_credential_check_pair(&credential->certificate, &credential->key, err) < 0)
		return error_wrap(err, "credential plugin '%s'", command);
	credential->expires = expires != NULL;
	credential->expires_s = expires_s;
	credential->loaded = true;
	return 0;
}

static int kube_credential_ask(struct kube_credential *credential, const struct kube_config *config,
			       struct error *err)
{
	struct buffer output = {0};
	auto_json json_t *answer = NULL;
	int result;

	if (config->exec->needs_terminal)
		return error_set(
			err, ERROR_USAGE,
			"the credential plugin '%s' of user '%s' reads from a "
			"terminal (interactiveMode: Always), which is not supported: use a "
			"client certificate or a token",
			config->exec->command, config->user);
	result = kube_credential_execute(config, &output, err);
	if (result == 0) {
		answer = json_parse(buffer_as_slice(&output), config->exec->command, err);
		result = answer ? kube_credential_take(credential, config, answer, err)
				: error_wrap(err, "credential plugin");
		kube_credential_wipe_text(json_path_text(answer, "status.token"));
		kube_credential_wipe_text(json_path_text(answer, "status.clientKeyData"));
	}
	kube_credential_wipe(&output);
	return result;
}

/* --- all of it ------------------------------------------------------------------------------- */

bool kube_credential_can_renew(const struct kube_config *config)
{
	return config->token_file || (config->exec && !config->token.len);
}

int kube_credential_refresh(struct kube_credential *credential, const struct kube_config *config,
			    bool rejected, struct error *err)
{
	if (config->token_file) {
		if (credential->loaded && !rejected &&
		    clock_monotonic_ms() - credential->read_ms < KUBE_CREDENTIAL_REREAD_MS)
			return 0;
		return kube_credential_read_token(credential, config, err);
	}
	if (config->exec && !config->token.len) {
		if (credential->loaded && !rejected &&
		    (!credential->expires ||
		     clock_wall_s() + KUBE_CREDENTIAL_MARGIN_S < credential->expires_s))
			return 0;
		return kube_credential_ask(credential, config, err);
	}
	if (!credential->loaded && config->token.len)
		secret_set(&credential->token, config->token.ptr, config->token.len);
	credential->loaded = true;
	return 0;
}

void kube_credential_release(struct kube_credential *credential)
{
	secret_release(&credential->token);
	secret_release(&credential->certificate);
	secret_release(&credential->key);
	*credential = (struct kube_credential){0};
}
