/* SPDX-License-Identifier: MIT */
#include "kube/document.h"

#include <libfyaml.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "text/utf8.h"

static char *kube_document_folder(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (!slash)
		return alloc_text(".");
	return slash == file ? alloc_text("/") : alloc_text_n(file, (size_t)(slash - file));
}

/* libfyaml's convention to ours: the first error that it collected. */
static int kube_document_syntax(const char *file, struct fy_diag *diag, struct error *err)
{
	void *iterator = NULL;
	const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &iterator);

	if (!first)
		return error_set(err, ERROR_PARSE, "%s:1:1: not a YAML document", file);
	return error_set(err, ERROR_PARSE, "%s:%d:%d: malformed YAML: %s", file,
			 first->line > 0 ? first->line : 1, first->column > 0 ? first->column : 1,
			 first->msg ? first->msg : "syntax error");
}

static void kube_document_discard(struct fy_diag *diag, void *user, const char *text, size_t len)
{
	(void)diag;
	(void)user;
	(void)text;
	(void)len;
}

static int kube_document_build(struct kube_document *document, struct error *err)
{
	struct fy_diag_cfg diag_cfg;
	/* sloppy: a closing bracket may stand at its key's column, as Go's parsers allow */
	struct fy_parse_cfg cfg = {.search_path = "",
				   .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
					    FYPCF_SLOPPY_FLOW_INDENTATION};
	int result = 0;

	/* it collects most errors and prints the others */
	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag_cfg.output_fn = kube_document_discard;
	cfg.diag = fy_diag_create(&diag_cfg);
	if (!cfg.diag)
		return error_set(err, ERROR_PARSE, "%s: cannot start the YAML parser",
				 document->file);
	fy_diag_set_collect_errors(cfg.diag, true);
	document->tree =
		fy_document_build_from_string(&cfg, document->text.ptr, document->text.len);
	if (!document->tree)
		result = kube_document_syntax(document->file, cfg.diag, err);
	/* the tree outlives it, and what it collected later, in lookups, nobody would free */
	fy_diag_set_collect_errors(cfg.diag, false);
	fy_diag_destroy(cfg.diag);
	return result;
}

/* A file with nothing but blanks and comments is an empty kubeconfig, not a mistake. */
static bool kube_document_is_blank(struct slice text)
{
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		line = slice_trim(line);
		if (line.len && line.ptr[0] != '#' && !slice_is(line, "---"))
			return false;
	}
	return true;
}

/* libfyaml never returns from some texts that are no UTF-8. */
static int kube_document_check_bytes(struct slice text, const char *file, struct error *err)
{
	const unsigned char *p = (const unsigned char *)text.ptr;
	unsigned line = 1, column = 1;
	size_t len;

	for (size_t i = 0; i < text.len; i += len) {
		len = utf8_length(p + i, text.len - i);
		if (len == 0 || p[i] == '\0')
			return error_set(err, ERROR_PARSE, "%s:%u:%u: not a text: %s", file, line,
					 column, len ? "a NUL byte" : "not UTF-8");
		column = p[i] == '\n' ? 1 : column + 1;
		line += p[i] == '\n';
	}
	return 0;
}

int kube_document_parse(struct kube_document *ret, struct slice text, const char *file,
			struct error *err)
{
	auto_kube_document struct kube_document document = {.file = alloc_text(file),
							    .folder = kube_document_folder(file)};

	if (kube_document_check_bytes(text, file, err) < 0)
		return -1;
	secret_set(&document.text, text.ptr, text.len);
	if (!kube_document_is_blank(text)) {
		if (kube_document_build(&document, err) < 0)
			return -1;
		document.root = fy_document_root(document.tree);
		if (fy_node_is_null(document.root))
			document.root = NULL;
		else if (!fy_node_is_mapping(document.root))
			return error_set(err, ERROR_PARSE,
					 "%s:1:1: not a kubeconfig: the file is no YAML mapping",
					 file);
	}
	*ret = document;
	document = (struct kube_document){0};
	return 0;
}

void kube_document_release(struct kube_document *document)
{
	if (document->tree)
		fy_document_destroy(document->tree);
	secret_release(&document->text);
	free(document->file);
	free(document->folder);
	*document = (struct kube_document){0};
}

/* Where a node begins: libfyaml has marks on scalars only. */
static const struct fy_mark *kube_document_mark(struct fy_node *node)
{
	for (int depth = 0; node && depth < 64; depth++) {
		if (fy_node_is_scalar(node))
			return fy_token_start_mark(fy_node_get_scalar_token(node));
		if (fy_node_is_sequence(node))
			node = fy_node_sequence_get_by_index(node, 0);
		else
			node = fy_node_pair_key(fy_node_mapping_get_by_index(node, 0));
	}
	return NULL;
}

int kube_document_error(const struct kube_document *document, struct fy_node *node,
			struct error *err, const char *fmt, ...)
{
	const struct fy_mark *mark = kube_document_mark(node);
	auto_buffer struct buffer text = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	return error_set(err, ERROR_PARSE, "%s:%d:%d: %s", document->file,
			 mark ? mark->line + 1 : 1, mark ? mark->column + 1 : 1,
			 buffer_cstr(&text));
}

static struct fy_node *kube_document_resolve(struct fy_node *node)
{
	if (node && fy_node_is_alias(node))
		node = fy_node_resolve_alias(node);
	return node;
}

static bool kube_document_is_absent(struct fy_node *node)
{
	size_t len = 0;
	const char *text;

	if (!node || fy_node_is_null(node))
		return true;
	if (!fy_node_is_scalar(node))
		return false;
	text = fy_node_get_scalar(node, &len);
	if (!text || len == 0)
		return true;
	return fy_node_get_style(node) == FYNS_PLAIN &&
	       (slice_is((struct slice){text, len}, "null") ||
		slice_is((struct slice){text, len}, "~"));
}

struct fy_node *kube_document_value(struct fy_node *mapping, const char *key)
{
	struct fy_node *found;

	mapping = kube_document_resolve(mapping);
	if (!mapping || !fy_node_is_mapping(mapping))
		return NULL;
	found = kube_document_resolve(
		fy_node_mapping_lookup_value_by_simple_key(mapping, key, strlen(key)));
	return kube_document_is_absent(found) ? NULL : found;
}

int kube_document_scalar(const struct kube_document *document, struct fy_node *mapping,
			 const char *key, struct slice *ret, struct error *err)
{
	struct fy_node *node = kube_document_value(mapping, key);
	struct slice value = {0};

	if (node && !fy_node_is_scalar(node))
		return kube_document_error(document, node, err, "'%s' is not a text", key);
	if (node)
		value.ptr = fy_node_get_scalar(node, &value.len);
	if (value.len && memchr(value.ptr, 0, value.len))
		return kube_document_error(document, node, err, "'%s' has a NUL byte", key);
	*ret = value;
	return 0;
}

int kube_document_text(const struct kube_document *document, struct fy_node *mapping,
		       const char *key, char **ret, struct error *err)
{
	struct slice value = {0};

	if (kube_document_scalar(document, mapping, key, &value, err) < 0)
		return -1;
	*ret = value.len ? slice_dup(value) : NULL;
	return 0;
}

int kube_document_flag(const struct kube_document *document, struct fy_node *mapping,
		       const char *key, bool *ret, struct error *err)
{
	struct slice value = {0};

	if (kube_document_scalar(document, mapping, key, &value, err) < 0)
		return -1;
	if (slice_is(value, "true"))
		*ret = true;
	else if (slice_is(value, "false"))
		*ret = false;
	else if (value.len)
		return kube_document_error(document, kube_document_value(mapping, key), err,
					   "'%s' is neither true nor false", key);
	return 0;
}

int kube_document_mapping(const struct kube_document *document, struct fy_node *mapping,
			  const char *key, struct fy_node **ret, struct error *err)
{
	struct fy_node *node = kube_document_value(mapping, key);

	if (node && !fy_node_is_mapping(node))
		return kube_document_error(document, node, err, "'%s' is not a mapping", key);
	*ret = node;
	return 0;
}

int kube_document_sequence(const struct kube_document *document, struct fy_node *mapping,
			   const char *key, struct fy_node **ret, struct error *err)
{
	struct fy_node *node = kube_document_value(mapping, key);

	if (node && !fy_node_is_sequence(node))
		return kube_document_error(document, node, err, "'%s' is not a list", key);
	*ret = node;
	return 0;
}

size_t kube_document_count(struct fy_node *sequence)
{
	int count = sequence ? fy_node_sequence_item_count(sequence) : 0;

	return count > 0 ? (size_t)count : 0;
}

struct fy_node *kube_document_item(struct fy_node *sequence, size_t index)
{
	return kube_document_resolve(fy_node_sequence_get_by_index(sequence, (int)index));
}

int kube_document_texts(const struct kube_document *document, struct fy_node *mapping,
			const char *key, char ***ret, struct error *err)
{
	struct fy_node *sequence = NULL;
	size_t count;
	char **texts;

	*ret = NULL;
	if (kube_document_sequence(document, mapping, key, &sequence, err) < 0)
		return -1;
	count = kube_document_count(sequence);
	if (count == 0)
		return 0;
	texts = alloc_array(count + 1, sizeof(*texts));
	for (size_t i = 0; i < count; i++) {
		struct fy_node *item = kube_document_item(sequence, i);
		size_t len = 0;
		const char *text =
			item && fy_node_is_scalar(item) ? fy_node_get_scalar(item, &len) : NULL;

		texts[i] = text ? alloc_text_n(text, len) : alloc_text("");
	}
	*ret = texts;
	return 0;
}

int kube_document_entry(const struct kube_document *document, const char *list, struct slice name,
			const char *body, struct fy_node **ret, struct error *err)
{
	struct fy_node *sequence = NULL;

	*ret = NULL;
	if (kube_document_sequence(document, document->root, list, &sequence, err) < 0)
		return -1;
	for (size_t i = 0; i < kube_document_count(sequence); i++) {
		struct fy_node *item = kube_document_item(sequence, i);
		struct slice found;

		if (!item || !fy_node_is_mapping(item))
			return kube_document_error(document, item, err,
						   "an entry of '%s' is not a mapping", list);
		if (kube_document_scalar(document, item, "name", &found, err) < 0)
			return -1;
		if (!slice_equal(found, name))
			continue;
		if (kube_document_mapping(document, item, body, ret, err) < 0)
			return -1;
		/* `user: {}` and no user at all both mean one without credentials */
		if (!*ret)
			*ret = item;
		return 0;
	}
	return 0;
}

char *kube_document_json(struct fy_node *node)
{
	char *text = node ? fy_emit_node_to_string(node, FYECF_MODE_JSON_ONELINE) : NULL;
	char *copy = text ? alloc_text(text) : NULL;

	free(text);
	return copy;
}
