/* SPDX-License-Identifier: MIT */
#include "step/prove.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "text/json.h"

#define PROVE_DIAL_MS 1000
#define PROVE_PAUSE_MS 500
/* characters of names in a line */
#define PROVE_NAMES 160

/* One dial: proof i from node k. */
struct prove_dial {
	const struct step_proof *proof;
	const char *node;
	json_int_t port;
	bool done;
	char *problem; /* owned */
};

struct prove {
	struct step_context *context;
	struct prove_dial *dials;
	size_t count;
};

/* The first TCP port; 0: there is none. */
static json_int_t prove_port(const json_t *spec)
{
	const json_t *port;
	size_t i;

	json_array_foreach(json_object_get(spec, "ports"), i, port) {
		const char *protocol = json_path_text(port, "protocol");

		if (!protocol || strcmp(protocol, "TCP") == 0)
			return json_path_int(port, "port", 0);
	}
	return 0;
}

static void prove_release(struct prove *prove)
{
	for (size_t i = 0; i < prove->count; i++)
		free(prove->dials[i].problem);
	free(prove->dials);
}

/* Who cannot be proved, in one line. */
static void prove_say_left_out(const struct buffer *portless, const struct buffer *empty)
{
	if (portless->len)
		log_info("  … not dialled, they have no TCP port: %s", buffer_cstr(portless));
	if (empty->len)
		log_info("  … not dialled, they have no ready endpoint: %s", buffer_cstr(empty));
}

/* The first ones by name. */
static void prove_note(struct buffer *out, const char *subject)
{
	if (out->len < PROVE_NAMES)
		buffer_format(out, "%s%s", out->len ? ", " : "", subject);
	else if (out->ptr[out->len - 1] != '.')
		buffer_text(out, ", ...");
}

static void prove_list(struct prove *prove, const struct step_proof *proofs, size_t count,
		       char *const *nodes, size_t node_count)
{
	auto_buffer struct buffer portless = {0};
	auto_buffer struct buffer empty = {0};

	prove->dials = alloc_array(count * node_count + 1, sizeof(*prove->dials));
	for (size_t i = 0; i < count; i++) {
		json_int_t port = prove_port(proofs[i].spec);
		struct buffer *out = proofs[i].endpoints == 0 ? &empty : &portless;

		if (proofs[i].endpoints == 0 || port == 0) {
			prove_note(out, proofs[i].subject);
			continue;
		}
		for (size_t k = 0; k < node_count; k++)
			prove->dials[prove->count++] = (struct prove_dial){
				.proof = &proofs[i], .node = nodes[k], .port = port};
	}
	prove_say_left_out(&portless, &empty);
}

static bool prove_reached(const struct node_call *call)
{
	return call->reply && json_path_bool(call->reply, "reached", false);
}

static void prove_judge(struct prove_dial *dial, const struct node_call *call)
{
	const char *problem =
		call->reply ? json_path_text(call->reply, "error") : error_text(&call->error);

	dial->done = prove_reached(call);
	free(dial->problem);
	dial->problem = dial->done ? NULL : alloc_text(problem ? problem : "no answer");
}

/* Dials what is not proved yet, at its address or at the fallback; gives the number left. */
static size_t prove_round(struct prove *prove, bool fallback)
{
	struct node_call *calls = alloc_array(prove->count + 1, sizeof(*calls));
	struct prove_dial **of = alloc_array(prove->count + 1, sizeof(*of));
	size_t count = 0;
	size_t left = 0;

	for (size_t i = 0; i < prove->count; i++) {
		struct prove_dial *dial = &prove->dials[i];
		const char *address = fallback ? dial->proof->fallback : dial->proof->address;

		if (dial->done || !address)
			continue;
		of[count] = dial;
		calls[count].node = dial->node;
		calls[count++].request = json_pack(
			"{s:s, s:s, s:I, s:s, s:i, s:O*}", "op", "dial", "address", address, "port",
			dial->port, "kind", "tcp", "timeoutMs", PROVE_DIAL_MS, "source",
			json_object_get(dial->proof->sources, dial->node));
	}
	node_pool_run(prove->context->pool, calls, count);
	for (size_t i = 0; i < count; i++) {
		if (fallback)
			/* what does not answer today proves nothing by not answering then */
			of[i]->done = !prove_reached(&calls[i]);
		else
			prove_judge(of[i], &calls[i]);
		json_decref((json_t *)(uintptr_t)calls[i].request);
	}
	node_calls_release(calls, count);
	for (size_t i = 0; i < prove->count; i++)
		left += !prove->dials[i].done;
	free(calls);
	free(of);
	return left;
}

static int prove_failed(const struct prove *prove, struct error *err)
{
	for (size_t i = 0; i < prove->count; i++) {
		const struct prove_dial *dial = &prove->dials[i];

		if (!dial->done)
			return error_set(err, ERROR_STOPPED,
					 "%s does not answer at %s port %lld from node '%s': %s; "
					 "nothing that needs it was moved",
					 dial->proof->subject, dial->proof->address,
					 (long long)dial->port, dial->node,
					 dial->problem ? dial->problem : "no answer");
	}
	return 0;
}

static int prove_dials(struct prove *prove, int64_t patience_ms, struct error *err)
{
	int64_t end = clock_monotonic_ms() + patience_ms;
	size_t left;

	while ((left = prove_round(prove, /* fallback= */ false)) > 0) {
		if (clock_monotonic_ms() >= end)
			break;
		prove->context->say(prove->context, "%zu of %zu dials are not answered yet", left,
				    prove->count);
		if (step_pause(prove->context, PROVE_PAUSE_MS, err) < 0)
			return -1;
	}
	if (left == 0)
		return 0;
	(void)prove_round(prove, /* fallback= */ true);
	return prove_failed(prove, err);
}

int step_prove(struct step_context *context, const struct step_proof *proofs, size_t count,
	       char *const *nodes, size_t node_count, int64_t patience_ms, struct error *err)
{
	struct prove prove = {.context = context};
	int result;

	if (!context->pool || node_count == 0) {
		log_info("  … the new addresses are not dialled: no node is reached");
		return 0;
	}
	prove_list(&prove, proofs, count, nodes, node_count);
	result = prove_dials(&prove, patience_ms, err);
	prove_release(&prove);
	return result;
}
