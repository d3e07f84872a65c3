/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/client.h"
#include "net/address.h"
#include "run/journal.h"
#include "step/step.h"

/*
 * How fast Services move, beside a kubectl loop that sends the same two patches. Needs a real
 * cluster: bench/lib/flip boots one, makes the Services and measures both sides; this program is
 * our side of it, the step kinds themselves with a journal.
 *
 *	flip [flip-legs|flip-careful]             measures
 *	flip move legs|careful SPACE COUNT BASE   moves the Services bench-1 … in namespace SPACE to
 *						  the addresses behind BASE; seconds on stdout
 */
struct bench {
	struct kube_config config;
	struct kube_client *kube;
	struct node_pool *pool;
	struct journal *journal;
	struct plan plan;
	struct step_context context;
};

static int bench_keep(struct step_context *context, const struct plan_step *step, const char *name,
		      const json_t *document, struct error *err)
{
	struct bench *b = context->data;

	return journal_keep(b->journal, "bench", step->id, name, document, err);
}

static json_t *bench_kept(struct step_context *context, const struct plan_step *step,
			  const char *name)
{
	struct bench *b = context->data;

	return journal_kept(b->journal, "bench", step->id, name);
}

static int bench_tick(struct step_context *context, struct error *err)
{
	(void)context;
	(void)err;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void bench_say(struct step_context *context,
							    const char *fmt, ...)
{
	(void)context;
	(void)fmt;
}

static int bench_nodes(struct bench *b, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	const struct node_options options = {.via = getenv("BENCH_SSH") ? NODE_VIA_SSH
									: NODE_VIA_LOCAL,
					     .ssh_command = getenv("BENCH_SSH")};
	auto_json json_t *nodes = NULL;
	const json_t *node;
	size_t i;

	b->pool = node_pool_new(&options, err);
	if (!b->pool || kube_client_list(b->kube, &target, NULL, &nodes, NULL, err) < 0)
		return -1;
	json_array_foreach(nodes, i, node)
		node_pool_add(b->pool, json_path_text(node, "metadata.name"),
			      json_path_text(node, "status.addresses.0.address"));
	return 0;
}

static int bench_open(struct bench *b, struct error *err)
{
	const struct kube_config_options where = {.path = getenv("KUBECONFIG")};
	const char *folder = getenv("BENCH_FOLDER");

	if (!folder)
		return error_set(err, ERROR_USAGE, "BENCH_FOLDER names no folder");
	if (kube_config_load(&b->config, &where, err) < 0)
		return -1;
	b->kube = kube_client_open(&b->config, NULL, err);
	if (!b->kube || bench_nodes(b, err) < 0)
		return -1;
	b->journal = journal_open(folder, err);
	if (!b->journal || journal_begin(b->journal, "bench", "migrate", "-", "{}", err) < 0)
		return -1;
	b->plan.run = alloc_text("bench");
	b->plan.mode = PLAN_MIGRATE;
	b->context = (struct step_context){.kube = b->kube,
					   .pool = b->pool,
					   .plan = &b->plan,
					   .backup_folder = folder,
					   .keep = bench_keep,
					   .kept = bench_kept,
					   .tick = bench_tick,
					   .say = bench_say,
					   .data = b};
	return 0;
}

static void bench_close(struct bench *b)
{
	node_pool_free(b->pool);
	kube_client_free(b->kube);
	journal_free(b->journal);
	kube_config_release(&b->config);
	plan_release(&b->plan);
}

/* The next address behind `base` that nobody has. */
static char *bench_address(json_t *used, const char *base, unsigned *n)
{
	struct net_address first = {0};

	if (!net_address_read(slice_of(base), &first))
		return NULL;
	for (;;) {
		struct net_address address = first;
		unsigned host = address.bytes[3] + ++*n;
		struct net_text text;

		address.bytes[3] = (uint8_t)(host % 256);
		address.bytes[2] = (uint8_t)(address.bytes[2] + host / 256);
		text = net_address_text(address);
		if (json_object_get(used, text.text))
			continue;
		json_object_set_new(used, text.text, json_true());
		return alloc_text(text.text);
	}
}

static int bench_used(struct bench *b, json_t *used, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "services"};
	auto_json json_t *services = NULL;
	const json_t *service;
	size_t i;

	if (kube_client_list(b->kube, &target, NULL, &services, NULL, err) < 0)
		return -1;
	json_array_foreach(services, i, service) {
		const char *address = json_path_text(service, "spec.clusterIP");

		if (address)
			json_object_set_new(used, address, json_true());
	}
	return 0;
}

/* The three steps of the plan for these Services; flip-group alone without care. */
static int bench_plan(struct bench *b, const char *space, unsigned count, const char *base,
		      bool careful, struct error *err)
{
	json_t *aliases = json_array();
	json_t *flips = json_array();
	json_t *trims = json_array();
	json_t *swaps = json_array();
	auto_json json_t *used = json_object();
	unsigned n = 0;

	if (bench_used(b, used, err) < 0)
		return -1;
	for (unsigned i = 1; i <= count; i++) {
		auto_free char *name = alloc_format("bench-%u", i);
		auto_free char *alias = alloc_format("%s-renumber-bridge", name);
		auto_free char *new_ = bench_address(used, base, &n);
		auto_free char *own = bench_address(used, base, &n);
		auto_free char *name_previous = NULL;
		const struct kube_target target = {
			.version = "v1", .plural = "services", .space = space, .name = name};
		auto_json json_t *service = NULL;
		json_t *bridge;
		const char *old;

		if (kube_client_get(b->kube, &target, &service, err) < 0)
			return -1;
		old = json_path_text(service, "spec.clusterIP");
		json_array_append_new(
			aliases,
			json_pack("{s:s, s:s, s:s, s:s, s:[s, s], s:s}", "namespace", space, "name",
				  alias, "of", name, "mechanism",
				  getenv("BENCH_MECHANISM") ? getenv("BENCH_MECHANISM") : "bridge",
				  "addresses", old, new_, "clusterIP", own));
		json_array_append_new(flips,
				      json_pack("{s:s, s:s, s:s, s:[s], s:[s]}", "namespace", space,
						"name", name, "alias", careful ? alias : name,
						"from", old, "to", new_));
		json_array_append_new(trims, json_pack("{s:s, s:s, s:[s], s:[s, s]}", "namespace",
						       space, "name", alias, "addresses", old,
						       "before", old, new_));
		bridge = json_array_get(aliases, json_array_size(aliases) - 1);
		name_previous = alloc_format("%s-renumber-previous", name);
		json_array_append_new(swaps,
				      json_pack("{s:s, s:s, s:s, s:s, s:[s], s:s, s:O}",
						"namespace", space, "name", name_previous, "of",
						name, "mechanism", "clusterip", "addresses", old,
						"replaces", alias, "bridge", bridge));
	}
	if (getenv("BENCH_CANARY"))
		plan_add(&b->plan, PLAN_STAGE_PREFLIGHT, "canary", "canary",
			 json_pack("{s:[{s:s, s:s}, {s:s, s:s}], s:[s]}", "mechanisms", "mechanism",
				   "bridge", "address", "10.96.255.250", "mechanism", "clusterip",
				   "address", "10.96.255.251", "endpoints",
				   getenv("BENCH_CANARY")));
	if (careful)
		plan_add(&b->plan, PLAN_STAGE_SERVICES, "aliases", "aliases",
			 json_pack("{s:O, s:b}", "services", aliases, "prepare", 1));
	plan_add(&b->plan, PLAN_STAGE_SERVICES, "flip-group", "flips",
		 json_pack("{s:o, s:b, s:O}", "services", flips, "pulse", careful, "aliases",
			   aliases));
	json_decref(aliases);
	if (careful)
		plan_add(&b->plan, PLAN_STAGE_SERVICES, "alias-trims", "trims",
			 json_pack("{s:o}", "services", trims));
	if (careful && getenv("BENCH_SWAP"))
		plan_add(&b->plan, PLAN_STAGE_SERVICES, "alias-swap", "swaps",
			 json_pack("{s:o}", "services", swaps));
	else
		json_decref(swaps);
	return 0;
}

static int bench_move(char **argv, struct error *err)
{
	struct bench b = {0};
	bool careful = strcmp(argv[2], "careful") == 0;
	uint64_t count = 0;
	int64_t start;
	int result;

	if (!slice_to_u64(slice_of(argv[4]), 10000, &count))
		return error_set(err, ERROR_USAGE, "'%s' is no number of Services", argv[4]);
	log_configure(&(struct log_options){.verbose = getenv("BENCH_VERBOSE") != NULL});
	result = bench_open(&b, err);
	if (result == 0)
		result = bench_plan(&b, argv[3], (unsigned)count, argv[5], careful, err);
	start = clock_monotonic_ms();
	for (size_t i = 0; result == 0 && i < b.plan.count; i++) {
		const struct plan_step *step = &b.plan.steps[i];
		const struct step_kind *kind = step_kind_find(step->kind);
		int64_t begun = clock_monotonic_ms();
		bool done = false;

		result = kind->apply(&b.context, step, err);
		if (result == 0)
			result = kind->check(&b.context, step, &done, err);
		if (result == 0 && !done && strcmp(kind->name, "canary") != 0)
			result = error_set(err, ERROR_CONFLICT, "%s is not done", step->kind);
		fprintf(stderr, "%s: %" PRId64 " ms\n", step->kind, clock_monotonic_ms() - begun);
	}
	if (result == 0)
		printf("%.3f\n", (double)(clock_monotonic_ms() - start) / 1000);
	for (size_t i = b.plan.count; result == 0 && getenv("BENCH_UNDO") && i > 0; i--) {
		int64_t begun = clock_monotonic_ms();

		result = step_kind_find(b.plan.steps[i - 1].kind)
				 ->undo(&b.context, &b.plan.steps[i - 1], err);
		fprintf(stderr, "undo %s: %" PRId64 " ms\n", b.plan.steps[i - 1].kind,
			clock_monotonic_ms() - begun);
	}
	bench_close(&b);
	return result;
}

int main(int argc, char **argv)
{
	auto_error struct error err = {0};
	auto_free char *script = alloc_format("%s/bench/lib/flip", KR_SRCDIR);

	if (argc == 6 && strcmp(argv[1], "move") == 0) {
		if (bench_move(argv, &err) == 0)
			return 0;
		fprintf(stderr, "flip: %s\n", error_text(&err));
		return 1;
	}
	execl(script, script, argv[0], argc > 1 ? argv[1] : "flip", (char *)NULL);
	perror(script);
	return 1;
}
