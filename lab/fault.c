/* SPDX-License-Identifier: MIT */
#include "lab/fault.h"

#include <string.h>

#include "base/alloc.h"
#include "lab/actor.h"
#include "lab/allow.h"
#include "text/json.h"

struct fault {
	struct lab *lab; /* NULL: nothing happens to it */
	struct fault_options options;
	pid_t client;
	uint64_t effects;
	uint64_t faults;
	uint64_t random;
	enum http_fault spoil; /* of the answer under way */
	bool is_effect;	       /* the request under way is one */
};

struct fault *fault_new(const struct fault_options *options)
{
	struct fault *f = ALLOC_NEW(struct fault);

	f->options = *options;
	f->random = options->seed;
	return f;
}

void fault_free(struct fault *f)
{
	free(f);
}

void fault_bind(struct fault *f, struct lab *lab)
{
	f->lab = lab;
}

void fault_client(struct fault *f, pid_t pid)
{
	f->client = pid;
}

void fault_arm(struct fault *f, const struct fault_options *options)
{
	f->options = *options;
	f->random = options->seed;
	f->effects = f->faults = 0;
}

bool fault_is_rough(const struct fault *f)
{
	return f && f->options.every;
}

uint64_t fault_effects(const struct fault *f)
{
	return f->effects;
}

uint64_t fault_count(const struct fault *f)
{
	return f->faults;
}

static uint64_t fault_random(struct fault *f, uint64_t limit)
{
	uint64_t x = f->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % limit;
}

static bool fault_kill(struct fault *f)
{
	if (!f->client && !f->options.cut)
		return false;
	if (!f->options.cut)
		kill(f->client, SIGKILL);
	f->faults++;
	f->options.kill_at = 0;
	return true;
}

bool fault_effect(struct fault *f, bool before)
{
	if (!f)
		return true;
	if (before)
		f->effects++;
	if (f->effects != f->options.kill_at || f->options.kill_before != before)
		return true;
	if (!f->options.event[0])
		return !fault_kill(f);
	f->options.kill_at = 0;
	if (f->lab && actor_act(f->lab, f->options.event, f->options.seed))
		f->faults++;
	return true;
}

/* An etcd that is full refuses transactions with a put (applierV3Capped); what goes at once is one
 * without. What waits for finalizers, or ends in its own time, is written first. */
static bool fault_frees(const struct http_request *request)
{
	return strcmp(request->method, "DELETE") == 0 && !strstr(request->path, "/pods/") &&
	       !strstr(request->path, "/servicecidrs/");
}

/* Requests that change objects; a dry run does not, nor does a question. */
static bool fault_is_effect(const struct http_request *request)
{
	const char *dry = http_query(request, "dryRun");

	return strcmp(request->method, "GET") != 0 && !allow_is_review(request) &&
	       !(dry && strcmp(dry, "All") == 0);
}

static void fault_status(struct http_reply *reply, int status, int retry_after_s,
			 const char *reason, const char *message)
{
	json_t *object = json_pack("{s:s,s:s,s:{},s:s,s:s,s:s,s:i}", "kind", "Status", "apiVersion",
				   "v1", "metadata", "status", "Failure", "message", message,
				   "reason", reason, "code", status);

	reply->status = status;
	reply->retry_after_s = retry_after_s;
	reply->body = json_print(object);
	reply->len = strlen(reply->body);
	json_decref(object);
}

/* Refuses before anything happens. True: decided. */
static bool fault_refuse(struct fault *f, const struct http_request *request,
			 struct http_reply *reply)
{
	if (http_query(request, "continue")) {
		fault_status(reply, 410, 0, "Expired",
			     "The provided continue parameter is too old to display a consistent "
			     "list result. You can start a new list without the continue "
			     "parameter.");
		return true;
	}
	if (http_query(request, "watch") && fault_random(f, 2)) {
		fault_status(reply, 410, 0, "Expired", "too old resource version: 1 (2)");
		return true;
	}
	switch (fault_random(f, 12)) {
	case 0:
		fault_status(reply, 429, 1, "TooManyRequests",
			     "the server has received too many requests and has asked us to try "
			     "again later");
		return true;
	case 1:
		fault_status(reply, 500, 0, "InternalError",
			     "etcdserver: request timed out, possibly due to previous leader "
			     "failure");
		return true;
	case 2:
		fault_status(reply, 503, 0, "ServiceUnavailable",
			     "the server is currently unable to handle the request");
		return true;
	case 3:
		reply->fault = HTTP_CUT;
		return true;
	case 4:
		fault_status(reply, 504, 0, "Timeout",
			     "Timeout: request did not complete within the allotted timeout");
		return true;
	case 9:
		if (!f->is_effect || strcmp(request->method, "POST") == 0)
			return false;
		fault_status(reply, 409, 0, "Conflict",
			     "Operation cannot be fulfilled: the object has been modified; please "
			     "apply your changes to the latest version and try again");
		return true;
	case 10:
		if (!f->is_effect)
			return false;
		fault_status(reply, 422, 0, "Invalid", "it is invalid: spec: Forbidden: by chance");
		return true;
	case 11:
		reply->status = 200;
		reply->fault = HTTP_SILENT;
		return true;
	case 5:
		f->spoil = HTTP_CUT;
		return false;
	case 6:
		f->spoil = HTTP_CUT_BODY;
		return false;
	case 7:
		f->spoil = HTTP_TRICKLE;
		return false;
	default:
		f->spoil = HTTP_SILENT; /* here: a document that ends too early */
		return false;
	}
}

bool fault_before(struct fault *f, const struct http_request *request, struct http_reply *reply)
{
	if (!f)
		return false;
	f->spoil = HTTP_WELL;
	f->is_effect = fault_is_effect(request);
	if (f->is_effect && !fault_effect(f, /* before= */ true)) {
		reply->fault = HTTP_CUT;
		return true;
	}
	if (f->is_effect && f->lab && actor_is_full(f->lab) && !fault_frees(request)) {
		f->faults++;
		fault_status(reply, 500, 0, "InternalError",
			     "etcdserver: mvcc: database space exceeded");
		return true;
	}
	if (!f->options.every || fault_random(f, f->options.every) != 0)
		return false;
	f->faults++;
	return fault_refuse(f, request, reply);
}

void fault_after(struct fault *f, const struct http_request *request, struct http_reply *reply)
{
	(void)request;
	if (!f)
		return;
	if (f->is_effect && !fault_effect(f, /* before= */ false)) {
		reply->fault = HTTP_CUT;
		return;
	}
	if (reply->more || f->spoil == HTTP_WELL)
		return;
	if (f->spoil == HTTP_SILENT) {
		reply->len = reply->len * 2 / 3;
		return;
	}
	reply->fault = f->spoil;
}
