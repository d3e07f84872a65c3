/* SPDX-License-Identifier: MIT */
#include "kube/config.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "kube/credential.h"
#include "kube/document.h"
#include "pki/pem.h"

/* The files of one kubeconfig, in order of precedence. */
struct kube_config_files {
	struct kube_document *items;
	size_t count;
	size_t capacity;
};

static void kube_config_files_release(struct kube_config_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		kube_document_release(&files->items[i]);
	free(files->items);
	*files = (struct kube_config_files){0};
}

#define auto_kube_config_files __attribute__((cleanup(kube_config_files_release)))

static int kube_config_add_text(struct kube_config_files *files, struct slice text,
				const char *name, struct error *err)
{
	ALLOC_GROW(files->items, files->count, files->capacity);
	if (kube_document_parse(&files->items[files->count], text, name, err) < 0)
		return -1;
	files->count++;
	return 0;
}

static int kube_config_add_file(struct kube_config_files *files, const char *path,
				struct error *err)
{
	auto_secret struct secret text = {0};

	if (secret_read(&text, path, LIMIT_CONFIG_FILE, err) < 0)
		return error_wrap(err, "kubeconfig");
	return kube_config_add_text(files, (struct slice){text.ptr, text.len}, path, err);
}

/* --- the parts of a context ------------------------------------------------------------------ */

/* A path in a file is relative to the folder of that file. */
static char *kube_config_path(const struct kube_document *document, const char *path)
{
	return path[0] == '/' ? alloc_text(path) : file_join(document->folder, path);
}

/* What is given inline as base64 under `key`-data, or as the path of a file under `key`. */
static int kube_config_material(const struct kube_document *document, struct fy_node *mapping,
				const char *key, struct secret *ret, struct error *err)
{
	auto_free char *data_key = alloc_format("%s-data", key);
	auto_free char *named = NULL;
	auto_free char *path = NULL;
	struct slice data;

	if (kube_document_scalar(document, mapping, data_key, &data, err) < 0)
		return -1;
	if (data.len && !pki_base64_decode(data, ret))
		return kube_document_error(document, kube_document_value(mapping, data_key), err,
					   "'%s' is not valid base64", data_key);
	if (data.len)
		return 0;
	if (kube_document_text(document, mapping, key, &named, err) < 0)
		return -1;
	if (!named)
		return 0;
	path = kube_config_path(document, named);
	if (secret_read(ret, path, LIMIT_CONFIG_FILE, err) < 0)
		return error_wrap(err, "'%s' of '%s'", key, document->file);
	return 0;
}

static int kube_config_ca(struct kube_config *config, const struct kube_document *document,
			  struct fy_node *cluster, struct error *err)
{
	auto_secret struct secret pem = {0};
	auto_pki_pem struct pki_pem_block block = {0};

	if (kube_config_material(document, cluster, "certificate-authority", &pem, err) < 0)
		return -1;
	if (pem.len == 0)
		return 0;
	if (pki_pem_find((struct slice){pem.ptr, pem.len}, "certificate-authority", "CERTIFICATE",
			 &block, err) < 0)
		return error_wrap(err, "cluster '%s' in '%s'", config->cluster, document->file);
	config->ca = alloc_text(pem.ptr);
	return 0;
}

/* "10.1.15.254:6443" as kubectl takes it, and no slash at the end. */
static int kube_config_server(struct kube_config *config, const struct kube_document *document,
			      struct fy_node *cluster, struct error *err)
{
	auto_free char *text = NULL;
	size_t len;

	if (kube_document_text(document, cluster, "server", &text, err) < 0)
		return -1;
	if (!text)
		return error_set(err, ERROR_USAGE, "cluster '%s' in '%s' names no server",
				 config->cluster, document->file);
	len = strlen(text);
	while (len && text[len - 1] == '/')
		text[--len] = '\0';
	if (strstr(text, "://")) {
		if (!slice_starts(slice_of(text), "https://") &&
		    !slice_starts(slice_of(text), "http://"))
			return kube_document_error(document, kube_document_value(cluster, "server"),
						   err, "the server '%s' is neither https nor http",
						   text);
		config->server = steal(text);
	} else {
		config->server = alloc_format(
			"%s://%s", config->ca || config->insecure ? "https" : "http", text);
	}
	return 0;
}

/* What a plugin gets to know of the cluster beyond its address. */
static int kube_config_exec_extra(struct kube_config *config, const struct kube_document *document,
				  struct fy_node *cluster, struct error *err)
{
	struct fy_node *extensions;

	if (!config->exec)
		return 0;
	if (kube_document_sequence(document, cluster, "extensions", &extensions, err) < 0)
		return -1;
	for (size_t i = 0; i < kube_document_count(extensions); i++) {
		struct fy_node *item = kube_document_item(extensions, i);
		struct slice name;

		if (kube_document_scalar(document, item, "name", &name, err) < 0)
			return -1;
		if (!slice_is(name, "client.authentication.k8s.io/exec"))
			continue;
		config->exec->cluster_extra =
			kube_document_json(kube_document_value(item, "extension"));
		return 0;
	}
	return 0;
}

static int kube_config_cluster(struct kube_config *config, const struct kube_document *document,
			       struct fy_node *cluster, struct error *err)
{
	bool no_compression = false;

	if (kube_document_flag(document, cluster, "insecure-skip-tls-verify", &config->insecure,
			       err) < 0 ||
	    kube_document_flag(document, cluster, "disable-compression", &no_compression, err) <
		    0 ||
	    kube_document_text(document, cluster, "tls-server-name", &config->tls_server_name,
			       err) < 0 ||
	    kube_document_text(document, cluster, "proxy-url", &config->proxy_url, err) < 0 ||
	    kube_config_ca(config, document, cluster, err) < 0)
		return -1;
	config->compression = !no_compression;
	if (config->insecure && config->ca)
		return error_set(err, ERROR_USAGE,
				 "cluster '%s' in '%s' has both a certificate authority and "
				 "insecure-skip-tls-verify: remove one of them",
				 config->cluster, document->file);
	return kube_config_server(config, document, cluster, err);
}

static int kube_config_exec_env(struct kube_exec *exec, const struct kube_document *document,
				struct fy_node *mapping, struct error *err)
{
	struct fy_node *list;
	size_t count;

	if (kube_document_sequence(document, mapping, "env", &list, err) < 0)
		return -1;
	count = kube_document_count(list);
	exec->env = alloc_array(count + 1, sizeof(*exec->env));
	for (size_t i = 0; i < count; i++) {
		struct fy_node *item = kube_document_item(list, i);
		struct slice name, value;

		if (kube_document_scalar(document, item, "name", &name, err) < 0 ||
		    kube_document_scalar(document, item, "value", &value, err) < 0)
			return -1;
		if (name.len == 0 || memchr(name.ptr, '=', name.len))
			return kube_document_error(document, item, err,
						   "an environment variable without a proper name");
		exec->env[i] = alloc_format("%.*s=%.*s", (int)name.len, name.ptr, (int)value.len,
					    value.len ? value.ptr : "");
	}
	return 0;
}

static int kube_config_exec_mode(struct kube_exec *exec, const struct kube_document *document,
				 struct fy_node *mapping, struct error *err)
{
	struct slice mode;

	if (kube_document_scalar(document, mapping, "interactiveMode", &mode, err) < 0)
		return -1;
	exec->needs_terminal = slice_is(mode, "Always");
	exec->may_prompt = !slice_is(mode, "Never");
	if (mode.len && exec->may_prompt && !exec->needs_terminal && !slice_is(mode, "IfAvailable"))
		return kube_document_error(
			document, kube_document_value(mapping, "interactiveMode"), err,
			"interactiveMode '%.*s' is not known", (int)mode.len, mode.ptr);
	return kube_document_flag(document, mapping, "provideClusterInfo",
				  &exec->provide_cluster_info, err);
}

static int kube_config_exec(struct kube_config *config, const struct kube_document *document,
			    struct fy_node *user, struct error *err)
{
	struct kube_exec *exec;
	struct fy_node *mapping;
	char *command;

	if (kube_document_mapping(document, user, "exec", &mapping, err) < 0)
		return -1;
	if (!mapping)
		return 0;
	exec = config->exec = ALLOC_NEW(struct kube_exec);
	if (kube_document_text(document, mapping, "apiVersion", &exec->api_version, err) < 0 ||
	    kube_document_text(document, mapping, "command", &exec->command, err) < 0 ||
	    kube_document_text(document, mapping, "installHint", &exec->install_hint, err) < 0 ||
	    kube_document_texts(document, mapping, "args", &exec->args, err) < 0 ||
	    kube_config_exec_env(exec, document, mapping, err) < 0 ||
	    kube_config_exec_mode(exec, document, mapping, err) < 0)
		return -1;
	if (!exec->command)
		return kube_document_error(document, mapping, err, "'exec' names no command");
	if (!exec->api_version ||
	    (strcmp(exec->api_version, "client.authentication.k8s.io/v1") != 0 &&
	     strcmp(exec->api_version, "client.authentication.k8s.io/v1beta1") != 0))
		return kube_document_error(
			document, mapping, err,
			"the credential plugin '%s' wants apiVersion '%s', only "
			"client.authentication.k8s.io/v1 and v1beta1 are supported",
			exec->command, exec->api_version ? exec->api_version : "");
	/* a bare name is looked up in PATH, anything with a slash begins where the file is */
	if (strchr(exec->command, '/')) {
		command = kube_config_path(document, exec->command);
		free(exec->command);
		exec->command = command;
	}
	return 0;
}

static int kube_config_secret(const struct kube_document *document, struct fy_node *mapping,
			      const char *key, struct secret *ret, struct error *err)
{
	struct slice value;

	if (kube_document_scalar(document, mapping, key, &value, err) < 0)
		return -1;
	if (value.len)
		secret_set(ret, value.ptr, value.len);
	return 0;
}

static int kube_config_impersonation(struct kube_config *config,
				     const struct kube_document *document, struct fy_node *user,
				     struct error *err)
{
	if (kube_document_value(user, "as-user-extra"))
		return kube_document_error(document, kube_document_value(user, "as-user-extra"),
					   err,
					   "'as-user-extra' is not supported: remove it, or use a "
					   "user of its own");
	if (kube_document_text(document, user, "as", &config->as_user, err) < 0 ||
	    kube_document_text(document, user, "as-uid", &config->as_uid, err) < 0)
		return -1;
	return kube_document_texts(document, user, "as-groups", &config->as_groups, err);
}

static int kube_config_user(struct kube_config *config, const struct kube_document *document,
			    struct fy_node *user, struct error *err)
{
	struct fy_node *provider = kube_document_value(user, "auth-provider");
	auto_free char *token_file = NULL;
	struct slice name = {0};

	if (provider) {
		if (kube_document_scalar(document, provider, "name", &name, err) < 0)
			return -1;
		return error_set(
			err, ERROR_USAGE,
			"user '%s' in '%s' logs in by the auth-provider '%.*s', which Kubernetes "
			"has removed: use a credential plugin ('exec') instead",
			config->user, document->file, (int)name.len, name.len ? name.ptr : "");
	}
	if (kube_config_material(document, user, "client-certificate", &config->certificate, err) <
		    0 ||
	    kube_config_material(document, user, "client-key", &config->key, err) < 0 ||
	    kube_config_secret(document, user, "token", &config->token, err) < 0 ||
	    kube_document_text(document, user, "tokenFile", &token_file, err) < 0 ||
	    kube_document_text(document, user, "username", &config->username, err) < 0 ||
	    kube_config_secret(document, user, "password", &config->password, err) < 0 ||
	    kube_config_exec(config, document, user, err) < 0 ||
	    kube_config_impersonation(config, document, user, err) < 0)
		return -1;
	if (token_file)
		config->token_file = kube_config_path(document, token_file);
	if (!config->certificate.len != !config->key.len)
		return error_set(err, ERROR_USAGE,
				 "user '%s' in '%s' has a client %s without its %s", config->user,
				 document->file, config->key.len ? "key" : "certificate",
				 config->key.len ? "certificate" : "key");
	if (config->key.len &&
	    kube_credential_check_pair(&config->certificate, &config->key, err) < 0)
		return error_wrap(err, "user '%s' in '%s'", config->user, document->file);
	return 0;
}

/* --- which context --------------------------------------------------------------------------- */

/* "'a', 'b'": what a list of all files names, for messages; "" for nothing. */
static void kube_config_names(const struct kube_config_files *files, const char *list,
			      struct buffer *ret)
{
	for (size_t f = 0; f < files->count; f++) {
		struct fy_node *sequence = kube_document_value(files->items[f].root, list);

		for (size_t i = 0; i < kube_document_count(sequence) && i < 20; i++) {
			struct fy_node *item = kube_document_item(sequence, i);
			auto_error struct error ignored = {0};
			auto_free char *quoted = NULL;
			struct slice name = {0};

			if (kube_document_scalar(&files->items[f], item, "name", &name, &ignored) <
				    0 ||
			    name.len == 0)
				continue;
			quoted = alloc_format("'%.*s'", (int)name.len, name.ptr);
			/* of the same name in two files the second does not count */
			if (!strstr(buffer_cstr(ret), quoted))
				buffer_format(ret, "%s%s", ret->len ? ", " : "", quoted);
		}
	}
}

/* Looks an entry up in the files; the first that has it wins. */
static int kube_config_find(const struct kube_config_files *files, const char *list,
			    const char *body, const char *name, const struct kube_document **ret_in,
			    struct fy_node **ret, struct error *err)
{
	for (size_t i = 0; i < files->count; i++) {
		if (kube_document_entry(&files->items[i], list, slice_of(name), body, ret, err) < 0)
			return -1;
		*ret_in = &files->items[i];
		if (*ret)
			return 0;
	}
	return 0;
}

static int kube_config_current(const struct kube_config_files *files, char **ret, struct error *err)
{
	auto_buffer struct buffer names = {0};

	for (size_t i = 0; i < files->count; i++) {
		if (kube_document_text(&files->items[i], files->items[i].root, "current-context",
				       ret, err) < 0)
			return -1;
		if (*ret)
			return 0;
	}
	kube_config_names(files, "contexts", &names);
	if (!names.len)
		return error_set(err, ERROR_USAGE, "'%s' has no contexts: it is not a kubeconfig",
				 files->items[0].file);
	return error_set(err, ERROR_USAGE,
			 "'%s' names no current context: choose one with --context (it has %s)",
			 files->items[0].file, buffer_cstr(&names));
}

static int kube_config_context(struct kube_config *config, const struct kube_config_files *files,
			       struct error *err)
{
	const struct kube_document *in = NULL;
	struct fy_node *context = NULL;
	auto_buffer struct buffer names = {0};

	if (kube_config_find(files, "contexts", "context", config->context, &in, &context, err) < 0)
		return -1;
	if (!context) {
		kube_config_names(files, "contexts", &names);
		return error_set(err, ERROR_USAGE, "there is no context '%s' in '%s', it has %s",
				 config->context, files->items[0].file,
				 names.len ? buffer_cstr(&names) : "none");
	}
	config->source = alloc_text(in->file);
	if (kube_document_text(in, context, "cluster", &config->cluster, err) < 0 ||
	    kube_document_text(in, context, "user", &config->user, err) < 0 ||
	    kube_document_text(in, context, "namespace", &config->space, err) < 0)
		return -1;
	if (!config->space)
		config->space = alloc_text("default");
	if (!config->cluster)
		return error_set(err, ERROR_USAGE, "context '%s' in '%s' names no cluster",
				 config->context, in->file);
	return 0;
}

static int kube_config_resolve(struct kube_config *config, const struct kube_config_files *files,
			       const char *wanted, struct error *err)
{
	const struct kube_document *in = NULL;
	const struct kube_document *user_in = NULL;
	struct fy_node *cluster = NULL;
	struct fy_node *user = NULL;

	if (wanted)
		config->context = alloc_text(wanted);
	else if (kube_config_current(files, &config->context, err) < 0)
		return -1;
	if (kube_config_context(config, files, err) < 0 ||
	    kube_config_find(files, "clusters", "cluster", config->cluster, &in, &cluster, err) < 0)
		return -1;
	if (!cluster)
		return error_set(err, ERROR_USAGE,
				 "context '%s' in '%s' names cluster '%s', which is "
				 "not defined",
				 config->context, config->source, config->cluster);
	if (kube_config_cluster(config, in, cluster, err) < 0)
		return -1;
	if (config->user) {
		if (kube_config_find(files, "users", "user", config->user, &user_in, &user, err) <
		    0)
			return -1;
		if (!user)
			return error_set(
				err, ERROR_USAGE,
				"context '%s' in '%s' names user '%s', which is not defined",
				config->context, config->source, config->user);
		if (kube_config_user(config, user_in, user, err) < 0)
			return -1;
	}
	return kube_config_exec_extra(config, in, cluster, err);
}

int kube_config_parse(struct kube_config *ret, struct slice text, const char *name,
		      const char *context, struct error *err)
{
	auto_kube_config_files struct kube_config_files files = {0};
	auto_kube_config struct kube_config config = {0};

	if (kube_config_add_text(&files, text, name, err) < 0 ||
	    kube_config_resolve(&config, &files, context, err) < 0)
		return -1;
	*ret = config;
	config = (struct kube_config){0};
	return 0;
}

/* --- where it comes from --------------------------------------------------------------------- */

#define KUBE_CONFIG_POD "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBE_CONFIG_NODE "/etc/kubernetes/admin.conf"

static bool kube_config_in_pod(const char *folder)
{
	auto_free char *token = file_join(folder, "token");

	return getenv("KUBERNETES_SERVICE_HOST") && getenv("KUBERNETES_SERVICE_PORT") &&
	       file_exists(token);
}

static int kube_config_load_pod(struct kube_config *config, const char *folder, struct error *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	auto_free char *ca_path = file_join(folder, "ca.crt");
	auto_free char *space_path = file_join(folder, "namespace");
	auto_buffer struct buffer ca = {0};
	auto_buffer struct buffer space = {0};

	assert(host); /* what sent us here */
	ca.max = space.max = LIMIT_CONFIG_FILE;
	if (file_read(ca_path, LIMIT_CONFIG_FILE, &ca, err) < 0 ||
	    (file_exists(space_path) && file_read(space_path, LIMIT_CONFIG_FILE, &space, err) < 0))
		return error_wrap(err, "service account of this Pod");
	config->source = alloc_text("");
	config->context = alloc_text("in-cluster");
	config->cluster = alloc_text("in-cluster");
	config->user = alloc_text("in-cluster");
	config->space = space.len ? buffer_detach(&space) : alloc_text("default");
	config->server = alloc_format(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
				      getenv("KUBERNETES_SERVICE_PORT"));
	config->ca = buffer_detach(&ca);
	config->compression = true;
	config->token_file = file_join(folder, "token");
	return 0;
}

static int kube_config_none(const char *tried, struct error *err)
{
	return error_set(
		err, ERROR_USAGE,
		"there is no kubeconfig ('%s' does not exist): name one with --kubeconfig or "
		"KUBECONFIG%s",
		tried, file_exists(KUBE_CONFIG_NODE) ? ", here probably " KUBE_CONFIG_NODE : "");
}

/* The files of $KUBECONFIG, those missing passed over. */
static int kube_config_list(struct kube_config_files *files, const char *list, struct error *err)
{
	struct slice rest = slice_of(list);
	struct slice part;

	while (slice_next(&rest, ':', &part)) {
		auto_free char *path = slice_dup(part);

		if (part.len && file_exists(path) && kube_config_add_file(files, path, err) < 0)
			return -1;
	}
	return 0;
}

static int kube_config_gather(struct kube_config_files *files, char **ret_tried,
			      const struct kube_config_options *options, struct error *err)
{
	const char *list = getenv("KUBECONFIG");
	const char *home = getenv("HOME");

	if (options && options->path) {
		*ret_tried = alloc_text(options->path);
		if (!file_exists(options->path))
			return error_set(err, ERROR_USAGE,
					 "the kubeconfig '%s' does not exist: give "
					 "another path with --kubeconfig",
					 options->path);
		return kube_config_add_file(files, options->path, err);
	}
	*ret_tried =
		list && *list ? alloc_text(list) : file_join(home ? home : "/", ".kube/config");
	if (list && *list)
		return kube_config_list(files, list, err);
	return file_exists(*ret_tried) ? kube_config_add_file(files, *ret_tried, err) : 0;
}

int kube_config_load(struct kube_config *ret, const struct kube_config_options *options,
		     struct error *err)
{
	auto_kube_config_files struct kube_config_files files = {0};
	auto_kube_config struct kube_config config = {0};
	const char *context = options ? options->context : NULL;
	const char *pod = options && options->pod_folder ? options->pod_folder : KUBE_CONFIG_POD;
	auto_free char *tried = NULL;

	if (kube_config_gather(&files, &tried, options, err) < 0)
		return -1;
	if (files.count == 0 && !kube_config_in_pod(pod))
		return kube_config_none(tried, err);
	if (files.count == 0) {
		if (context && strcmp(context, "in-cluster") != 0)
			return kube_config_none(tried, err);
		if (kube_config_load_pod(&config, pod, err) < 0)
			return -1;
	} else if (kube_config_resolve(&config, &files, context, err) < 0) {
		return -1;
	}
	if (config.insecure)
		log_warning("'%s' is not verified (insecure-skip-tls-verify of cluster '%s'): "
			    "anybody on "
			    "the way can pose as the cluster",
			    config.server, config.cluster);
	*ret = config;
	config = (struct kube_config){0};
	return 0;
}

static void kube_config_texts_release(char **texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		free(texts[i]);
	free(texts);
}

static void kube_config_exec_release(struct kube_exec *exec)
{
	if (!exec)
		return;
	free(exec->api_version);
	free(exec->command);
	kube_config_texts_release(exec->args);
	kube_config_texts_release(exec->env);
	free(exec->install_hint);
	free(exec->cluster_extra);
	free(exec);
}

void kube_config_release(struct kube_config *config)
{
	free(config->source);
	free(config->context);
	free(config->cluster);
	free(config->user);
	free(config->space);
	free(config->server);
	free(config->tls_server_name);
	free(config->proxy_url);
	free(config->ca);
	secret_release(&config->certificate);
	secret_release(&config->key);
	secret_release(&config->token);
	free(config->token_file);
	free(config->username);
	secret_release(&config->password);
	kube_config_exec_release(config->exec);
	free(config->as_user);
	free(config->as_uid);
	kube_config_texts_release(config->as_groups);
	*config = (struct kube_config){0};
}
