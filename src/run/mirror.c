/* SPDX-License-Identifier: MIT */
#include "run/mirror.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "model/cluster.h"
#include "text/json.h"

#define MIRROR_LABEL "kubectl-renumber/mirror"
#define MIRROR_INTERVAL_MS 5000
/* Of base64 in one ConfigMap; the API takes 1 MiB in all (core/validation). */
#define MIRROR_PIECE ((size_t)900 * 1000)

static const struct kube_target mirror_maps = {
	.version = "v1", .plural = "configmaps", .space = "kube-system"};

/* ---- packing ---- */

/* zlib, then base64. */
static char *mirror_pack(const char *text)
{
	uLong len = strlen(text);
	uLongf packed_len = compressBound(len);
	auto_free unsigned char *packed = alloc_array(packed_len, 1);
	auto_json json_t *encoded = NULL;

	/* fails for want of memory only, and that is at hand */
	if (compress2(packed, &packed_len, (const unsigned char *)text, len, 6) != Z_OK)
		packed_len = 0;
	encoded = protocol_base64(packed, packed_len);
	return alloc_text(json_string_value(encoded));
}

static int mirror_inflate(struct slice packed, struct buffer *ret, struct error *err)
{
	z_stream z = {.next_in = (unsigned char *)(uintptr_t)packed.ptr,
		      .avail_in = (uInt)packed.len};
	char chunk[65536];
	int status = Z_OK;

	if (packed.len > UINT32_MAX || inflateInit(&z) != Z_OK)
		return error_set(err, ERROR_PARSE, "it cannot be unpacked");
	while (status == Z_OK && ret->len < LIMIT_PLAN_FILE) {
		z.next_out = (unsigned char *)chunk;
		z.avail_out = sizeof(chunk);
		status = inflate(&z, Z_NO_FLUSH);
		buffer_append(ret, chunk, sizeof(chunk) - z.avail_out);
	}
	inflateEnd(&z);
	return status == Z_STREAM_END ? 0 : error_set(err, ERROR_PARSE, "it cannot be unpacked");
}

static int mirror_unpack(const char *encoded, char **ret, struct error *err)
{
	auto_json json_t *wrapped = json_pack("{s:s}", "z", encoded);
	auto_buffer struct buffer packed = {.max = LIMIT_PLAN_FILE};
	auto_buffer struct buffer text = {.max = 2 * LIMIT_PLAN_FILE};

	if (protocol_bytes(wrapped, "z", &packed, err) < 0 ||
	    mirror_inflate(buffer_as_slice(&packed), &text, err) < 0)
		return -1;
	*ret = buffer_detach(&text);
	return 0;
}

/* ---- writing ---- */

static int mirror_put(struct mirror *mirror, const char *name, const json_t *object,
		      struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	struct kube_target target = mirror_maps;

	target.name = name;
	if (kube_client_replace(mirror->kube, &target, object, &options, NULL, err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	return kube_client_create(mirror->kube, &target, object, &options, NULL, err);
}

json_t *mirror_pieces(const struct mirror *mirror, const char *part, const char *set,
		      int64_t number, const char *text)
{
	auto_free char *packed = mirror_pack(text);
	auto_free char *sequence = alloc_format("%lld", (long long)number);
	size_t len = strlen(packed);
	size_t count = (len + MIRROR_PIECE - 1) / MIRROR_PIECE;
	json_t *pieces = json_array();

	for (size_t i = 0; i < count; i++) {
		auto_free char *name =
			alloc_format("kubectl-renumber-%s-%s-%zu", mirror->run, set, i + 1);
		auto_free char *index = alloc_format("%zu/%zu", i + 1, count);
		size_t left = len - i * MIRROR_PIECE;

		json_array_append_new(
			pieces,
			json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}, s:{s:s}}, "
				  "s:{s:s, s:s, s:s, s:s, s:s%}}",
				  "apiVersion", "v1", "kind", "ConfigMap", "metadata", "name", name,
				  "namespace", "kube-system", "labels", CLUSTER_RUN_LABEL,
				  mirror->run, MIRROR_LABEL, part, "annotations",
				  "kubectl-renumber/comment",
				  "plan and progress of a run of kubectl-renumber; 'finalize' "
				  "removes it",
				  "data", "set", set, "piece", index, "sequence", sequence,
				  "holder", mirror->holder, "zlib", packed + i * MIRROR_PIECE,
				  left < MIRROR_PIECE ? left : MIRROR_PIECE));
	}
	return pieces;
}

static int mirror_write(struct mirror *mirror, const char *part, const char *set, int64_t number,
			const char *text, struct error *err)
{
	auto_json json_t *pieces = mirror_pieces(mirror, part, set, number, text);

	/* the first piece, by which a set is found, comes last */
	for (size_t i = json_array_size(pieces); i-- > 0;) {
		const json_t *piece = json_array_get(pieces, i);

		if (mirror_put(mirror, json_path_text(piece, "metadata.name"), piece, err) < 0)
			return -1;
	}
	return 0;
}

int mirror_plan(struct mirror *mirror, const char *plan, struct error *err)
{
	auto_free char *name = alloc_format("kubectl-renumber-%s-plan-1", mirror->run);
	struct kube_target target = mirror_maps;
	auto_json json_t *found = NULL;

	target.name = name;
	if (kube_client_get(mirror->kube, &target, &found, err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	return mirror_write(mirror, "plan", "plan", 0, plan, err);
}

static int mirror_progress_now(struct mirror *mirror, struct journal *journal, struct error *err)
{
	auto_json json_t *progress = NULL;
	auto_free char *text = NULL;

	if (journal_export(journal, mirror->run, &progress, err) < 0)
		return -1;
	text = json_dumps(progress, JSON_COMPACT);
	mirror->sequence++;
	return mirror_write(mirror, "progress", mirror->sequence % 2 ? "progress-a" : "progress-b",
			    mirror->sequence, text, err);
}

void mirror_progress(struct mirror *mirror, struct journal *journal, bool now)
{
	auto_error struct error problem = {0};

	if (!mirror->kube || (!now && mirror->written_ms &&
			      clock_monotonic_ms() - mirror->written_ms < MIRROR_INTERVAL_MS))
		return;
	mirror->written_ms = clock_monotonic_ms();
	if (mirror_progress_now(mirror, journal, &problem) == 0)
		return;
	if (!mirror->warned)
		log_warning("the run's progress is not mirrored in the cluster now, only here: %s",
			    error_text(&problem));
	mirror->warned = true;
}

/* ---- reading ---- */

static int64_t mirror_sequence(const json_t *map)
{
	const char *text = json_path_text(map, "data.sequence");
	uint64_t value = 0;

	return text && slice_to_u64(slice_of(text), INT64_MAX, &value) ? (int64_t)value : 0;
}

/* The pieces of one set and sequence put together; NULL when one is missing. */
static char *mirror_join(const json_t *maps, const char *run, const char *set, int64_t sequence)
{
	auto_buffer struct buffer text = {.max = LIMIT_PLAN_FILE};
	size_t count = 1;

	for (size_t piece = 1; piece <= count; piece++) {
		const json_t *map;
		bool found = false;
		size_t i;

		json_array_foreach(maps, i, map) {
			const char *index = json_path_text(map, "data.piece");
			const char *slash = index ? strchr(index, '/') : NULL;
			const char *bytes = json_path_text(map, "data.zlib");
			uint64_t number = 0;
			uint64_t total = 0;

			if (!json_path_is(map, "metadata.labels.kubectl-renumber/run", run) ||
			    !json_path_is(map, "data.set", set) ||
			    mirror_sequence(map) != sequence || !bytes || !slash ||
			    !slice_to_u64((struct slice){index, (size_t)(slash - index)}, 100000,
					  &number) ||
			    !slice_to_u64(slice_of(slash + 1), 100000, &total) || number != piece)
				continue;
			count = (size_t)total;
			buffer_text(&text, bytes);
			found = true;
			break;
		}
		if (!found)
			return NULL;
	}
	return buffer_detach(&text);
}

/* The newest progress of the run that is whole. */
static const json_t *mirror_newest(const json_t *maps, const char *run, char **ret_text)
{
	const json_t *best = NULL;
	const json_t *map;
	size_t i;

	*ret_text = NULL;
	json_array_foreach(maps, i, map) {
		const char *set = json_path_text(map, "data.set");
		char *text;

		if (!set || !json_path_is(map, "metadata.labels.kubectl-renumber/run", run) ||
		    !json_path_is(map, "metadata.labels.kubectl-renumber/mirror", "progress") ||
		    (best && mirror_sequence(map) <= mirror_sequence(best)))
			continue;
		text = mirror_join(maps, run, set, mirror_sequence(map));
		if (!text)
			continue;
		free(*ret_text);
		*ret_text = text;
		best = map;
	}
	return best;
}

static int mirror_list(struct kube_client *kube, json_t **ret, struct error *err)
{
	const struct kube_list_options options = {.label_selector = MIRROR_LABEL};

	return kube_client_list(kube, &mirror_maps, &options, ret, NULL, err);
}

int mirror_read(const json_t *maps, const char *run, struct mirror_found *ret, struct error *err)
{
	auto_mirror_found struct mirror_found found = {.run = alloc_text(run)};
	auto_free char *packed_plan = mirror_join(maps, run, "plan", 0);
	auto_free char *packed = NULL;
	auto_free char *text = NULL;
	const json_t *newest = mirror_newest(maps, run, &packed);

	if (!packed_plan || !newest)
		return error_set(err, ERROR_PARSE,
				 "what stands in the cluster of run '%s' is not whole", run);
	if (mirror_unpack(packed_plan, &found.plan, err) < 0 ||
	    mirror_unpack(packed, &text, err) < 0)
		return error_wrap(err, "what stands in the cluster of run '%s'", run);
	found.progress = json_parse(slice_of(text), "progress of the run", err);
	if (!found.progress)
		return -1;
	found.sequence = mirror_sequence(newest);
	found.holder = alloc_text(
		json_path_text(newest, "data.holder") ? json_path_text(newest, "data.holder") : "");
	*ret = found;
	found = (struct mirror_found){0};
	return 0;
}

/* NULL: it says none. */
static const char *mirror_run_of(const json_t *map)
{
	return json_string_value(
		json_object_get(json_path(map, "metadata.labels"), CLUSTER_RUN_LABEL));
}

int mirror_find(struct kube_client *kube, const char *run, struct mirror_found *ret,
		struct error *err)
{
	auto_json json_t *maps = NULL;
	auto_mirror_found struct mirror_found best = {0};
	const json_t *map;
	size_t i;

	if (mirror_list(kube, &maps, err) < 0)
		return -1;
	json_array_foreach(maps, i, map) {
		auto_mirror_found struct mirror_found found = {0};
		const char *id = mirror_run_of(map);

		if (!id || (run && strcmp(id, run) != 0) || (best.run && strcmp(best.run, id) == 0))
			continue;
		if (mirror_read(maps, id, &found, err) < 0)
			return -1;
		if (best.run && json_path_int(found.progress, "startedAt", 0) <=
					json_path_int(best.progress, "startedAt", 0))
			continue;
		mirror_found_release(&best);
		best = found;
		found = (struct mirror_found){0};
	}
	if (!best.run)
		return error_set(err, ERROR_NOT_FOUND, "no run stands in the cluster");
	*ret = best;
	best = (struct mirror_found){0};
	return 0;
}

int mirror_other(struct kube_client *kube, const char *run, char **ret_other, struct error *err)
{
	auto_json json_t *maps = NULL;
	const json_t *map;
	size_t i;

	if (mirror_list(kube, &maps, err) < 0)
		return -1;
	*ret_other = NULL;
	json_array_foreach(maps, i, map) {
		const char *id = mirror_run_of(map);

		if (!id || strcmp(id, run) == 0)
			continue;
		*ret_other = alloc_text(id);
		return 0;
	}
	return 0;
}

void mirror_found_release(struct mirror_found *found)
{
	free(found->run);
	free(found->holder);
	free(found->plan);
	json_decref(found->progress);
	*found = (struct mirror_found){0};
}

/* One of the two sets, when it is there and newer than what was found before. */
static int mirror_holder_of(struct kube_client *kube, const char *run, int set, char **holder,
			    int64_t *sequence, struct error *err)
{
	auto_free char *name = alloc_format("kubectl-renumber-%s-progress-%c-1", run, 'a' + set);
	struct kube_target target = mirror_maps;
	auto_json json_t *map = NULL;
	const char *text;

	target.name = name;
	if (kube_client_get(kube, &target, &map, err) < 0) {
		if (err->kind != ERROR_NOT_FOUND)
			return -1;
		error_release(err);
		return 0;
	}
	if (*holder && mirror_sequence(map) < *sequence)
		return 0;
	text = json_path_text(map, "data.holder");
	*sequence = mirror_sequence(map);
	free(*holder);
	*holder = alloc_text(text ? text : "");
	return 0;
}

int mirror_holder(struct kube_client *kube, const char *run, char **ret_holder,
		  int64_t *ret_sequence, struct error *err)
{
	auto_free char *holder = NULL;
	int64_t sequence = 0;

	if (mirror_holder_of(kube, run, 0, &holder, &sequence, err) < 0 ||
	    mirror_holder_of(kube, run, 1, &holder, &sequence, err) < 0)
		return -1;
	*ret_holder = steal(holder);
	*ret_sequence = sequence;
	return 0;
}

int mirror_remove(struct kube_client *kube, const char *run, struct error *err)
{
	/* a cut connection does not tell whether one is gone; gone twice is gone */
	const struct kube_write_options again = {.repeatable = true};
	auto_json json_t *maps = NULL;
	const json_t *map;
	size_t i;

	if (mirror_list(kube, &maps, err) < 0)
		return -1;
	json_array_foreach(maps, i, map) {
		struct kube_target target = mirror_maps;

		const char *id = mirror_run_of(map);

		if (!id || strcmp(id, run) != 0)
			continue;
		target.name = json_path_text(map, "metadata.name");
		if (kube_client_remove(kube, &target, &again, err) < 0)
			return -1;
	}
	return 0;
}
