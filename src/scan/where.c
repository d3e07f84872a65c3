/* SPDX-License-Identifier: MIT */
#include "scan/where.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"

/* An object to which a field belongs is parsed for its name; larger ones have none. */
#define OBJECT_MOST ((size_t)8 * 1024 * 1024)

/* Longer YAML is parsed piece by piece, and only where something was found. */
#define PIECES_FROM ((size_t)64 * 1024)

void scan_where_release(struct scan_where *w)
{
	free(w->field);
	free(w->kind);
	free(w->space);
	free(w->name);
	free(w->label);
	*w = (struct scan_where){0};
}

void scan_document_release(struct scan_document *d)
{
	yaml_release(&d->yaml);
	json_decref(d->object);
	*d = (struct scan_document){0};
}

/* ---- the walk through JSON ---- */

static bool push(struct scan_document *d, bool object)
{
	if (d->depth == SCAN_LEVELS)
		return false;
	d->levels[d->depth++] =
		(struct scan_level){.object = object, .wants_key = object, .start = d->at};
	d->at++;
	return true;
}

static bool pop(struct scan_document *d, bool object)
{
	if (d->depth == 0 || d->levels[d->depth - 1].object != object)
		return false;
	d->depth--;
	d->at++;
	return true;
}

static size_t string_end(struct slice text, size_t at)
{
	for (at++; at < text.len; at++) {
		if (text.ptr[at] == '\\')
			at++;
		else if (text.ptr[at] == '"')
			return at + 1;
	}
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A string, number or word; key or value. */
static bool take_token(struct scan_document *d)
{
	struct scan_level *level = d->depth > 0 ? &d->levels[d->depth - 1] : NULL;
	struct slice text = d->text;
	bool string = text.ptr[d->at] == '"';
	size_t end = d->at;

	if (string) {
		end = string_end(text, d->at);
		if (end == 0)
			return false;
	} else {
		while (end < text.len && text.ptr[end] && !is_space(text.ptr[end]) &&
		       !strchr(",:]}[{\"", text.ptr[end]))
			end++;
		if (end == d->at || !strchr("-0123456789tfn", text.ptr[d->at]))
			return false;
	}
	d->token_start = d->at;
	d->token_end = end;
	d->at = end;
	if (level && level->wants_key) {
		if (!string)
			return false;
		level->key =
			(struct slice){text.ptr + d->token_start + 1, end - d->token_start - 2};
		level->wants_key = false;
	} else if (d->depth == 1 && string && level && slice_is(level->key, "kind")) {
		d->root_kind =
			(struct slice){text.ptr + d->token_start + 1, end - d->token_start - 2};
	}
	return true;
}

static bool take(struct scan_document *d)
{
	struct scan_level *level = d->depth > 0 ? &d->levels[d->depth - 1] : NULL;

	switch (d->text.ptr[d->at]) {
	case '{':
		return push(d, true);
	case '[':
		return push(d, false);
	case '}':
		return pop(d, true);
	case ']':
		return pop(d, false);
	case ':':
		d->at++;
		return level && level->object && !level->wants_key;
	case ',':
		d->at++;
		if (!level)
			return false;
		level->wants_key = level->object;
		level->index++;
		return true;
	default:
		return take_token(d);
	}
}

/* Walks until a token holds the offset. False at the end, or where this is no JSON. */
static bool walk(struct scan_document *d, size_t offset)
{
	while (d->token_end <= offset) {
		while (d->at < d->text.len && is_space(d->text.ptr[d->at]))
			d->at++;
		if (d->at >= d->text.len || !take(d))
			return false;
	}
	return d->token_start <= offset;
}

static void restart(struct scan_document *d)
{
	d->at = d->token_start = d->token_end = d->depth = 0;
	d->root_kind = (struct slice){0};
}

static bool is_json(struct scan_document *d)
{
	size_t at = 0;
	bool whole;

	while (at < d->text.len && is_space(d->text.ptr[at]))
		at++;
	if (at == d->text.len || (d->text.ptr[at] != '{' && d->text.ptr[at] != '['))
		return false;
	restart(d);
	whole = !walk(d, d->text.len) && d->at == d->text.len && d->depth == 0;
	restart(d);
	return whole;
}

char *scan_list_continue(struct slice json)
{
	struct scan_document d = {.text = json};
	size_t before;

	do {
		const struct scan_level *inner = &d.levels[1];
		bool is_key;

		before = d.token_end;
		(void)walk(&d, d.token_end);
		is_key = d.depth == 2 && inner->key.ptr == json.ptr + d.token_start + 1;
		if (d.depth == 2 && !is_key && inner->object && slice_is(inner->key, "continue") &&
		    slice_is(d.levels[0].key, "metadata"))
			return d.token_end - d.token_start > 2
				       ? alloc_text_n(json.ptr + d.token_start + 1,
						      d.token_end - d.token_start - 2)
				       : NULL;
	} while (d.token_end > before);
	return NULL;
}

/* ---- names ---- */

static void append_key(struct buffer *out, struct slice key)
{
	bool plain = key.len > 0;

	for (size_t i = 0; i < key.len; i++)
		plain = plain && !strchr(".[]\"", key.ptr[i]);
	if (plain) {
		if (out->len > 0)
			buffer_char(out, '.');
		buffer_slice(out, key);
	} else {
		buffer_text(out, "[\"");
		buffer_slice(out, key);
		buffer_text(out, "\"]");
	}
}

static void append_level(struct buffer *out, const struct scan_level *level)
{
	if (level->object)
		append_key(out, level->key);
	else
		buffer_format(out, "[%zu]", level->index);
}

/* The level of the object that a field belongs to: an item of a list, or the root. */
static size_t object_level(const struct scan_document *d)
{
	if (d->depth >= 3 && d->levels[0].object && slice_is(d->levels[0].key, "items") &&
	    !d->levels[1].object && d->levels[2].object)
		return 2;
	return 0;
}

static json_t *parse_object(struct scan_document *d, size_t start)
{
	size_t len = d->text.len - start;

	if (d->object && d->object_start == start)
		return d->object;
	json_decref(d->object);
	/* only what is at the front is read: the rest of the list follows */
	d->object = json_loadb(d->text.ptr + start, len < OBJECT_MOST ? len : OBJECT_MOST,
			       JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
	d->object_start = start;
	return d->object;
}

static char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? alloc_text(text) : NULL;
}

/* The `name` beside the value. */
static char *label_of(const struct scan_document *d, const json_t *object, size_t from)
{
	const json_t *node = object;

	for (size_t i = from; node && i + 1 < d->depth; i++) {
		const struct scan_level *level = &d->levels[i];
		auto_free char *key = level->object ? slice_dup(level->key) : NULL;

		node = key ? json_object_get(node, key) : json_array_get(node, level->index);
	}
	return text_of(node, "name");
}

static void find_json(struct scan_document *d, size_t offset, struct scan_where *ret)
{
	auto_buffer struct buffer field = {0};
	const json_t *object, *metadata;
	size_t from;

	if (!walk(d, offset) || d->depth == 0)
		return;
	ret->start = d->token_start;
	ret->end = d->token_end;
	from = object_level(d);
	for (size_t i = from; i < d->depth; i++)
		append_level(&field, &d->levels[i]);
	ret->field = buffer_detach(&field);
	object = parse_object(d, d->levels[from].start);
	metadata = json_object_get(object, "metadata");
	ret->kind = text_of(object, "kind");
	if (!ret->kind && from > 0 && slice_ends(d->root_kind, "List"))
		ret->kind = alloc_text_n(d->root_kind.ptr, d->root_kind.len - 4);
	ret->space = text_of(metadata, "namespace");
	ret->name = text_of(metadata, "name");
	ret->live = json_object_get(metadata, "uid") != NULL;
	if (d->depth > from + 1)
		ret->label = label_of(d, object, from);
}

/* ---- YAML ---- */

static bool holds(const struct yaml_node *node, size_t offset)
{
	return node->start <= offset && offset < node->end;
}

/* The scalar, key or value, that holds the byte. */
static const struct yaml_node *scalar_at(const struct yaml_node *node, size_t offset)
{
	if (node->kind == YAML_SCALAR)
		return holds(node, offset) ? node : NULL;
	for (const struct yaml_node *n = node->first; n; n = n->next) {
		const struct yaml_node *found = n->key ? scalar_at(n->key, offset) : NULL;

		if (!found && n->end > offset)
			found = scalar_at(n, offset);
		if (found)
			return found->parent == n->parent && found == n->key ? n : found;
	}
	return NULL;
}

static char *copy(const struct yaml_node *node)
{
	const char *text = yaml_string(node);

	return text ? alloc_text(text) : NULL;
}

/* `items` of a List, or a list that is the whole piece. */
static bool is_object_list(const struct yaml_node *list)
{
	if (list->kind != YAML_SEQUENCE)
		return false;
	if (!list->parent)
		return true;
	return list->key && !list->parent->parent && slice_is(list->key->value, "items");
}

/* The root, or the item of a list that the node is in. */
static const struct yaml_node *object_of(const struct yaml_node *node)
{
	while (node->parent && !(node->kind == YAML_MAPPING && is_object_list(node->parent)))
		node = node->parent;
	return node;
}

static bool has_structure(const struct yaml *y)
{
	for (size_t i = 0; i < y->count; i++)
		if (y->roots[i] && y->roots[i]->kind != YAML_SCALAR)
			return true;
	return false;
}

static bool is_document(struct slice line)
{
	return slice_starts(line, "---");
}

/* An object of a list, as kubectl writes it: never indented. */
static bool is_item(struct slice line)
{
	return slice_starts(line, "- apiVersion:") || slice_starts(line, "- kind:") ||
	       slice_starts(line, "- metadata:");
}

static struct slice line_from(struct slice text, size_t start)
{
	const char *feed = memchr(text.ptr + start, '\n', text.len - start);

	return (struct slice){text.ptr + start,
			      feed ? (size_t)(feed - text.ptr) + 1 - start : text.len - start};
}

/* Finds the piece that holds the byte, walking on from the one before, and parses it. */
static void open_piece(struct scan_document *d, size_t offset)
{
	auto_error struct error err = {0};
	size_t start = d->piece_end, at = start;
	bool item = false;

	while (at < d->text.len) {
		struct slice line = line_from(d->text, at);
		bool ends_item = item && line.len > 0 && !strchr(" \t\r\n#-", line.ptr[0]);

		if (at > start && (is_document(line) || is_item(line) || ends_item)) {
			if (at > offset)
				break;
			start = at;
			item = false;
		}
		item = item || is_item(line);
		at += line.len;
	}
	d->piece_start = start;
	d->piece_end = at;
	yaml_release(&d->yaml);
	if (at - start > LIMIT_CONFIG_FILE ||
	    yaml_parse(&d->yaml, "piece", (struct slice){d->text.ptr + start, at - start}, &err) <
		    0)
		return;
	if (!has_structure(&d->yaml))
		yaml_release(&d->yaml);
}

/* The path from the object on: "spec.clusterIP", also of an item of a list. */
static char *field_in(const struct yaml_node *object, const struct yaml_node *scalar)
{
	auto_buffer struct buffer whole = {0}, front = {0};
	const char *field;

	yaml_describe(scalar, &whole);
	yaml_describe(object, &front);
	field = buffer_cstr(&whole) + front.len;
	return alloc_text(*field == '.' ? field + 1 : field);
}

static void find_yaml(struct scan_document *d, size_t offset, struct scan_where *ret)
{
	const struct yaml_node *scalar = NULL, *object;

	for (size_t i = 0; i < d->yaml.count && !scalar; i++)
		if (d->yaml.roots[i])
			scalar = scalar_at(d->yaml.roots[i], offset);
	if (!scalar) {
		ret->comment = true;
		return;
	}
	if (scalar->kind == YAML_SCALAR && holds(scalar, offset)) {
		ret->start = scalar->start;
		ret->end = scalar->end;
	}
	object = object_of(scalar);
	ret->field = field_in(object, scalar);
	ret->kind = copy(yaml_get(object, "kind"));
	ret->space = copy(yaml_path(object, "metadata.namespace"));
	ret->name = copy(yaml_path(object, "metadata.name"));
	ret->live = yaml_path(object, "metadata.uid") != NULL;
	if (scalar->parent && scalar->parent != object)
		ret->label = copy(yaml_get(scalar->parent, "name"));
}

/* ---- both ---- */

void scan_document_open(struct scan_document *d, const char *name, struct slice text)
{
	auto_error struct error err = {0};

	scan_document_release(d);
	d->text = text;
	if (is_json(d)) {
		d->syntax = SCAN_JSON;
		return;
	}
	if (text.len > PIECES_FROM) {
		d->syntax = SCAN_YAML;
		d->in_pieces = true;
		return;
	}
	if (yaml_parse(&d->yaml, name, text, &err) < 0)
		return;
	/* a log or a script may well be one long YAML scalar: it has no fields */
	if (has_structure(&d->yaml))
		d->syntax = SCAN_YAML;
	else
		yaml_release(&d->yaml);
}

static void line_of(struct slice text, size_t offset, struct scan_where *ret)
{
	const char *feed = memchr(text.ptr + offset, '\n', text.len - offset);

	ret->end = feed ? (size_t)(feed - text.ptr) : text.len;
	ret->start = offset;
	while (ret->start > 0 && text.ptr[ret->start - 1] != '\n')
		ret->start--;
}

static bool is_comment_line(struct slice line)
{
	line = slice_trim(line);
	return slice_starts(line, "#") || slice_starts(line, "//") || slice_starts(line, ";");
}

void scan_document_find(struct scan_document *d, size_t offset, struct scan_where *ret)
{
	scan_where_release(ret);
	if (d->syntax == SCAN_JSON)
		find_json(d, offset, ret);
	else if (d->in_pieces && offset >= d->piece_end)
		open_piece(d, offset);
	if (d->syntax == SCAN_YAML && d->yaml.count > 0)
		find_yaml(d, offset - d->piece_start, ret);
	ret->start += d->piece_start;
	ret->end += d->piece_start;
	if (ret->field && ret->end > ret->start)
		return;
	line_of(d->text, offset, ret);
	if (d->syntax == SCAN_TEXT || (d->in_pieces && d->yaml.count == 0))
		ret->comment = is_comment_line(
			(struct slice){d->text.ptr + ret->start, ret->end - ret->start});
}
