/* SPDX-License-Identifier: MIT */
#include "text/yaml.h"

#include <assert.h>
#include <libfyaml.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "text/utf8.h"

/*
 * libfyaml's events give the byte positions (its marks count bytes, its columns characters; we
 * count columns in bytes ourselves). The events become a tree of our own, because libfyaml's
 * documents keep no position of a collection.
 *
 * What the marks leave out is added here: the quotes around a scalar, the '*' of an alias, the end
 * of a block collection (its end mark is where the next token begins), the place of an empty value.
 */

#define CHUNK_BYTES 65536

struct yaml_chunk {
	struct yaml_chunk *next;
	size_t used;
	size_t size;
	_Alignas(16) char bytes[];
};

static void *chunk_take(struct yaml *y, size_t size)
{
	struct yaml_chunk *c = y->chunks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		c = alloc_bytes(sizeof(*c) + room);
		c->used = 0;
		c->size = room;
		c->next = y->chunks;
		y->chunks = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	memset(p, 0, size);
	return p;
}

static struct slice chunk_text(struct yaml *y, const char *text, size_t len)
{
	char *copy = chunk_take(y, len + 1);

	if (len > 0)
		memcpy(copy, text, len);
	return (struct slice){copy, len};
}

void yaml_release(struct yaml *y)
{
	while (y->chunks) {
		struct yaml_chunk *next = y->chunks->next;

		free(y->chunks);
		y->chunks = next;
	}
	buffer_release(&y->text);
	free(y->file);
	free(y->roots);
	*y = (struct yaml){0};
}

/* ---- the tree ---- */

struct reader {
	struct yaml *y;
	struct fy_parser *parser;
	struct fy_diag *diag;
	size_t line_start; /* of the last position that was asked for */
	size_t line_seen;
	unsigned int line;
	struct yaml_node *open; /* the collection being filled */
	struct yaml_node *key;	/* of the mapping `open`: read, its value not yet */
	struct yaml_node *keys[LIMIT_DEPTH + 1]; /* the same of the collections around it */
	size_t depth;
	size_t behind; /* end of the last thing read */
	bool root_done;
};

static void reader_release(struct reader *r)
{
	if (r->parser)
		fy_parser_destroy(r->parser);
	if (r->diag)
		fy_diag_destroy(r->diag);
}

/* Positions are asked for nearly in order, so that the whole text is looked through once. */
static void place(struct reader *r, struct yaml_node *node)
{
	const char *text = r->y->text.ptr;

	if (node->start < r->line_start || r->line_seen == 0) {
		bool mark = slice_starts(yaml_text(r->y), "\xef\xbb\xbf");

		/* a byte order mark takes no column */
		r->line_start = r->line_seen = mark && node->start >= 3 ? 3 : 0;
		r->line = 0;
	}
	for (size_t i = r->line_seen; i < node->start; i++) {
		if (text[i] == '\n') {
			r->line++;
			r->line_start = i + 1;
		}
	}
	if (node->start > r->line_seen)
		r->line_seen = node->start;
	node->line = r->line + 1;
	node->column = (unsigned int)(node->start - r->line_start) + 1;
}

static int fail_at(struct reader *r, size_t at, struct error *err, const char *what)
{
	struct yaml_node node = {.start = at};

	place(r, &node);
	return error_set(err, ERROR_PARSE, "%s:%u:%u: %s", r->y->file, node.line, node.column,
			 what);
}

static int parser_error(struct reader *r, struct error *err)
{
	void *before = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(r->diag, &before);

	if (!e)
		return error_set(err, ERROR_PARSE, "%s:1:1: not valid YAML", r->y->file);
	return error_set(err, ERROR_PARSE, "%s:%d:%d: %s", r->y->file, e->line, e->column,
			 e->msg ? e->msg : "not valid YAML");
}

static enum yaml_style scalar_style(struct fy_token *token)
{
	switch (fy_token_scalar_style(token)) {
	case FYSS_SINGLE_QUOTED:
		return YAML_SINGLE_QUOTED;
	case FYSS_DOUBLE_QUOTED:
		return YAML_DOUBLE_QUOTED;
	case FYSS_LITERAL:
		return YAML_LITERAL;
	case FYSS_FOLDED:
		return YAML_FOLDED;
	default:
		return YAML_PLAIN;
	}
}

static const char *skip_blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* An empty value has no mark: it stands behind the ':' of its key or the '-' of its item, or behind
 * the last thing read where neither follows ("{a, b}"). */
static size_t empty_place(const struct reader *r)
{
	const char *text = r->y->text.ptr, *end = text + r->y->text.len;
	const char *p = text + r->behind;
	char wanted;

	if (!r->open || (r->open->kind == YAML_MAPPING && !r->key))
		return r->behind;
	wanted = r->open->kind == YAML_MAPPING ? ':' : '-';
	for (;;) {
		p = skip_blank(p, end);
		if (p < end && *p == '#') {
			while (p < end && *p != '\n')
				p++;
		} else if (p < end && (*p == '\n' || *p == '\r')) {
			p++;
		} else {
			break;
		}
	}
	if (p < end && *p == wanted)
		return (size_t)(p - text) + 1;
	return r->behind;
}

static void set_span(struct reader *r, struct yaml_node *node, struct fy_event *event)
{
	const struct fy_mark *start = fy_event_start_mark(event), *end = fy_event_end_mark(event);
	size_t len = r->y->text.len;

	if (node->kind == YAML_SCALAR && (!start || !end)) {
		node->start = node->end = empty_place(r);
		r->behind = node->end;
		return;
	}
	node->start = start && start->input_pos < len ? start->input_pos : len;
	node->end = end && end->input_pos < len ? end->input_pos : len;
	if (node->style == YAML_SINGLE_QUOTED || node->style == YAML_DOUBLE_QUOTED) {
		node->start -= node->start > 0;
		node->end += node->end < len;
	} else if (node->kind == YAML_ALIAS) {
		node->start -= node->start > 0;
	}
	if (node->end < node->start)
		node->end = node->start;
	if (node->end > r->behind)
		r->behind = node->end;
}

static void set_properties(struct reader *r, struct yaml_node *node, struct fy_token *anchor,
			   struct fy_token *tag)
{
	struct fy_token *const tokens[] = {anchor, tag};
	struct slice *const targets[] = {&node->anchor, &node->tag};

	for (size_t i = 0; i < 2; i++) {
		const struct fy_mark *start, *end;

		if (!tokens[i])
			continue;
		start = fy_token_start_mark(tokens[i]);
		end = fy_token_end_mark(tokens[i]);
		if (!start || !end || end->input_pos > r->y->text.len)
			continue;
		*targets[i] = chunk_text(r->y, r->y->text.ptr + start->input_pos,
					 end->input_pos - start->input_pos);
		if (end->input_pos > r->behind)
			r->behind = end->input_pos;
	}
}

/* Puts a finished or opened node where it belongs. */
static int attach(struct reader *r, struct yaml_node *node, struct error *err)
{
	struct yaml *y = r->y;

	node->parent = r->open;
	if (!r->open) {
		if (r->root_done)
			return fail_at(r, node->start, err, "text behind the end of a document");
		r->root_done = true;
		y->roots[y->count - 1] = node;
		return 0;
	}
	if (r->open->kind == YAML_MAPPING && !r->key) {
		r->key = node;
		return 0;
	}
	if (r->open->kind == YAML_MAPPING) {
		node->key = r->key;
		r->key = NULL;
	}
	if (r->open->last)
		r->open->last->next = node;
	else
		r->open->first = node;
	r->open->last = node;
	r->open->count++;
	return 0;
}

static int add_scalar(struct reader *r, struct fy_event *event, struct error *err)
{
	struct yaml_node *node = chunk_take(r->y, sizeof(*node));
	const struct fy_event_scalar_data *scalar = &event->scalar;
	size_t len = 0;
	const char *text;

	node->kind = YAML_SCALAR;
	node->style = YAML_PLAIN;
	set_properties(r, node, scalar->anchor, scalar->tag);
	if (scalar->value) {
		node->style = scalar_style(scalar->value);
		text = fy_token_get_text(scalar->value, &len);
		if (!text)
			return error_set(err, ERROR_PARSE, "%s: cannot decode a value", r->y->file);
		node->value = chunk_text(r->y, text, len);
	} else {
		node->value = chunk_text(r->y, "", 0);
	}
	set_span(r, node, event);
	place(r, node);
	return attach(r, node, err);
}

static int add_alias(struct reader *r, struct fy_event *event, struct error *err)
{
	struct yaml_node *node = chunk_take(r->y, sizeof(*node));
	size_t len = 0;
	const char *text = fy_token_get_text(event->alias.anchor, &len);

	node->kind = YAML_ALIAS;
	node->value = chunk_text(r->y, text ? text : "", text ? len : 0);
	set_span(r, node, event);
	place(r, node);
	return attach(r, node, err);
}

static int open_collection(struct reader *r, struct fy_event *event, struct error *err)
{
	struct yaml_node *node = chunk_take(r->y, sizeof(*node));
	bool mapping = event->type == FYET_MAPPING_START;

	node->kind = mapping ? YAML_MAPPING : YAML_SEQUENCE;
	set_properties(r, node,
		       mapping ? event->mapping_start.anchor : event->sequence_start.anchor,
		       mapping ? event->mapping_start.tag : event->sequence_start.tag);
	set_span(r, node, event);
	node->style = node->end > node->start ? YAML_FLOW : YAML_BLOCK;
	place(r, node);
	if (r->depth == LIMIT_DEPTH)
		return fail_at(r, node->start, err, "nested too deeply");
	if (attach(r, node, err) < 0)
		return -1;
	r->keys[r->depth++] = r->key;
	r->open = node;
	r->key = NULL;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml_node *const *left = a, *const *right = b;
	struct slice x = (*left)->value, y = (*right)->value;
	int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);

	if (order != 0)
		return order;
	if (x.len != y.len)
		return x.len < y.len ? -1 : 1;
	return ((*left)->start > (*right)->start) - ((*left)->start < (*right)->start);
}

/* Kubernetes takes the last of two equal keys or refuses them, by version: we refuse. */
static int refuse_twins(struct reader *r, const struct yaml_node *mapping, struct error *err)
{
	auto_free const struct yaml_node **keys = alloc_array(mapping->count, sizeof(*keys));
	size_t count = 0;

	for (const struct yaml_node *n = mapping->first; n; n = n->next)
		if (n->key->kind == YAML_SCALAR)
			keys[count++] = n->key;
	if (count > 1)
		qsort(keys, count, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < count; i++)
		if (slice_equal(keys[i - 1]->value, keys[i]->value))
			return fail_at(r, keys[i]->start, err, "key stands twice");
	return 0;
}

static int close_collection(struct reader *r, struct fy_event *event, struct error *err)
{
	struct yaml_node *node = r->open;
	const struct fy_mark *end = fy_event_end_mark(event);

	assert(node); /* the parser gives no end without its beginning */
	if (node->style == YAML_FLOW)
		node->end = end && end->input_pos <= r->y->text.len ? end->input_pos : r->behind;
	else
		node->end = node->last ? node->last->end : node->start;
	if (node->end < node->start)
		node->end = node->start;
	if (node->end > r->behind)
		r->behind = node->end;
	r->open = node->parent;
	r->key = r->keys[--r->depth];
	/* a collection that was a key stays the key until its value comes; one that was a value
	 * used its key up when it was attached */
	return node->kind == YAML_MAPPING ? refuse_twins(r, node, err) : 0;
}

static int take_event(struct reader *r, struct fy_event *event, struct error *err)
{
	struct yaml *y = r->y;
	const struct fy_mark *mark;

	switch (event->type) {
	case FYET_DOCUMENT_START:
		y->roots = alloc_resize(y->roots, y->count + 1, sizeof(struct yaml_node *));
		y->roots[y->count++] = NULL;
		r->root_done = false;
		mark = fy_event_end_mark(event);
		if (mark && mark->input_pos > r->behind && mark->input_pos <= y->text.len)
			r->behind = mark->input_pos;
		return 0;
	case FYET_SCALAR:
		return add_scalar(r, event, err);
	case FYET_ALIAS:
		return add_alias(r, event, err);
	case FYET_SEQUENCE_START:
	case FYET_MAPPING_START:
		return open_collection(r, event, err);
	case FYET_SEQUENCE_END:
	case FYET_MAPPING_END:
		return close_collection(r, event, err);
	default:
		return 0;
	}
}

static void discard_output(struct fy_diag *diag, void *user, const char *text, size_t len)
{
	(void)diag;
	(void)user;
	(void)text;
	(void)len;
}

static int read_events(struct reader *r, struct error *err)
{
	struct fy_diag_cfg diag_cfg;
	struct fy_parse_cfg cfg = {.search_path = "",
				   /* a closing bracket may stand at its key's column, as Go's
				    * parsers allow */
				   .flags = FYPCF_QUIET | FYPCF_SLOPPY_FLOW_INDENTATION};
	struct fy_event *event;

	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag_cfg.output_fn = discard_output;
	r->diag = fy_diag_create(&diag_cfg);
	if (r->diag)
		fy_diag_set_collect_errors(r->diag, true);
	cfg.diag = r->diag;
	r->parser = r->diag ? fy_parser_create(&cfg) : NULL;
	if (!r->parser || fy_parser_set_string(r->parser, r->y->text.ptr, r->y->text.len) < 0)
		return error_set(err, ERROR_PARSE, "%s: cannot start the YAML parser", r->y->file);
	while ((event = fy_parser_parse(r->parser))) {
		int result = take_event(r, event, err);

		fy_parser_event_free(r->parser, event);
		if (result < 0)
			return -1;
	}
	if (fy_parser_get_stream_error(r->parser))
		return parser_error(r, err);
	return 0;
}

static int refuse_bad_utf8(struct reader *r, struct error *err)
{
	const unsigned char *p = (const unsigned char *)r->y->text.ptr;
	size_t len = r->y->text.len, n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_length(p + i, len - i);
		if (n == 0)
			return fail_at(r, i, err, "not UTF-8");
	}
	return 0;
}

static int parse(struct yaml *y, struct error *err)
{
	__attribute__((cleanup(reader_release))) struct reader r = {.y = y};
	const char *nul;

	if (y->text.len == 0)
		return 0;
	nul = memchr(y->text.ptr, '\0', y->text.len);
	if (nul)
		return fail_at(&r, (size_t)(nul - y->text.ptr), err, "NUL byte in the text");
	if (refuse_bad_utf8(&r, err) < 0)
		return -1;
	return read_events(&r, err);
}

int yaml_parse(struct yaml *y, const char *file, struct slice text, struct error *err)
{
	auto_yaml struct yaml new = {.file = alloc_text(file)};

	buffer_slice(&new.text, text);
	if (buffer_check(&new.text, file, err) < 0 || parse(&new, err) < 0) {
		yaml_release(y);
		return -1;
	}
	yaml_release(y);
	*y = new;
	new = (struct yaml){0};
	return 0;
}

/* ---- looking things up ---- */

struct slice yaml_text(const struct yaml *y)
{
	return buffer_as_slice(&y->text);
}

const struct yaml_node *yaml_root(const struct yaml *y)
{
	for (size_t i = 0; i < y->count; i++)
		if (y->roots[i] && !yaml_is_null(y->roots[i]))
			return y->roots[i];
	return NULL;
}

static const struct yaml_node *get(const struct yaml_node *mapping, struct slice key)
{
	if (!mapping || mapping->kind != YAML_MAPPING)
		return NULL;
	for (const struct yaml_node *n = mapping->first; n; n = n->next)
		if (n->key->kind == YAML_SCALAR && slice_equal(n->key->value, key))
			return n;
	return NULL;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
	return get(mapping, slice_of(key));
}

const struct yaml_node *yaml_item(const struct yaml_node *sequence, size_t index)
{
	const struct yaml_node *n;

	if (!sequence || sequence->kind != YAML_SEQUENCE)
		return NULL;
	for (n = sequence->first; n && index > 0; n = n->next)
		index--;
	return n;
}

const struct yaml_node *yaml_path(const struct yaml_node *from, const char *path)
{
	struct slice rest = slice_of(path), part;

	while (from && slice_next(&rest, '.', &part)) {
		struct slice key = part, index;

		if (!slice_next(&part, '[', &key))
			return NULL;
		if (key.len > 0)
			from = get(from, key);
		while (from && slice_next(&part, '[', &index)) {
			uint64_t n;

			if (index.len == 0 || index.ptr[index.len - 1] != ']')
				return NULL;
			index.len--;
			if (!slice_to_u64(index, UINT32_MAX, &n))
				return NULL;
			from = yaml_item(from, (size_t)n);
		}
	}
	return from;
}

const char *yaml_string(const struct yaml_node *node)
{
	if (!node || node->kind != YAML_SCALAR || !node->value.ptr ||
	    memchr(node->value.ptr, '\0', node->value.len))
		return NULL;
	return node->value.ptr;
}

bool yaml_is_null(const struct yaml_node *node)
{
	if (!node)
		return true;
	if (node->kind != YAML_SCALAR || node->style != YAML_PLAIN)
		return false;
	return node->value.len == 0 || slice_is(node->value, "~") ||
	       slice_is(node->value, "null") || slice_is(node->value, "Null") ||
	       slice_is(node->value, "NULL");
}

static bool plain_key(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (key.ptr[i] == '.' || key.ptr[i] == '[' || key.ptr[i] == ']')
			return false;
	return key.len > 0;
}

void yaml_describe(const struct yaml_node *node, struct buffer *ret)
{
	const struct yaml_node *parent = node->parent;
	size_t index = 0;

	if (!parent)
		return;
	yaml_describe(parent, ret);
	if (parent->kind == YAML_SEQUENCE) {
		for (const struct yaml_node *n = parent->first; n && n != node; n = n->next)
			index++;
		buffer_format(ret, "[%zu]", index);
	} else if (!node->key || node->key->kind != YAML_SCALAR) {
		buffer_text(ret, "[?]");
	} else if (plain_key(node->key->value)) {
		if (ret->len > 0)
			buffer_char(ret, '.');
		buffer_slice(ret, node->key->value);
	} else {
		buffer_text(ret, "[\"");
		buffer_slice(ret, node->key->value);
		buffer_text(ret, "\"]");
	}
}
