/* SPDX-License-Identifier: MIT */
/*
 * certificate: an API server's certificate on one control plane names every address that clients
 * will dial. Parameters: node, names ("apiserver", as pki/op.h takes it), add, remove (arrays of SANs),
 * address, version, domain, keep (optional: names already there that make the step done).
 *
 * certificate-served: the servers at `servers` (array of {node, address, port}) show `add` and not
 * `remove` in their handshakes. They read the files themselves: at once by inotify, or within the
 * minute that old ones poll by (dynamic_serving_content.go).
 */
#include <string.h>

#include "base/alloc.h"
#include "kube/tls.h"
#include "pki/audit.h"
#include "step/kinds.h"
#include "step/texts.h"

static void certificate_describe(const struct plan_step *step, struct buffer *out)
{
	auto_step_texts struct step_texts add = step_texts_of(step, "add");
	auto_step_texts struct step_texts remove = step_texts_of(step, "remove");

	buffer_format(out, "issue %s", step->subject);
	for (size_t i = 0; i < add.count; i++)
		buffer_format(out, " +%s", add.items[i]);
	for (size_t i = 0; i < remove.count; i++)
		buffer_format(out, " -%s", remove.items[i]);
}

static bool certificate_has(const struct pki_cert *cert, const char *name)
{
	return pki_texts_have(&cert->addresses, name) || pki_texts_have(&cert->dns_names, name);
}

static bool certificate_fits(const struct plan_step *step, const struct pki_cert *cert)
{
	auto_step_texts struct step_texts add = step_texts_of(step, "add");
	auto_step_texts struct step_texts remove = step_texts_of(step, "remove");

	for (size_t i = 0; i < add.count; i++)
		if (!certificate_has(cert, add.items[i]))
			return false;
	for (size_t i = 0; i < remove.count; i++)
		if (certificate_has(cert, remove.items[i]))
			return false;
	return true;
}

static int certificate_audit(struct step_context *context, const struct plan_step *step,
			     struct pki_audit *ret, struct error *err)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "certs-audit");
	auto_json json_t *reply = NULL;
	const char *node;

	if (step_text(step, "node", &node, err) < 0 || step_need_nodes(context, step, err) < 0 ||
	    node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	return pki_audit_from_json(reply, ret, err);
}

static int certificate_check(struct step_context *context, const struct plan_step *step,
			     bool *ret_done, struct error *err)
{
	auto_pki_audit struct pki_audit audit = {0};
	const struct pki_record *record;

	if (certificate_audit(context, step, &audit, err) < 0)
		return -1;
	record = pki_audit_find(&audit, "apiserver");
	*ret_done = record && record->has_cert && record->key_matches &&
		    certificate_fits(step, &record->cert);
	return 0;
}

/* The fingerprints of what was there, and of what this run put there: by them undo knows somebody
 * else's. */
#define CERTIFICATE_KEPT_BEFORE "before"
#define CERTIFICATE_KEPT_WRITTEN "written"

/* "" where there is none. */
static const char *certificate_fingerprint(const struct pki_audit *audit)
{
	const struct pki_record *record = pki_audit_find(audit, "apiserver");

	return record && record->has_cert ? record->cert.fingerprint : "";
}

static int certificate_keep(struct step_context *context, const struct plan_step *step,
			    const char *name, struct error *err)
{
	auto_pki_audit struct pki_audit audit = {0};
	auto_json json_t *fingerprint = NULL;

	if (certificate_audit(context, step, &audit, err) < 0)
		return -1;
	fingerprint = json_string(certificate_fingerprint(&audit));
	return context->keep(context, step, name, fingerprint, err);
}

static int certificate_apply(struct step_context *context, const struct plan_step *step,
			     struct error *err)
{
	static const char *const passed[] = {"names",	"add",	     "remove", "node",
					     "address", "dnsDomain", "version"};
	auto_json json_t *request = json_pack("{s:s, s:s, s:s}", "op", "certs-issue", "run",
					      context->plan->run, "algorithm", "");
	auto_json json_t *reply = NULL;
	const char *node;

	if (step_text(step, "node", &node, err) < 0 || step_need_nodes(context, step, err) < 0 ||
	    certificate_keep(context, step, CERTIFICATE_KEPT_BEFORE, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		json_t *value = json_object_get(step->parameters, passed[i]);

		if (value)
			json_object_set(request, passed[i], value);
	}
	if (node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	return certificate_keep(context, step, CERTIFICATE_KEPT_WRITTEN, err);
}

/* Killed before it could say what it wrote: what does what the step wants is taken for that. */
static bool certificate_is_ours(const struct plan_step *step, const struct pki_audit *audit,
				const json_t *written)
{
	const struct pki_record *record = pki_audit_find(audit, "apiserver");

	if (written)
		return strcmp(certificate_fingerprint(audit), json_string_value(written)) == 0;
	return record && record->has_cert && certificate_fits(step, &record->cert);
}

static int certificate_undo(struct step_context *context, const struct plan_step *step,
			    struct error *err)
{
	auto_json json_t *request = json_pack("{s:s, s:s, s:s}", "op", "certs-restore", "run",
					      context->plan->run, "names", "apiserver");
	auto_json json_t *reply = NULL;
	auto_json json_t *before = context->kept(context, step, CERTIFICATE_KEPT_BEFORE);
	auto_json json_t *written = context->kept(context, step, CERTIFICATE_KEPT_WRITTEN);
	auto_pki_audit struct pki_audit audit = {0};
	const char *node;

	if (!before)
		return 0;
	if (step_text(step, "node", &node, err) < 0 ||
	    certificate_audit(context, step, &audit, err) < 0)
		return -1;
	/* the key, too, of an undo that was killed between the two files */
	if (strcmp(certificate_fingerprint(&audit), json_string_value(before)) != 0 &&
	    !certificate_is_ours(step, &audit, written))
		return error_set(err, ERROR_REFUSED,
				 "the API server's certificate on %s was changed by somebody since "
				 "this run issued one; its original is on that node in "
				 "/var/lib/kubectl-renumber/%s/pki",
				 node, context->plan->run);
	return node_call(context->pool, node, request, &reply, err);
}

const struct step_kind step_certificate = {
	.name = "certificate",
	.describe = certificate_describe,
	.check = certificate_check,
	.apply = certificate_apply,
	.undo = certificate_undo,
};

static void served_describe(const struct plan_step *step, struct buffer *out)
{
	size_t count = json_array_size(json_object_get(step->parameters, "servers"));

	buffer_format(out, "see %zu API server%s show the new certificate%s", count,
		      count == 1 ? "" : "s", count == 1 ? "" : "s");
}

#define SERVED_HANDSHAKE_MS 3000

/* One record with the certificate that the server shows. */
static int served_look(const json_t *server, struct pki_audit *ret, struct error *err)
{
	auto_kube_tls_chain struct kube_tls_chain chain = {0};
	const char *address = json_path_text(server, "address");
	int64_t port = json_path_int(server, "port", 6443);
	struct slice leaf;

	if (!address || port < 1 || port > UINT16_MAX)
		return error_set(err, ERROR_PARSE,
				 "the plan does not say where an API server is; make it anew");
	if (kube_tls_fetch(address, (uint16_t)port, NULL, SERVED_HANDSHAKE_MS, &chain, err) < 0)
		return -1;
	leaf = (struct slice){(const char *)chain.items[0].ptr, chain.items[0].len};
	return pki_audit_served(&leaf, 1, (struct slice){0}, NULL, ret, err);
}

static int served_one(const struct plan_step *step, const json_t *server, bool *ret_fits,
		      struct error *err)
{
	auto_pki_audit struct pki_audit audit = {0};

	if (served_look(server, &audit, err) < 0)
		return -1;
	*ret_fits = audit.count && audit.records[0].has_cert &&
		    certificate_fits(step, &audit.records[0].cert);
	return 0;
}

static int served_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			struct error *err)
{
	const json_t *server;
	size_t i;

	*ret_done = false;
	json_array_foreach(json_object_get(step->parameters, "servers"), i, server) {
		bool fits = false;

		if (served_one(step, server, &fits, err) < 0)
			return -1;
		if (!fits) {
			context->say(context,
				     "%s still shows its old certificate (a minute at most)",
				     json_path_text(server, "node"));
			return 0;
		}
	}
	*ret_done = true;
	return 0;
}

#define SERVED_MS 150000

static int served_apply(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	return step_wait(context, step, served_check, 500, SERVED_MS,
			 "an API server does not show its new certificate; restart it", err);
}

/* Whether the server shows the certificate that lies on its node. */
static int served_matches(struct step_context *context, const json_t *server, bool *ret,
			  struct error *err)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "certs-audit");
	auto_json json_t *reply = NULL;
	auto_pki_audit struct pki_audit on_disk = {0};
	auto_pki_audit struct pki_audit shown = {0};
	const char *node = json_path_text(server, "node");
	const struct pki_record *record;

	if (!node)
		return error_set(err, ERROR_PARSE,
				 "the plan does not say where an API server is; make it anew");
	if (node_call(context->pool, node, request, &reply, err) < 0 ||
	    pki_audit_from_json(reply, &on_disk, err) < 0)
		return -1;
	record = pki_audit_find(&on_disk, "apiserver");
	/* none was there before this run, and none is there now: nothing to wait for */
	*ret = !record || !record->has_cert;
	if (*ret)
		return 0;
	if (served_look(server, &shown, err) < 0)
		return -1;
	*ret = shown.count && shown.records[0].has_cert &&
	       strcmp(shown.records[0].cert.fingerprint, record->cert.fingerprint) == 0;
	return 0;
}

static int served_is_back(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	const json_t *server;
	size_t i;

	*ret_done = true;
	json_array_foreach(json_object_get(step->parameters, "servers"), i, server) {
		if (served_matches(context, server, ret_done, err) < 0)
			return -1;
		if (*ret_done)
			continue;
		context->say(context, "%s does not show its former certificate yet",
			     json_path_text(server, "node"));
		return 0;
	}
	return 0;
}

static int served_undo(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	if (step_need_nodes(context, step, err) < 0)
		return -1;
	return step_wait(context, step, served_is_back, 500, SERVED_MS,
			 "an API server does not show its former certificate; restart it", err);
}

const struct step_kind step_certificate_served = {
	.name = "certificate-served",
	.describe = served_describe,
	.check = served_check,
	.apply = served_apply,
	.undo = served_undo,
};
