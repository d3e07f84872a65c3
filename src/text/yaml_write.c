/* SPDX-License-Identifier: MIT */
#include "text/yaml_write.h"

#include <ctype.h>

/* ---- what a plain scalar means ---- */

static bool is_word(struct slice text)
{
	static const char *const words[] = {
		"~",	 "null",  "Null",  "NULL",  "true",  "True",  "TRUE", "false",
		"False", "FALSE", "yes",   "Yes",   "YES",   "no",    "No",   "NO",
		"on",	 "On",	  "ON",	   "off",   "Off",   "OFF",   "y",    "Y",
		"n",	 "N",	  ".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf", ".INF",
		"-.inf", "-.Inf", "-.INF", "+.inf", "+.Inf", "+.INF", "<<",   "=",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_is(text, words[i]))
			return true;
	return text.len == 0;
}

static size_t count_of(struct slice text, const char *set)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] != '\0' && strchr(set, text.ptr[i]) != NULL;
	return n;
}

/* Numbers of YAML 1.1 and what comes near them: 0x1f, 1_000, 1e3, 12:30:45, 2001-12-14. Too wide is
 * fine, it only means quotes; an IPv4 address (three dots) and a CIDR ('/') are not among them. */
static bool is_number(struct slice text)
{
	if (text.len > 1 && (text.ptr[0] == '-' || text.ptr[0] == '+')) {
		text.ptr++;
		text.len--;
	}
	if (text.len == 0 || !(isdigit((unsigned char)text.ptr[0]) || text.ptr[0] == '.'))
		return false;
	if (text.len > 2 && text.ptr[0] == '0' && strchr("xXoObB", text.ptr[1]))
		return count_of(text, "0123456789abcdefABCDEFxXoO_") == text.len;
	if (count_of(text, "0123456789_.eE+-:") == text.len)
		return count_of(text, ".") <= 1;
	/* a time stamp: 2001-12-14T21:59:43Z */
	return text.len >= 8 && text.ptr[4] == '-' &&
	       count_of(text, "0123456789-:.TtZz+ ") == text.len;
}

bool yaml_write_is_string(const struct yaml_node *scalar)
{
	if (scalar->kind != YAML_SCALAR)
		return false;
	if (scalar->style != YAML_PLAIN)
		return true;
	return !is_word(scalar->value) && !is_number(scalar->value);
}

static bool plain_holds(struct slice text, bool flow)
{
	if (text.len == 0 || strchr("?:,[]{}#&*!|>'\"%@` \t", text.ptr[0]))
		return false;
	if (text.ptr[0] == '-' && (text.len == 1 || text.ptr[1] == ' '))
		return false;
	if (slice_starts(text, "---") || slice_starts(text, "..."))
		return text.len > 3 && text.ptr[3] != ' ' && text.ptr[0] == '-';
	if (text.ptr[text.len - 1] == ':' || text.ptr[text.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c < 0x20 || c == 0x7f || (flow && strchr(",[]{}", c)))
			return false;
		if (i > 0 && c == '#' && text.ptr[i - 1] == ' ')
			return false;
		if (c == ':' && text.ptr[i + 1 < text.len ? i + 1 : i] == ' ')
			return false;
	}
	return true;
}

static bool single_holds(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return false;
	return true;
}

static void write_double(struct buffer *out, struct slice text)
{
	buffer_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			buffer_format(out, "\\%c", c);
		else if (c == '\n')
			buffer_text(out, "\\n");
		else if (c == '\t')
			buffer_text(out, "\\t");
		else if (c < 0x20 || c == 0x7f)
			buffer_format(out, "\\u%04x", c);
		else
			buffer_char(out, (char)c);
	}
	buffer_char(out, '"');
}

static void write_single(struct buffer *out, struct slice text)
{
	buffer_char(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'')
			buffer_char(out, '\'');
		buffer_char(out, text.ptr[i]);
	}
	buffer_char(out, '\'');
}

void yaml_write_scalar(struct buffer *out, const char *text, enum yaml_style style, bool typed,
		       bool flow)
{
	struct slice s = slice_of(text);

	if (style == YAML_SINGLE_QUOTED && single_holds(s))
		write_single(out, s);
	else if (style == YAML_PLAIN && plain_holds(s, flow) &&
		 (typed || (!is_word(s) && !is_number(s))))
		buffer_slice(out, s);
	else
		write_double(out, s);
}

/* ---- the style around ---- */

/* Looks for the first list and the first mapping below a key. */
static void find_steps(const struct yaml_node *node, struct yaml_write_style *style,
		       bool *list_seen, bool *mapping_seen)
{
	if (!node || node->style == YAML_FLOW)
		return;
	for (const struct yaml_node *n = node->first; n && !(*list_seen && *mapping_seen);
	     n = n->next) {
		if (n->key && n->style == YAML_BLOCK && n->column >= n->key->column) {
			unsigned int step = n->column - n->key->column;

			if (n->kind == YAML_SEQUENCE && !*list_seen) {
				style->list_step = step;
				*list_seen = true;
			} else if (n->kind == YAML_MAPPING && !*mapping_seen && step > 0) {
				style->step = step;
				*mapping_seen = true;
			}
		}
		find_steps(n, style, list_seen, mapping_seen);
	}
}

static bool quoted(enum yaml_style style)
{
	return style == YAML_SINGLE_QUOTED || style == YAML_DOUBLE_QUOTED;
}

static bool in_flow(const struct yaml_node *node)
{
	for (; node; node = node->parent)
		if (node->style == YAML_FLOW && node->kind != YAML_SCALAR)
			return true;
	return false;
}

/* A value takes its neighbours' quotes: those before it in a list, and in JSON everywhere. */
static void find_quotes(const struct yaml_node *collection, struct yaml_write_style *style)
{
	for (const struct yaml_node *n = collection->first; n; n = n->next) {
		if (n->key && n->key->kind == YAML_SCALAR && quoted(n->key->style))
			style->keys = n->key->style;
		if (n->kind == YAML_SCALAR && quoted(n->style) &&
		    (style->flow || collection->kind == YAML_SEQUENCE))
			style->scalars = n->style;
		else if (n->kind == YAML_SCALAR && n->style == YAML_PLAIN && !n->key)
			style->scalars = YAML_PLAIN;
	}
}

struct yaml_write_style yaml_write_style_at(const struct yaml *y,
					    const struct yaml_node *collection)
{
	struct yaml_write_style style = {
		.step = 2, .keys = YAML_PLAIN, .scalars = YAML_PLAIN, .newline = "\n"};
	struct slice text = yaml_text(y);
	const char *feed = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
	bool list_seen = false, mapping_seen = false;

	if (feed && feed > text.ptr && feed[-1] == '\r')
		style.newline = "\r\n";
	style.flow = in_flow(collection);
	for (size_t i = 0; i < y->count; i++)
		find_steps(y->roots[i], &style, &list_seen, &mapping_seen);
	/* JSON: the outer collection shows the quotes where this one is empty */
	for (const struct yaml_node *n = collection; n; n = n->parent) {
		find_quotes(n, &style);
		if (n->count > 0)
			break;
	}
	if (style.flow && style.keys == YAML_DOUBLE_QUOTED)
		style.scalars = YAML_DOUBLE_QUOTED;
	return style;
}

/* ---- writing ---- */

static void write_key(struct buffer *out, const struct yaml_value *value,
		      struct yaml_write_style style)
{
	yaml_write_scalar(out, value->key, style.keys, false, style.flow);
	buffer_char(out, ':');
}

void yaml_write_flow(struct buffer *out, const struct yaml_value *value,
		     struct yaml_write_style style)
{
	bool mapping = value->kind == YAML_MAPPING;

	style.flow = true;
	if (value->key) {
		write_key(out, value, style);
		buffer_char(out, ' ');
	}
	if (value->kind == YAML_SCALAR) {
		yaml_write_scalar(out, value->text, style.scalars, false, true);
		return;
	}
	buffer_char(out, mapping ? '{' : '[');
	for (size_t i = 0; i < value->count; i++) {
		if (i > 0)
			buffer_text(out, ", ");
		yaml_write_flow(out, &value->items[i], style);
	}
	buffer_char(out, mapping ? '}' : ']');
}

static void write_value(struct buffer *out, const struct yaml_value *value, unsigned int indent,
			struct yaml_write_style style);

static void write_head(struct buffer *out, const struct yaml_value *value,
		       struct yaml_write_style style)
{
	if (value->key)
		write_key(out, value, style);
	else
		buffer_char(out, '-');
}

static void write_entries(struct buffer *out, const struct yaml_value *collection,
			  unsigned int indent, bool first_inline, struct yaml_write_style style)
{
	for (size_t i = 0; i < collection->count; i++) {
		if (i > 0)
			buffer_text(out, style.newline);
		if (i > 0 || !first_inline)
			buffer_format(out, "%*s", (int)indent, "");
		write_head(out, &collection->items[i], style);
		write_value(out, &collection->items[i], indent, style);
	}
}

static void write_value(struct buffer *out, const struct yaml_value *value, unsigned int indent,
			struct yaml_write_style style)
{
	if (value->kind == YAML_SCALAR) {
		buffer_char(out, ' ');
		yaml_write_scalar(out, value->text, style.scalars, false, false);
	} else if (value->count == 0) {
		buffer_text(out, value->kind == YAML_SEQUENCE ? " []" : " {}");
	} else if (!value->key) {
		buffer_char(out, ' ');
		write_entries(out, value, indent + 2, true, style);
	} else {
		buffer_text(out, style.newline);
		yaml_write_children(out, value, indent, style);
	}
}

void yaml_write_entry(struct buffer *out, const struct yaml_value *value, unsigned int indent,
		      struct yaml_write_style style)
{
	buffer_format(out, "%*s", (int)indent, "");
	write_head(out, value, style);
	write_value(out, value, indent, style);
}

void yaml_write_children(struct buffer *out, const struct yaml_value *collection,
			 unsigned int key_indent, struct yaml_write_style style)
{
	unsigned int step = collection->kind == YAML_SEQUENCE ? style.list_step : style.step;

	write_entries(out, collection, key_indent + step, false, style);
}
