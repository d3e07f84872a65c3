/* SPDX-License-Identifier: MIT */
#include "run/mirror.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/fake_api.h"
#include "lib/test.h"
#include "text/json.h"

static const struct mirror mirror = {.run = "r-1", .holder = "host:/state"};

/* Text that zlib cannot make much smaller: an address of a congruential walk a line. */
static char *long_text(size_t len)
{
	auto_buffer struct buffer text = {0};
	uint64_t walk = 12345;

	buffer_text(&text, "{\"startedAt\":7,\"noise\":\"");
	while (text.len < len) {
		walk = walk * 6364136223846793005u + 1442695040888963407u;
		buffer_format(&text, "%016llx", (unsigned long long)walk);
	}
	buffer_text(&text, "\"}");
	return buffer_detach(&text);
}

static json_t *add(json_t *maps, json_t *pieces)
{
	json_array_extend(maps, pieces);
	json_decref(pieces);
	return maps;
}

static void check_found(const json_t *maps, const char *want_progress, int64_t want_sequence)
{
	auto_mirror_found struct mirror_found found = {0};
	auto_error struct error err = {0};
	auto_json json_t *want = json_loads(want_progress, 0, NULL);

	if (!CHECK_OK(mirror_read(maps, "r-1", &found, &err), &err))
		return;
	CHECK_STR(found.run, "r-1");
	CHECK_STR(found.plan, "{\"the\":\"plan\"}");
	CHECK_STR(found.holder, "host:/state");
	CHECK_INT(found.sequence, want_sequence);
	CHECK(json_equal(found.progress, want));
}

static void check_torn(const json_t *maps, const char *why)
{
	auto_mirror_found struct mirror_found found = {0};
	auto_error struct error err = {0};

	CHECK_ERROR(mirror_read(maps, "r-1", &found, &err), &err, ERROR_PARSE, why);
}

#define MAPS "/api/v1/namespaces/kube-system/configmaps"

static void test_remove(void)
{
	static const struct fake_step steps[] = {
		{"GET", MAPS "?limit=500&labelSelector=kubectl-renumber%2Fmirror", NULL, 200, NULL,
		 "{\"items\":[{\"metadata\":{\"name\":\"one\",\"labels\":{"
		 "\"kubectl-renumber/run\":\"r-1\"}}},{\"metadata\":{\"name\":\"two\"}}]}",
		 FAKE_ANSWER},
		{"DELETE", MAPS "/one", NULL, 200, NULL, NULL, FAKE_CUT},
		{"DELETE", MAPS "/one", NULL, 404, NULL,
		 "{\"kind\":\"Status\",\"reason\":\"NotFound\"}", FAKE_ANSWER},
	};
	struct fake_api *api = fake_api_start(steps, sizeof(steps) / sizeof(steps[0]), NULL, NULL);
	auto_free char *server = alloc_format("http://127.0.0.1:%u", fake_api_port(api));
	struct kube_config config = {.source = alloc_text("test"),
				     .context = alloc_text("test"),
				     .user = alloc_text("jane"),
				     .server = steal(server)};
	auto_error struct error err = {0};
	struct kube_client *kube;

	TEST("removed, though the connection is cut");
	kube = kube_client_open(&config, NULL, &err);
	if (CHECK_OK(kube ? 0 : -1, &err))
		CHECK_OK(mirror_remove(kube, "r-1", &err), &err);
	kube_client_free(kube);
	fake_api_stop(api);
	kube_config_release(&config);
}

int main(void)
{
	auto_json json_t *maps = json_array();
	auto_free char *text = long_text(3000000);
	json_t *pieces;
	size_t i;
	const json_t *piece;

	TEST("nothing there");
	check_torn(maps, "not whole");

	TEST("a plan and short progress");
	add(maps, mirror_pieces(&mirror, "plan", "plan", 0, "{\"the\":\"plan\"}"));
	check_torn(maps, "not whole");
	add(maps, mirror_pieces(&mirror, "progress", "progress-a", 1, "{\"n\":1}"));
	CHECK_INT(json_array_size(maps), 2);
	check_found(maps, "{\"n\":1}", 1);

	TEST("the newer of two");
	add(maps, mirror_pieces(&mirror, "progress", "progress-b", 2, "{\"n\":2}"));
	check_found(maps, "{\"n\":2}", 2);

	TEST("another run's is not looked at");
	add(maps, mirror_pieces(&(struct mirror){.run = "r-2", .holder = "x"}, "progress",
				"progress-a", 9, "{\"n\":9}"));
	check_found(maps, "{\"n\":2}", 2);

	TEST("long progress comes in pieces that a ConfigMap holds");
	pieces = mirror_pieces(&mirror, "progress", "progress-c", 3, text);
	CHECK(json_array_size(pieces) > 1);
	json_array_foreach(pieces, i, piece) {
		auto_free char *dumped = json_dumps(piece, JSON_COMPACT);

		CHECK(strlen(dumped) < 1000000);
	}
	json_array_extend(maps, pieces);
	check_found(maps, text, 3);

	TEST("one piece is missing: the set before counts");
	json_array_remove(maps, json_array_size(maps) - 1);
	check_found(maps, "{\"n\":2}", 2);
	json_decref(pieces);

	TEST("bytes that are no zlib");
	json_array_clear(maps);
	add(maps, mirror_pieces(&mirror, "plan", "plan", 0, "{\"the\":\"plan\"}"));
	add(maps, mirror_pieces(&mirror, "progress", "progress-a", 1, "{\"n\":1}"));
	json_object_set_new(json_object_get(json_array_get(maps, 1), "data"), "zlib",
			    json_string("bm90IHpsaWI="));
	check_torn(maps, "cannot be unpacked");
	json_object_set_new(json_object_get(json_array_get(maps, 1), "data"), "zlib",
			    json_string("!"));
	check_torn(maps, "run 'r-1'");

	TEST("a stream that ends early");
	add(maps, mirror_pieces(&mirror, "progress", "progress-b", 2, "{\"n\":2}"));
	json_object_set_new(json_object_get(json_array_get(maps, 2), "data"), "zlib",
			    json_string("eJyr"));
	check_torn(maps, "cannot be unpacked");
	test_remove();
	return test_done();
}
