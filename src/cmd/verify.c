/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/commands.h"
#include "cmd/print.h"
#include "doctor/doctor.h"
#include "report/document.h"
#include "report/findings.h"
#include "report/table.h"

/*
 * The proof that a change is over. What doctor finds is sorted into promises; each holds when none
 * of its codes was found. Two promises are proved by asking: the data path of every node.
 */
struct promise {
	const char *name;
	const char *text;
	const char *codes; /* with blanks between; "KR3" stands for all of a family */
	bool on_nodes;	   /* no proof without having looked at every node */
};

static const struct promise promises[] = {
	{"flags",
	 "every API server and controller-manager runs with one range, as its manifest says",
	 "KR101 KR103 KR104 KR112 KR604", true},
	{"services", "every Service has an address of that range", "KR102 KR105 KR106", false},
	{"allocator", "ServiceCIDRs and allocator agree with the flags",
	 "KR107 KR108 KR109 KR110 KR111 KR708", false},
	{"kubernetes", "default/kubernetes exists, with an endpoint for each control plane",
	 "KR201 KR202 KR206 KR207", false},
	{"addresses", "no container, kubelet or network plugin uses an old address",
	 "KR203 KR204 KR205 KR404 KR506 KR507 KR509 KR511", true},
	{"certificates", "every API server names its address, on disk and live", "KR3", true},
	{"kubeadm", "kubeadm-config says the same", "KR601 KR602 KR603 KR605 KR606", false},
	{"dns", "kubelets and node-local DNS have the address of kube-dns",
	 "KR401 KR402 KR403 KR405 KR406", true},
	{"network-plugin", "the network plugin runs and dials a stable address",
	 "KR501 KR502 KR503 KR504 KR505 KR510", false},
	{"leftovers", "no alias, lock or policy of a run is left", "KR703 KR704 KR705 KR706",
	 false},
	{"nodes", "every node was looked at and is ready", "KR701 KR702 KR707 KR709", false},
	{"data-path", "every node reaches the API servers and DNS at their new addresses",
	 "KR801 KR802", true},
};
/* What says that nodes, or something on them, were not looked at. */
static const char unseen_codes[] = "KR701 KR702 KR709";
enum { PROMISE_COUNT = sizeof(promises) / sizeof(promises[0]) };

static bool has_code(const char *codes, const char *code)
{
	struct slice rest = slice_of(codes);
	struct slice part;

	while (slice_next(&rest, ' ', &part)) {
		auto_free char *prefix = slice_dup(part);

		if (slice_starts(slice_of(code), prefix))
			return true;
	}
	return false;
}

/* That nodes were not asked is information for doctor, but proves nothing here. */
static bool is_broken_by(const struct promise *promise, const struct finding *f)
{
	if (promise->on_nodes && has_code(unseen_codes, f->code))
		return true;
	return has_code(promise->codes, f->code) &&
	       (f->severity != FINDING_INFO || has_code(unseen_codes, f->code));
}

enum result { RESULT_HOLDS, RESULT_UNPROVED, RESULT_BROKEN };

static enum result result_of(const struct promise *promise, const struct finding_list *list)
{
	enum result result = RESULT_HOLDS;

	for (size_t i = 0; i < list->count; i++) {
		if (!is_broken_by(promise, &list->items[i]))
			continue;
		if (!has_code(unseen_codes, list->items[i].code))
			return RESULT_BROKEN;
		result = RESULT_UNPROVED;
	}
	return result;
}

static bool holds(const struct promise *promise, const struct finding_list *list)
{
	return result_of(promise, list) == RESULT_HOLDS;
}

static bool all_hold(const struct finding_list *list)
{
	for (size_t i = 0; i < PROMISE_COUNT; i++) {
		if (!holds(&promises[i], list))
			return false;
	}
	return !finding_list_matters(list);
}

/* ---- the data path ---- */

/* The nodes that can be asked; the caller frees the list. */
static const char **node_names(const struct cluster *c, const struct node_pool *pool, size_t *ret)
{
	const char **names = alloc_array(c->node_count + 1, sizeof(*names));
	size_t count = 0;

	for (size_t i = 0; i < c->node_count; i++) {
		if (c->nodes[i].host.reachable && node_pool_may_reach(pool, c->nodes[i].name))
			names[count++] = c->nodes[i].name;
	}
	*ret = count;
	return names;
}

enum { ATTEMPTS = 4, PAUSE_MS = 1000 };

struct look {
	const char *code;
	const char *what;    /* for the message */
	const char *member;  /* of the answer: true when it worked */
	const char *address; /* asked */
};

static bool worked(const struct look *look, const struct node_call *call)
{
	return call->reply && json_path_bool(call->reply, look->member, false);
}

static void judge(const struct look *look, struct node_call *calls, size_t count,
		  struct finding_list *list)
{
	auto_free char *subject = alloc_format("address/%s", look->address);
	struct finding *f = NULL;

	for (size_t i = 0; i < count; i++) {
		const char *error = calls[i].reply ? json_path_text(calls[i].reply, "error")
						   : error_text(&calls[i].error);

		if (worked(look, &calls[i]))
			continue;
		if (!f)
			f = finding_add(list, look->code, FINDING_ERROR, subject);
		finding_evidence(f, "%s: %s", calls[i].node, error ? error : "no valid answer");
	}
	if (!f)
		return;
	finding_message(f, "%s at %s does not answer %zu of %zu nodes", look->what, look->address,
			f->evidence_count, count);
	finding_remedy(f, "look at kube-proxy on these nodes, then run 'kubectl renumber doctor'");
	finding_close(f);
}

/*
 * A busy node or a server that is being restarted fails one request; a broken data path fails all.
 * Those that failed are asked again, one by one.
 */
static int ask_again(struct node_pool *pool, const struct look *look, struct node_call *calls,
		     size_t count, struct error *err)
{
	for (int attempt = 1; attempt < ATTEMPTS; attempt++) {
		bool all = true;

		for (size_t i = 0; i < count; i++)
			all &= worked(look, &calls[i]);
		if (all)
			return 0;
		if (clock_sleep_ms(PAUSE_MS, err) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			struct node_call again = {.node = calls[i].node,
						  .request = calls[i].request};

			if (worked(look, &calls[i]))
				continue;
			node_pool_run(pool, &again, 1);
			node_calls_release(&calls[i], 1);
			calls[i] = again;
		}
	}
	return 0;
}

static int ask_nodes(struct node_pool *pool, const char *const nodes[], size_t count,
		     json_t *request, const struct look *look, struct finding_list *list,
		     struct error *err)
{
	struct node_call *calls = alloc_array(count + 1, sizeof(*calls));
	int result;

	node_call_all(pool, nodes, count, request, calls);
	result = ask_again(pool, look, calls, count, err);
	judge(look, calls, count, list);
	node_calls_release(calls, count);
	free(calls);
	json_decref(request);
	return result;
}

static const char *first_address(const struct cluster *c, const char *space, const char *name)
{
	const struct cluster_service *service = cluster_find_service(c, space, name);

	return service && service->cluster_ips.count ? service->cluster_ips.items[0] : NULL;
}

static int data_path(struct node_pool *pool, const struct cluster *c, struct finding_list *list,
		     struct error *err)
{
	const char *api = first_address(c, "default", "kubernetes");
	const char *dns = first_address(c, "kube-system", "kube-dns");
	auto_free char *name =
		alloc_format("kubernetes.default.svc.%s",
			     c->kubeadm_dns_domain ? c->kubeadm_dns_domain : "cluster.local");
	auto_free const char **nodes = NULL;
	size_t count;

	nodes = node_names(c, pool, &count);
	if (!count)
		return 0;
	if (!api) {
		struct finding *f =
			finding_add(list, "KR801", FINDING_ERROR, "Service/default/kubernetes");

		finding_message(f, "default/kubernetes has no address that nodes could dial");
		finding_remedy(f, "run 'kubectl renumber doctor'");
	}
	if (api &&
	    ask_nodes(pool, nodes, count,
		      json_pack("{s:s,s:s,s:i,s:s,s:i}", "op", "dial", "address", api, "port", 443,
				"kind", "livez", "timeoutMs", 3000),
		      &(struct look){"KR801", "default/kubernetes", "reached", api}, list, err) < 0)
		return -1;
	if (!dns)
		return 0;
	return ask_nodes(pool, nodes, count,
			 json_pack("{s:s,s:s,s:s,s:i}", "op", "dns", "server", dns, "name", name,
				   "timeoutMs", 3000),
			 &(struct look){"KR802", "kube-dns", "answered", dns}, list, err);
}

/* ---- result ---- */

static json_t *codes_json(const struct promise *promise, const struct finding_list *list)
{
	json_t *codes = json_array();

	for (size_t i = 0; i < list->count; i++) {
		if (is_broken_by(promise, &list->items[i]))
			json_array_append_new(codes, json_string(list->items[i].code));
	}
	return codes;
}

static json_t *result_json(const struct session *session, const struct cluster *c,
			   const struct finding_list *list)
{
	const char *range = NULL;
	json_t *checks = json_array();
	json_t *object = json_object();

	for (size_t i = 0; i < PROMISE_COUNT; i++)
		json_array_append_new(
			checks, json_pack("{s:s,s:s,s:b,s:o}", "name", promises[i].name, "promise",
					  promises[i].text, "ok", (int)holds(&promises[i], list),
					  "codes", codes_json(&promises[i], list)));
	json_object_set_new(object, "schemaVersion", json_integer(1));
	json_object_set_new(object, "cluster",
			    json_pack("{s:s?,s:s,s:s?}", "context", c->context, "server",
				      kube_client_server(session->kube), "uid", c->uid));
	json_object_set_new(object, "regime", json_string(cluster_regime_name(c->regime)));
	json_object_set_new(object, "range",
			    cluster_agreed_range(c, &range) ? json_string(range) : json_null());
	json_object_set_new(object, "whole", json_boolean(all_hold(list)));
	json_object_set_new(object, "checks", checks);
	json_object_set_new(object, "findings", finding_list_json(list));
	return object;
}

static const struct {
	const char *mark;
	const char *colour;
	const char *word;
} results[] = {
	[RESULT_HOLDS] = {"√", "\033[32m", "ok"},
	[RESULT_UNPROVED] = {"?", "\033[33m", "not proved"},
	[RESULT_BROKEN] = {"×", "\033[31m", "**broken**"},
};

static void print_promises(const struct finding_list *list, bool colour, struct buffer *out)
{
	for (size_t i = 0; i < PROMISE_COUNT; i++) {
		enum result result = result_of(&promises[i], list);

		buffer_format(out, "%s%s%s %s\n", colour ? results[result].colour : "",
			      results[result].mark, colour ? "\033[0m" : "", promises[i].text);
	}
	buffer_char(out, '\n');
}

static void print_markdown(const struct finding_list *list, struct buffer *out)
{
	static const char *const titles[] = {"Check", "Result", "Promise"};
	auto_table struct table t = {.titles = titles, .columns = 3};

	for (size_t i = 0; i < PROMISE_COUNT; i++) {
		table_cell(&t, promises[i].name);
		table_cell(&t, results[result_of(&promises[i], list)].word);
		table_cell(&t, promises[i].text);
	}
	buffer_char(out, '\n');
	table_print(&t, TABLE_MARKDOWN, out);
	buffer_char(out, '\n');
}

static void print_people(const struct session *session, const struct cluster *c,
			 const struct finding_list *list, struct buffer *out)
{
	auto_free char *line = session_cluster_line(session);
	bool markdown = session->output == SESSION_MARKDOWN;
	const char *range = NULL;

	buffer_format(out, "%s\n", line);
	buffer_format(out, "regime:  %s, range %s\n\n", cluster_regime_name(c->regime),
		      cluster_agreed_range(c, &range) ? range : "not agreed");
	if (markdown)
		print_markdown(list, out);
	else
		print_promises(list, session->colour, out);
	if (!all_hold(list) || session->output == SESSION_WIDE)
		findings_print(list,
			       markdown				 ? FINDINGS_MARKDOWN
			       : session->output == SESSION_WIDE ? FINDINGS_WIDE
								 : FINDINGS_TEXT,
			       session->colour && !markdown, out);
	if (all_hold(list))
		buffer_format(out, "the cluster is whole on %s\n", range);
	else
		buffer_text(out, "the cluster is not proved to be whole\n");
}

static int run(struct session *session, const struct command_input *input, struct error *err)
{
	auto_cluster struct cluster *cluster = NULL;
	auto_findings struct finding_list list = {0};
	auto_buffer struct buffer out = {0};

	(void)input;
	if (session_observe(session, &cluster, err) < 0)
		return -1;
	doctor_examine(cluster, &list);
	if (session->pool && node_pool_reaches_nodes(session->pool) &&
	    data_path(session->pool, cluster, &list, err) < 0)
		return -1;
	finding_list_sort(&list);
	if (session->output == SESSION_JSON || session->output == SESSION_YAML) {
		auto_json json_t *json = result_json(session, cluster, &list);

		if (session->output == SESSION_JSON)
			document_json(json, &out);
		else
			document_yaml(json, &out);
	} else {
		print_people(session, cluster, &list, &out);
	}
	print_out(session, &out);
	return all_hold(&list) ? 0 : EXIT_FINDINGS;
}

const struct command command_verify = {
	.name = "verify",
	.arguments = "",
	.summary = "prove that the cluster is whole on one Service range",
	.details = "Looks at flags, Services, ServiceCIDRs, certificates on disk and live,\n"
		   "kubeadm-config, kubelets, running containers and leftovers, and lets every\n"
		   "node dial the API servers and DNS at their Service addresses. Changes\n"
		   "nothing.\n"
		   "\n"
		   "Exit status 0 when everything was proved, 2 when something is wrong or could\n"
		   "not be looked at.\n"
		   "\n"
		   "  kubectl renumber verify",
	.settings_size = 0,
	.flags = COMMAND_NEEDS_CLUSTER,
	.run = run,
};
