/* SPDX-License-Identifier: MIT */
#include "kube/multiplex.h"

#include <string.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "lib/fake_api.h"
#include "lib/test.h"

#define COUNT(steps) (sizeof(steps) / sizeof((steps)[0]))
#define CONFLICT \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"no\",\"reason\":\"Conflict\"}"

struct world {
	struct fake_api *api;
	struct kube_config config;
	struct kube_client *kube;
};

static void world_open(struct world *w, const struct fake_step *steps, size_t count)
{
	struct error err = {0};

	w->api = fake_api_start(steps, count, NULL, NULL);
	w->config = (struct kube_config){
		.source = alloc_text("test"),
		.context = alloc_text("test"),
		.server = alloc_format("http://127.0.0.1:%u", fake_api_port(w->api)),
	};
	w->kube = kube_client_open(&w->config, NULL, &err);
	CHECK(w->kube != NULL);
}

static void world_close(struct world *w)
{
	kube_client_free(w->kube);
	fake_api_stop(w->api);
	kube_config_release(&w->config);
}

/* Two legs for each job; the second only after a first that went well. */
struct legs {
	unsigned asked[4];
	int status[4];
	enum error_kind kind[4];
};

static bool legs_next(void *data, size_t job, const struct kube_answer *last,
		      struct kube_request *request)
{
	struct legs *legs = data;
	static const char *const paths[] = {"/leg/1", "/leg/2"};

	if (last) {
		legs->status[job] = last->reply.status;
		legs->kind[job] = last->error.kind;
		if (last->error.message)
			return false;
	}
	if (legs->asked[job] == COUNT(paths))
		return false;
	*request = (struct kube_request){.method = KUBE_PATCH_MERGE,
					 .path = paths[legs->asked[job]++],
					 .body = slice_of("{}")};
	return true;
}

static void test_jobs(void)
{
	static const struct fake_step steps[] = {
		{"PATCH", "/leg/1", "application/merge-patch+json", 200, NULL, "{}", 0},
		{"PATCH", "/leg/2", NULL, 200, NULL, "{}", 0},
		{"PATCH", "/leg/1", NULL, 409, NULL, CONFLICT, 0},
		{"PATCH", "/leg/1", NULL, 200, NULL, "{}", 0},
		{"PATCH", "/leg/2", NULL, 201, NULL, "{}", 0},
	};
	struct legs legs = {0};
	struct error err = {0};
	struct kube_multiplex *many;
	struct world w;

	TEST("the second leg follows the first at once, a refused job ends, all on one connection");
	world_open(&w, steps, COUNT(steps));
	many = kube_multiplex_open(w.kube, 1, &err);
	CHECK_OK(kube_multiplex_run(many, &(struct kube_jobs){.count = 3, .next = legs_next, &legs},
				    &err),
		 &err);
	CHECK_INT(legs.asked[0], 2);
	CHECK_INT(legs.asked[1], 1);
	CHECK_INT(legs.asked[2], 2);
	CHECK_INT(legs.kind[1], ERROR_CONFLICT);
	CHECK_INT(legs.status[2], 201);
	CHECK_INT(fake_api_connections(w.api), 1);
	kube_multiplex_free(many);
	world_close(&w);
}

/* One request for each job. */
static bool single_next(void *data, size_t job, const struct kube_answer *last,
			struct kube_request *request)
{
	struct legs *legs = data;

	if (last) {
		legs->status[job] = last->reply.status;
		legs->kind[job] = last->error.kind;
		return false;
	}
	legs->asked[job]++;
	*request = (struct kube_request){.method = KUBE_GET, .path = "/one"};
	return true;
}

static void test_again(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/one", NULL, 200, NULL, "{}", 0},
		{"GET", "/one", NULL, 200, NULL, "{}", 0},
		{"GET", "/one", NULL, 200, NULL, "{}", 0},
		{"GET", "/one", NULL, 200, NULL, "{}", 0},
		{"GET", "/one", NULL, 200, NULL, "{}", 0},
		{"GET", "/one", NULL, 200, NULL, "{}", 0},
	};
	struct legs legs = {0};
	const struct kube_jobs jobs = {.count = 3, .next = single_next, .data = &legs};
	struct error err = {0};
	struct kube_multiplex *many;
	struct world w;

	TEST("more lanes than jobs; a later run keeps the connection");
	world_open(&w, steps, COUNT(steps));
	many = kube_multiplex_open(w.kube, 8, &err);
	CHECK_OK(kube_multiplex_run(many, &jobs, &err), &err);
	CHECK_OK(kube_multiplex_run(many, &jobs, &err), &err);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(legs.asked[i], 2);
		CHECK_INT(legs.status[i], 200);
	}
	CHECK_INT(fake_api_connections(w.api), 1);
	kube_multiplex_free(many);
	world_close(&w);
}

static void test_cut(void)
{
	static const struct fake_step steps[] = {
		{"PATCH", "/leg/1", NULL, 200, NULL, NULL, FAKE_CUT},
	};
	struct legs legs = {0};
	struct error err = {0};
	struct kube_multiplex *many;
	struct world w;

	TEST("a write whose answer is lost is not sent again, and is known to be sent");
	world_open(&w, steps, COUNT(steps));
	many = kube_multiplex_open(w.kube, 2, &err);
	CHECK_OK(kube_multiplex_run(many, &(struct kube_jobs){.count = 1, .next = legs_next, &legs},
				    &err),
		 &err);
	CHECK_INT(legs.kind[0], ERROR_NETWORK);
	CHECK_INT(legs.status[0], 0);
	CHECK_INT(legs.asked[0], 1);
	kube_multiplex_free(many);
	world_close(&w);
}

int main(void)
{
	test_jobs();
	test_again();
	test_cut();
	return test_done();
}
