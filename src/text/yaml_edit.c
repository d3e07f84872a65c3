/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/alloc.h"
#include "text/yaml.h"
#include "text/yaml_write.h"

/*
 * Edits. Each is one or two splices of the text, made at the positions of the tree; then the new
 * text is parsed and its tree compared with the old one, value by value, where only the edit may
 * differ. The comparison is the safety net for every style that the splices do not know.
 */

enum edit_kind { EDIT_SET, EDIT_ADD, EDIT_FILL, EDIT_REMOVE };

struct splice {
	size_t start;
	size_t end;
	struct buffer text;
};

struct edit {
	struct yaml *y;
	enum edit_kind kind;
	const struct yaml_node *target;
	const struct yaml_value *value; /* of EDIT_ADD and EDIT_FILL */
	const char *text;		/* of EDIT_SET */
	struct splice splices[2];	/* in order */
	size_t count;
};

static void edit_release(struct edit *e)
{
	for (size_t i = 0; i < 2; i++)
		buffer_release(&e->splices[i].text);
}

#define auto_edit __attribute__((cleanup(edit_release)))

static int fail(const struct yaml *y, const struct yaml_node *node, struct error *err,
		const char *what)
{
	auto_buffer struct buffer path = {0};

	yaml_describe(node, &path);
	return error_set(err, ERROR_PARSE, "%s:%u:%u: '%s' %s", y->file, node->line, node->column,
			 buffer_cstr(&path), what);
}

/* ---- did exactly the intended value change? ---- */

/* Whether a node of the new text is the value that was to be written. */
static bool matches_value(const struct yaml_node *node, const struct yaml_value *value)
{
	const struct yaml_node *child;

	if (node->kind != value->kind || node->tag.len > 0)
		return false;
	if (value->kind == YAML_SCALAR)
		return slice_is(node->value, value->text) && yaml_write_is_string(node);
	if (node->count != value->count)
		return false;
	child = node->first;
	for (size_t i = 0; i < value->count; i++, child = child->next) {
		if (value->kind == YAML_MAPPING &&
		    !slice_is(child->key->value, value->items[i].key))
			return false;
		if (!matches_value(child, &value->items[i]))
			return false;
	}
	return true;
}

static bool same_node(const struct edit *e, const struct yaml_node *old,
		      const struct yaml_node *new);

static bool same_children(const struct edit *e, const struct yaml_node *old,
			  const struct yaml_node *new)
{
	const struct yaml_node *a = old->first, *b = new->first;

	for (; a; a = a->next) {
		if (e->kind == EDIT_REMOVE && a == e->target)
			continue;
		if (!b || !same_node(e, a, b))
			return false;
		b = b->next;
	}
	if (e->kind == EDIT_ADD && old == e->target) {
		if (!b || !matches_value(b, e->value) ||
		    (b->key && !slice_is(b->key->value, e->value->key)))
			return false;
		b = b->next;
	}
	return !b;
}

static bool same_target(const struct edit *e, const struct yaml_node *old,
			const struct yaml_node *new)
{
	if (!slice_equal(old->anchor, new->anchor) || !slice_equal(old->tag, new->tag))
		return false;
	if (e->kind == EDIT_FILL)
		return matches_value(new, e->value);
	return new->kind == YAML_SCALAR &&slice_is(new->value, e->text) &&
	       (yaml_write_is_string(new) || !yaml_write_is_string(old));
}

static bool same_node(const struct edit *e, const struct yaml_node *old,
		      const struct yaml_node *new)
{
	bool restyled = (e->kind == EDIT_REMOVE && old == e->target->parent) ||
			(e->kind == EDIT_ADD && old == e->target);

	if (!old || !new)
		return old == new;
	if (!old->key != !new->key || (old->key && !same_node(e, old->key, new->key)))
		return false;
	if (old == e->target && (e->kind == EDIT_SET || e->kind == EDIT_FILL))
		return same_target(e, old, new);
	return old->kind == new->kind && (restyled || old->style == new->style) &&
	       slice_equal(old->value, new->value) && slice_equal(old->anchor, new->anchor) &&
	       slice_equal(old->tag, new->tag) && same_children(e, old, new);
}

static bool as_intended(const struct edit *e, const struct yaml *new)
{
	if (e->y->count != new->count)
		return false;
	for (size_t i = 0; i < new->count; i++)
		if (!same_node(e, e->y->roots[i], new->roots[i]))
			return false;
	return true;
}

/* Odd texts ("a: : ") may lead to positions that are out of order: no edit then. */
static bool in_order(const struct edit *e)
{
	size_t at = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (e->splices[i].start < at || e->splices[i].end < e->splices[i].start)
			return false;
		at = e->splices[i].end;
	}
	return at <= e->y->text.len;
}

/* Makes the splices, checks, and takes the new text over. */
static int commit(struct edit *e, struct error *err)
{
	auto_yaml struct yaml new = {0};
	auto_buffer struct buffer text = {0};
	auto_error struct error parse_error = {0};
	struct slice old = yaml_text(e->y);
	size_t at = 0;

	if (!in_order(e))
		return fail(e->y, e->target, err, "stands where it cannot be edited");
	for (size_t i = 0; i < e->count; i++) {
		buffer_append(&text, old.ptr + at, e->splices[i].start - at);
		buffer_slice(&text, buffer_as_slice(&e->splices[i].text));
		at = e->splices[i].end;
	}
	buffer_append(&text, old.ptr + at, old.len - at);
	if (yaml_parse(&new, e->y->file, buffer_as_slice(&text), &parse_error) < 0 ||
	    !as_intended(e, &new))
		return fail(e->y, e->target, err,
			    "cannot be edited here without changing something else");
	yaml_release(e->y);
	*e->y = new;
	new = (struct yaml){0};
	return 0;
}

static struct buffer *splice(struct edit *e, size_t start, size_t end)
{
	struct splice *s = &e->splices[e->count++];

	s->start = start;
	s->end = end;
	return &s->text;
}

/* ---- anchors: a value that is used elsewhere by an alias is not edited ---- */

static bool has_alias(const struct yaml_node *node, struct slice anchor)
{
	if (!node)
		return false;
	if (node->kind == YAML_ALIAS)
		return slice_equal(node->value, anchor);
	for (const struct yaml_node *n = node->first; n; n = n->next)
		if (has_alias(n, anchor) || has_alias(n->key, anchor))
			return true;
	return false;
}

static bool holds_used_anchor(const struct yaml_node *root, const struct yaml_node *node)
{
	if (node->anchor.len > 0 && has_alias(root, node->anchor))
		return true;
	for (const struct yaml_node *n = node->first; n; n = n->next)
		if (holds_used_anchor(root, n) || (n->key && holds_used_anchor(root, n->key)))
			return true;
	return false;
}

static int refuse_shared(const struct edit *e, struct error *err)
{
	const struct yaml_node *root = e->target;
	bool shared = false;

	while (root->parent)
		root = root->parent;
	for (const struct yaml_node *n = e->target; n && !shared; n = n->parent)
		shared = n->anchor.len > 0 && has_alias(root, n->anchor);
	if (e->kind == EDIT_REMOVE && !shared)
		shared = holds_used_anchor(root, e->target) ||
			 (e->target->key && holds_used_anchor(root, e->target->key));
	if (shared)
		return fail(e->y, e->target, err, "has an anchor that an alias elsewhere uses");
	return 0;
}

/* ---- positions ---- */

static size_t line_begin(struct slice text, size_t at)
{
	while (at > 0 && text.ptr[at - 1] != '\n')
		at--;
	return at;
}

/* Behind the line feed of the line in which something ends here. A block scalar ends behind its
 * own last line feed. */
static size_t line_end(struct slice text, size_t at)
{
	const char *feed;

	if (at > 0 && text.ptr[at - 1] == '\n')
		return at;
	feed = memchr(text.ptr + at, '\n', text.len - at);
	return feed ? (size_t)(feed - text.ptr) + 1 : text.len;
}

/* The next byte that is neither white space nor in a comment. */
static size_t skip_gap(struct slice text, size_t at)
{
	while (at < text.len) {
		if (text.ptr[at] == '#') {
			at = line_end(text, at + 1);
		} else if (strchr(" \t\r\n", text.ptr[at])) {
			at++;
		} else {
			break;
		}
	}
	return at;
}

static const struct yaml_node *previous(const struct yaml_node *node)
{
	const struct yaml_node *n = node->parent->first;

	if (n == node)
		return NULL;
	while (n->next != node)
		n = n->next;
	return n;
}

/* Where an item's '-' or an entry's key begins. */
static size_t entry_start(const struct yaml *y, const struct yaml_node *node)
{
	const struct yaml_node *before = previous(node);

	if (before)
		return skip_gap(yaml_text(y), before->end);
	return node->parent->start;
}

static bool blank(struct slice text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (text.ptr[i] != ' ' && text.ptr[i] != '\t')
			return false;
	return true;
}

/* ---- set ---- */

int yaml_set(struct yaml *y, const struct yaml_node *scalar, const char *text, struct error *err)
{
	auto_edit struct edit e = {.y = y, .kind = EDIT_SET, .target = scalar, .text = text};
	struct yaml_write_style style;
	struct buffer *out;

	if (scalar->kind != YAML_SCALAR)
		return fail(y, scalar, err, "is not a plain value");
	if (scalar->style == YAML_LITERAL || scalar->style == YAML_FOLDED)
		return fail(y, scalar, err, "is a block of text and cannot be edited");
	if (slice_is(scalar->value, text) && !yaml_is_null(scalar))
		return 0;
	if (refuse_shared(&e, err) < 0)
		return -1;
	style = yaml_write_style_at(y, scalar->parent);
	out = splice(&e, scalar->start, scalar->end);
	if (scalar->start == scalar->end)
		buffer_char(out, ' ');
	yaml_write_scalar(out, text, scalar->style,
			  !yaml_write_is_string(scalar) && !yaml_is_null(scalar), style.flow);
	return commit(&e, err);
}

/* ---- add ---- */

/* What stands between two items, or between the bracket and the first, so that the new one stands
 * as they do: on a line of its own, or behind a blank. */
static void flow_separator(const struct yaml *y, const struct yaml_node *collection,
			   struct buffer *ret)
{
	struct slice text = yaml_text(y), gap;
	const struct yaml_node *last = collection->last, *before = previous(last);
	size_t from = before ? before->end : collection->start + 1;
	size_t to = last->key ? last->key->start : last->start;

	gap = (struct slice){text.ptr + from, to > from ? to - from : 0};
	buffer_char(ret, ',');
	if (gap.len > 0 && gap.ptr[0] == ',') {
		gap.ptr++;
		gap.len--;
	}
	if (gap.len > 0 && memchr(gap.ptr, '\n', gap.len) &&
	    blank(gap, 0, strspn(gap.ptr, " \t")) && skip_gap(gap, 0) == gap.len &&
	    !memchr(gap.ptr, '#', gap.len))
		buffer_slice(ret, gap);
	else if (before ? gap.len > 0 : true)
		buffer_char(ret, ' ');
}

static int add_to_flow(struct edit *e, struct error *err)
{
	const struct yaml_node *last = e->target->last;
	struct buffer *out = splice(e, last->end, last->end);

	flow_separator(e->y, e->target, out);
	yaml_write_flow(out, e->value, yaml_write_style_at(e->y, e->target));
	return commit(e, err);
}

static int add_to_block(struct edit *e, struct error *err)
{
	struct slice text = yaml_text(e->y);
	size_t at = line_end(text, e->target->end);
	bool unfinished = at == 0 || text.ptr[at - 1] != '\n';
	struct yaml_write_style style = yaml_write_style_at(e->y, e->target);
	struct buffer *out = splice(e, at, at);

	if (unfinished)
		buffer_text(out, style.newline);
	yaml_write_entry(out, e->value, e->target->column - 1, style);
	if (!unfinished)
		buffer_text(out, style.newline);
	return commit(e, err);
}

int yaml_add(struct yaml *y, const struct yaml_node *collection, const struct yaml_value *value,
	     struct error *err)
{
	auto_edit struct edit e = {.y = y, .kind = EDIT_ADD, .target = collection, .value = value};

	if (collection->kind != YAML_SEQUENCE && collection->kind != YAML_MAPPING)
		return fail(y, collection, err, "is neither a list nor a mapping");
	if (collection->kind == YAML_MAPPING && yaml_get(collection, value->key))
		return error_set(err, ERROR_CONFLICT, "%s: key '%s' exists already", y->file,
				 value->key);
	if (collection->count == 0) {
		struct yaml_value whole = {.kind = collection->kind, .items = value, .count = 1};

		return yaml_fill(y, collection, &whole, err);
	}
	if (refuse_shared(&e, err) < 0)
		return -1;
	if (collection->style == YAML_FLOW)
		return add_to_flow(&e, err);
	return add_to_block(&e, err);
}

/* ---- fill ---- */

int yaml_fill(struct yaml *y, const struct yaml_node *empty, const struct yaml_value *value,
	      struct error *err)
{
	auto_edit struct edit e = {.y = y, .kind = EDIT_FILL, .target = empty, .value = value};
	struct slice text = yaml_text(y);
	struct yaml_write_style style = yaml_write_style_at(y, empty->parent);
	struct yaml_value bare = *value;
	bool block = value->kind != YAML_SCALAR && value->count > 0 && empty->key && !style.flow;
	size_t start = empty->start, end;
	struct buffer *out;

	if (!yaml_is_null(empty) && !(empty->kind != YAML_SCALAR && empty->count == 0))
		return fail(y, empty, err, "is not empty");
	if (refuse_shared(&e, err) < 0)
		return -1;
	bare.key = NULL;
	if (!block) {
		out = splice(&e, empty->start, empty->end);
		if (empty->start == empty->end)
			buffer_char(out, ' ');
		yaml_write_flow(out, &bare, style);
		return commit(&e, err);
	}
	while (start > 0 && blank(text, start - 1, start))
		start--;
	splice(&e, start, empty->end);
	end = line_end(text, empty->end);
	out = splice(&e, end, end);
	if (end == 0 || text.ptr[end - 1] != '\n')
		buffer_text(out, style.newline);
	yaml_write_children(out, &bare, empty->key->column - 1, style);
	if (end > 0 && text.ptr[end - 1] == '\n')
		buffer_text(out, style.newline);
	return commit(&e, err);
}

/* ---- remove ---- */

static int remove_from_flow(struct edit *e, struct error *err)
{
	const struct yaml_node *item = e->target, *before = previous(item), *next = item->next;
	struct slice text = yaml_text(e->y);
	size_t start =
		before ? skip_gap(text, before->end) : skip_gap(text, item->parent->start + 1);

	/* `start` is at the comma before the item, or at the first item itself */
	if (next) {
		size_t comma = skip_gap(text, item->end);

		if (before)
			start = skip_gap(text, start + 1);
		splice(e, start, comma < text.len ? skip_gap(text, comma + 1) : comma);
	} else {
		splice(e, start, item->end);
	}
	return commit(e, err);
}

/* The last one goes: an empty collection cannot be written in block style. */
static int remove_only(struct edit *e, struct error *err)
{
	const struct yaml_node *collection = e->target->parent;
	const char *empty = collection->kind == YAML_SEQUENCE ? "[]" : "{}";
	struct slice text = yaml_text(e->y);
	size_t colon;

	if (!collection->key || collection->parent->style == YAML_FLOW) {
		buffer_text(splice(e, collection->start, collection->end), empty);
		return commit(e, err);
	}
	if (collection->anchor.len > 0 || collection->tag.len > 0)
		return fail(e->y, e->target, err,
			    "is the last of a collection with a tag or anchor");
	colon = skip_gap(text, collection->key->end);
	if (colon >= text.len || text.ptr[colon] != ':')
		return fail(e->y, e->target, err, "stands behind a key that cannot be edited");
	buffer_format(splice(e, colon + 1, colon + 1), " %s", empty);
	splice(e, line_begin(text, collection->start), line_end(text, collection->end));
	return commit(e, err);
}

static int remove_from_block(struct edit *e, struct error *err)
{
	const struct yaml_node *item = e->target;
	struct slice text = yaml_text(e->y);
	size_t start = entry_start(e->y, item), line = line_begin(text, start);

	if (blank(text, line, start))
		splice(e, line, line_end(text, item->end));
	else if (item->next)
		splice(e, start, entry_start(e->y, item->next));
	else
		return fail(e->y, item, err, "cannot be removed: other text is on its line");
	return commit(e, err);
}

int yaml_remove(struct yaml *y, const struct yaml_node *item, struct error *err)
{
	auto_edit struct edit e = {.y = y, .kind = EDIT_REMOVE, .target = item};

	if (!item->parent)
		return fail(y, item, err, "is a whole document");
	if (refuse_shared(&e, err) < 0)
		return -1;
	if (item->parent->style == YAML_FLOW)
		return remove_from_flow(&e, err);
	if (item->parent->count == 1)
		return remove_only(&e, err);
	return remove_from_block(&e, err);
}
