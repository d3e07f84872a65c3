/* SPDX-License-Identifier: MIT */
#include "scan/packed.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "pki/pem.h"
#include "text/json.h"

/* RFC 1952: the first bytes of gzip, and the method that is the only one. */
static const char gzip_magic[] = {'\x1f', '\x8b', '\x08'};

bool scan_is_gzip(struct slice bytes)
{
	return bytes.len > sizeof(gzip_magic) &&
	       memcmp(bytes.ptr, gzip_magic, sizeof(gzip_magic)) == 0;
}

bool scan_unpack(struct slice bytes, struct buffer *ret)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes.ptr, .avail_in = (uInt)bytes.len};
	auto_free char *piece = alloc_bytes(65536);
	int status = Z_OK;

	if (bytes.len > UINT32_MAX || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return false;
	while (status == Z_OK && !ret->overflowed) {
		z.next_out = (Bytef *)piece;
		z.avail_out = 65536;
		status = inflate(&z, Z_NO_FLUSH);
		if (status == Z_OK || status == Z_STREAM_END)
			buffer_append(ret, piece, 65536 - z.avail_out);
	}
	inflateEnd(&z);
	return status == Z_STREAM_END && !ret->overflowed;
}

/* A buffer that held a part of a Secret. */
static void wipe(struct buffer *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->capacity);
	buffer_release(b);
}

static char *name_of(const json_t *secret)
{
	const char *space = json_path_text(secret, "metadata.namespace");
	const char *name = json_path_text(secret, "metadata.name");

	return alloc_format("Secret/%s/%s", space ? space : "", name ? name : "");
}

/* The hits in the decoded text become hits of the Secret. */
static void take_hits(struct scan_result *result, struct scan_result *inner, const char *subject,
		      const char *key, const struct scan_rule *rule)
{
	for (size_t i = 0; i < inner->count; i++) {
		struct scan_hit *hit = &inner->hits[i];

		ALLOC_GROW(result->hits, result->count, result->capacity);
		result->hits[result->count++] = (struct scan_hit){
			.rule = rule && hit->rule->class == SCAN_MUST_CHANGE ? rule : hit->rule,
			.form = hit->form,
			.subject = alloc_text(subject),
			.location = alloc_format("data.%s", key),
			.object = alloc_text(subject),
			.field = alloc_format("data.%s", key),
			.match = alloc_text(hit->match),
			.evidence = alloc_text(""),
		};
	}
}

static void scan_value(struct scan_result *result, const struct scan_matcher *matcher,
		       const json_t *secret, const char *key, struct slice value)
{
	bool helm = json_path_is(secret, "type", "helm.sh/release.v1");
	auto_secret struct secret first = {0}, second = {0};
	__attribute__((cleanup(wipe))) struct buffer plain = {.max = LIMIT_AGENT_MESSAGE};
	auto_scan_result struct scan_result inner = {0};
	auto_free char *subject = NULL;
	struct slice bytes;

	if (!pki_base64_decode(value, &first))
		return;
	bytes = (struct slice){first.ptr, first.len};
	/* Helm encodes its release once more before Kubernetes does */
	if (helm && pki_base64_decode(bytes, &second))
		bytes = (struct slice){second.ptr, second.len};
	subject = name_of(secret);
	if (scan_is_gzip(bytes)) {
		if (!scan_unpack(bytes, &plain)) {
			scan_gap_add(result, subject, "data.%s cannot be unpacked", key);
			return;
		}
		bytes = buffer_as_slice(&plain);
	}
	scan_text(&inner, matcher, NULL, key, bytes);
	take_hits(result, &inner, subject, key, helm ? scan_rule_pinned() : NULL);
}

void scan_packed_secret(struct scan_result *result, const struct scan_matcher *matcher,
			const json_t *secret)
{
	json_t *data = json_object_get(secret, "data"), *value;
	const char *key;

	json_object_foreach(data, key, value)
		if (json_is_string(value))
			scan_value(result, matcher, secret, key,
				   (struct slice){json_string_value(value),
						  json_string_length(value)});
}

void scan_packed_objects(struct scan_result *result, const struct scan_matcher *matcher,
			 const json_t *list)
{
	const json_t *items = json_object_get(list, "items"), *item;
	bool secrets = json_path_is(list, "kind", "SecretList");
	size_t i;

	if (json_path_is(list, "kind", "Secret"))
		scan_packed_secret(result, matcher, list);
	json_array_foreach(items, i, item)
		if (secrets || json_path_is(item, "kind", "Secret"))
			scan_packed_secret(result, matcher, item);
}
