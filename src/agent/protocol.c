/* SPDX-License-Identifier: MIT */
#include "agent/protocol.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

#define PROTOCOL_SECOND INT64_C(1000)

/* Each takes milliseconds; but a control plane in an incident may be busy beyond measure. */
static const struct protocol_op protocol_ops[] = {
	{"info", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"list-files", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"read-file", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"read-files", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"write-file", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
	{"replace-in-file", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
	{"remove-file", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
	{"backup", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
	{"restore", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
	{"list-backups", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"forget", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
	{"processes", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"restart-kubelet", PROTOCOL_OP_WRITES, 120 * PROTOCOL_SECOND},
	{"kubelet-status", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"sysfacts", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"dial", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"dns", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"proxy-metrics", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"probe-start", PROTOCOL_OP_REPEATABLE, 10 * PROTOCOL_SECOND},
	/* What was counted is handed out once. */
	{"probe-read", 0, 10 * PROTOCOL_SECOND},
	{"probe-stop", PROTOCOL_OP_REPEATABLE, 10 * PROTOCOL_SECOND},
	{"conntrack", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"certs-audit", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	{"certs-names", PROTOCOL_OP_REPEATABLE, 60 * PROTOCOL_SECOND},
	/* What is as asked for is left alone, unless forced. */
	{"certs-issue", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 120 * PROTOCOL_SECOND},
	/* Each request comes with a new key. */
	{"certs-csr", PROTOCOL_OP_WRITES, 120 * PROTOCOL_SECOND},
	{"certs-import", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
	{"certs-restore", PROTOCOL_OP_REPEATABLE | PROTOCOL_OP_WRITES, 60 * PROTOCOL_SECOND},
};

const struct protocol_op *protocol_op_at(size_t i)
{
	return i < sizeof(protocol_ops) / sizeof(protocol_ops[0]) ? &protocol_ops[i] : NULL;
}

const struct protocol_op *protocol_op_find(const char *name)
{
	const struct protocol_op *op;

	for (size_t i = 0; (op = protocol_op_at(i)); i++)
		if (strcmp(op->name, name) == 0)
			return op;
	return NULL;
}

static const char *const protocol_kinds[] = {
	[ERROR_NONE] = "io",
	[ERROR_USAGE] = "usage",
	[ERROR_IO] = "io",
	[ERROR_PARSE] = "parse",
	[ERROR_NETWORK] = "network",
	[ERROR_API] = "api",
	[ERROR_CONFLICT] = "conflict",
	[ERROR_NOT_FOUND] = "not-found",
	[ERROR_REFUSED] = "refused",
	[ERROR_STOPPED] = "stopped",
	[ERROR_INTERRUPTED] = "interrupted",
};

const char *protocol_kind_name(enum error_kind kind)
{
	return protocol_kinds[kind];
}

enum error_kind protocol_kind(const char *name)
{
	for (size_t i = ERROR_USAGE; i < sizeof(protocol_kinds) / sizeof(protocol_kinds[0]); i++)
		if (strcmp(protocol_kinds[i], name) == 0)
			return (enum error_kind)i;
	return ERROR_IO;
}

/* jansson follows 2048 levels by recursion, and takes 150 bytes for an empty array; ours are the smaller
 * limits, and looked at beforehand. */
static bool protocol_is_modest(struct slice line)
{
	bool quoted = false;
	size_t values = 1;
	int depth = 0;

	for (size_t i = 0; i < line.len; i++) {
		char c = line.ptr[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > LIMIT_DEPTH)
				return false;
		} else if (c == '}' || c == ']') {
			depth--;
		}
		values += !quoted && (c == ',' || c == '[' || c == ':');
		if (values > LIMIT_AGENT_VALUES)
			return false;
	}
	return true;
}

int protocol_parse(struct slice line, json_t **ret, struct error *err)
{
	json_error_t why;
	json_t *message;

	if (line.len > LIMIT_AGENT_MESSAGE)
		return error_set(err, ERROR_PARSE, "a message is larger than %zu bytes",
				 LIMIT_AGENT_MESSAGE);
	if (line.len && memchr(line.ptr, '\n', line.len))
		return error_set(err, ERROR_PARSE, "a message is more than one line");
	if (!protocol_is_modest(line))
		return error_set(err, ERROR_PARSE,
				 "a message is nested deeper than %d or has more than %zu values",
				 LIMIT_DEPTH, LIMIT_AGENT_VALUES);
	message = json_loadb(line.ptr ? line.ptr : "", line.len, JSON_REJECT_DUPLICATES, &why);
	if (!message)
		return error_set(err, ERROR_PARSE, "a message is malformed: message:%d:%d: %s",
				 why.line, why.column, why.text);
	if (!json_is_object(message)) {
		json_decref(message);
		return error_set(err, ERROR_PARSE, "a message is not a JSON object");
	}
	*ret = message;
	return 0;
}

static int protocol_collect(const char *bytes, size_t len, void *data)
{
	buffer_append(data, bytes, len);
	return 0;
}

int protocol_format(const json_t *message, struct buffer *out, struct error *err)
{
	if (json_dump_callback(message, protocol_collect, out, JSON_COMPACT) < 0)
		return error_set(err, ERROR_PARSE, "a message cannot be written as JSON");
	buffer_char(out, '\n');
	return 0;
}

static int protocol_missing(const char *name, const char *type, struct error *err)
{
	return error_set(err, ERROR_PARSE, "member '%s' is missing or is no %s", name, type);
}

int protocol_optional_text(const json_t *object, const char *name, const char **ret,
			   struct error *err)
{
	const json_t *value = json_object_get(object, name);

	if (!value || json_is_null(value)) {
		*ret = NULL;
		return 0;
	}
	if (!json_is_string(value))
		return protocol_missing(name, "text", err);
	*ret = json_string_value(value);
	return 0;
}

int protocol_text(const json_t *object, const char *name, const char **ret, struct error *err)
{
	const char *text;

	if (protocol_optional_text(object, name, &text, err) < 0)
		return -1;
	if (!text)
		return protocol_missing(name, "text", err);
	*ret = text;
	return 0;
}

int protocol_optional_integer(const json_t *object, const char *name, int64_t min, int64_t max,
			      int64_t fallback, int64_t *ret, struct error *err)
{
	const json_t *value = json_object_get(object, name);
	int64_t number;

	if (!value || json_is_null(value)) {
		*ret = fallback;
		return 0;
	}
	if (!json_is_integer(value))
		return protocol_missing(name, "integer", err);
	number = json_integer_value(value);
	if (number < min || number > max)
		return error_set(err, ERROR_PARSE, "member '%s' is not between %lld and %lld", name,
				 (long long)min, (long long)max);
	*ret = number;
	return 0;
}

int protocol_integer(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *ret,
		     struct error *err)
{
	if (!json_is_integer(json_object_get(object, name)))
		return protocol_missing(name, "integer", err);
	return protocol_optional_integer(object, name, min, max, 0, ret, err);
}

int protocol_list(const json_t *object, const char *name, json_t **ret_borrowed, struct error *err)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_array(value))
		return protocol_missing(name, "list", err);
	*ret_borrowed = value;
	return 0;
}

/* EVP_DecodeBlock passes over white space and takes '=' for a zero byte anywhere: the alphabet and
 * the padding are checked here. */
static bool protocol_base64_padding(const char *text, size_t len, size_t *ret_padding)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	size_t padding = 0;

	if (len % 4)
		return false;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	*ret_padding = padding;
	return strspn(text, alphabet) == len - padding;
}

int protocol_bytes(const json_t *object, const char *name, struct buffer *ret, struct error *err)
{
	auto_free unsigned char *bytes = NULL;
	const char *text;
	size_t padding;
	size_t len;

	if (protocol_text(object, name, &text, err) < 0)
		return -1;
	len = strlen(text);
	if (len > INT_MAX || !protocol_base64_padding(text, len, &padding))
		return error_set(err, ERROR_PARSE, "member '%s' is not base64", name);
	if (len == 0)
		return 0;
	bytes = alloc_bytes(len);
	if (EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len) < 0)
		return error_set(err, ERROR_PARSE, "member '%s' is not base64", name);
	buffer_append(ret, bytes, len / 4 * 3 - padding);
	return buffer_check(ret, name, err);
}

json_t *protocol_base64(const void *bytes, size_t len)
{
	auto_free char *text = NULL;
	int written;

	/* Callers pass no more than a message may hold. */
	if (len > LIMIT_AGENT_MESSAGE)
		len = LIMIT_AGENT_MESSAGE;
	text = alloc_bytes((len + 2) / 3 * 4 + 1);
	written =
		EVP_EncodeBlock((unsigned char *)text, bytes ? bytes : (const void *)"", (int)len);
	return json_stringn(text, (size_t)written);
}

void protocol_set_text(json_t *object, const char *name, const char *text)
{
	json_t *value = json_string(text);

	if (!value) {
		auto_free char *copy = alloc_text(text);

		for (char *c = copy; *c; c++)
			if ((unsigned char)*c >= 0x80)
				*c = '?';
		value = json_string(copy);
	}
	json_object_set_new(object, name, value);
}
