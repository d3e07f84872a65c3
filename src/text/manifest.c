/* SPDX-License-Identifier: MIT */
#include "text/manifest.h"

#include <stdlib.h>

#include "base/alloc.h"

/*
 * The words of a container are its command and its args, in this order:
 *
 *	command: [/go-runner, --log-file=x, /usr/local/bin/kube-apiserver]
 *	args: [--advertise-address=10.0.0.1, --service-cluster-ip-range, 10.96.0.0/12]
 *
 * Flags are what begins with a dash behind the word that names the program. "_" counts as "-" in a
 * name, as in the components themselves (WordSepNormalizeFunc).
 */

struct words {
	const struct yaml_node **items; /* owned */
	size_t count;
	size_t capacity;
	size_t first; /* behind the program's name */
	const struct yaml_node *container;
};

static void words_release(struct words *w)
{
	free(w->items);
}

#define auto_words __attribute__((cleanup(words_release)))

struct word_flag {
	const struct yaml_node *item;
	const struct yaml_node *value_item; /* of "--flag", "value"; else NULL */
	struct slice name;
	struct slice value; /* ptr NULL: none */
};

static void collect(struct words *w, const struct yaml_node *list)
{
	if (!list || list->kind != YAML_SEQUENCE)
		return;
	for (const struct yaml_node *n = list->first; n; n = n->next) {
		ALLOC_GROW(w->items, w->count, w->capacity);
		w->items[w->count++] = n;
	}
}

static struct slice base_name(struct slice path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return (struct slice){path.ptr + i, path.len - i};
	return path;
}

/* "exec /usr/local/bin/kube-apiserver --a=b >>/var/log/x": a command line in one word. */
static bool is_shell_line(struct slice word, const char *program)
{
	struct slice rest = word, part;

	if (!word.ptr || !(memchr(word.ptr, ' ', word.len) || memchr(word.ptr, '\n', word.len)))
		return false;
	while (slice_next(&rest, ' ', &part))
		if (slice_is(base_name(slice_trim(part)), program))
			return true;
	return false;
}

enum container_match { CONTAINER_OTHER, CONTAINER_OURS, CONTAINER_SHELL };

static enum container_match match(struct words *w, const struct yaml_node *container,
				  const char *program)
{
	const char *name = yaml_string(yaml_get(container, "name"));

	w->count = 0;
	w->container = container;
	collect(w, yaml_get(container, "command"));
	w->first = w->count > 0 ? 1 : 0;
	collect(w, yaml_get(container, "args"));
	for (size_t i = 0; i < w->count; i++) {
		struct slice word = w->items[i]->value;

		if (w->items[i]->kind != YAML_SCALAR)
			continue;
		if (slice_is(base_name(word), program)) {
			w->first = i + 1;
			return CONTAINER_OURS;
		}
		if (is_shell_line(word, program))
			return CONTAINER_SHELL;
	}
	return name && strcmp(name, program) == 0 ? CONTAINER_OURS : CONTAINER_OTHER;
}

static int find_words(struct words *ret, const struct yaml *y, const char *program,
		      struct error *err)
{
	const struct yaml_node *list = yaml_path(yaml_root(y), "spec.containers");

	for (size_t i = 0; yaml_item(list, i); i++) {
		const struct yaml_node *container = yaml_item(list, i);

		switch (match(ret, container, program)) {
		case CONTAINER_OURS:
			return 0;
		case CONTAINER_SHELL:
			return error_set(err, ERROR_PARSE,
					 "%s:%u:%u: '%s' is started through a shell: its flags "
					 "cannot be read or edited",
					 y->file, container->line, container->column, program);
		case CONTAINER_OTHER:
			break;
		}
	}
	return error_set(err, ERROR_NOT_FOUND, "%s: no container runs '%s'", y->file, program);
}

static struct slice without_dashes(struct slice word)
{
	for (int i = 0; i < 2 && word.len > 0 && word.ptr[0] == '-'; i++) {
		word.ptr++;
		word.len--;
	}
	return word;
}

static bool is_flag(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->value.len > 1 && node->value.ptr[0] == '-' &&
	       !slice_is(node->value, "--");
}

/* The flag at *index or behind; moves *index on. */
static bool next_flag(const struct words *w, size_t *index, struct word_flag *ret)
{
	struct slice word;
	const char *equals;

	while (*index < w->count && !is_flag(w->items[*index]))
		(*index)++;
	if (*index >= w->count)
		return false;
	*ret = (struct word_flag){.item = w->items[(*index)++]};
	word = without_dashes(ret->item->value);
	equals = memchr(word.ptr, '=', word.len);
	if (equals) {
		ret->name = (struct slice){word.ptr, (size_t)(equals - word.ptr)};
		ret->value = (struct slice){equals + 1, word.len - ret->name.len - 1};
		return true;
	}
	ret->name = word;
	if (*index < w->count && w->items[*index]->kind == YAML_SCALAR &&
	    !is_flag(w->items[*index])) {
		ret->value_item = w->items[(*index)++];
		ret->value = ret->value_item->value;
	}
	return true;
}

static bool same_name(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	if (!a.ptr || !b.ptr)
		return a.len == 0;
	for (size_t i = 0; i < a.len; i++)
		if ((a.ptr[i] == '_' ? '-' : a.ptr[i]) != (b.ptr[i] == '_' ? '-' : b.ptr[i]))
			return false;
	return true;
}

/* ---- reading ---- */

void manifest_flags_release(struct manifest_flags *flags)
{
	for (size_t i = 0; i < flags->count; i++) {
		free(flags->items[i].name);
		free(flags->items[i].value);
	}
	free(flags->items);
	*flags = (struct manifest_flags){0};
}

int manifest_flags_read(struct manifest_flags *ret, const char *file, struct slice text,
			const char *program, struct error *err)
{
	auto_yaml struct yaml y = {0};
	auto_words struct words w = {0};
	struct manifest_flags flags = {0};
	struct word_flag f;

	if (yaml_parse(&y, file, text, err) < 0 || find_words(&w, &y, program, err) < 0)
		return -1;
	for (size_t i = w.first; next_flag(&w, &i, &f);) {
		struct manifest_flag flag = {.name = slice_dup(f.name), .line = f.item->line};

		for (char *c = flag.name; *c; c++)
			*c = *c == '_' ? '-' : *c;
		flag.value = f.value.ptr ? slice_dup(f.value) : NULL;
		ALLOC_GROW(flags.items, flags.count, flags.capacity);
		flags.items[flags.count++] = flag;
	}
	manifest_flags_release(ret);
	*ret = flags;
	return 0;
}

static const struct manifest_flag *find(const struct manifest_flags *flags, const char *name)
{
	for (size_t i = flags->count; i > 0; i--)
		if (same_name(slice_of(flags->items[i - 1].name), slice_of(name)))
			return &flags->items[i - 1];
	return NULL;
}

const char *manifest_flags_get(const struct manifest_flags *flags, const char *name)
{
	const struct manifest_flag *flag = find(flags, name);

	if (!flag)
		return NULL;
	return flag->value ? flag->value : "";
}

bool manifest_flags_has(const struct manifest_flags *flags, const char *name)
{
	return find(flags, name) != NULL;
}

int manifest_flag_get(const char *file, struct slice text, const char *program, const char *flag,
		      char **ret_value, struct error *err)
{
	auto_manifest_flags struct manifest_flags flags = {0};
	const char *value;

	if (manifest_flags_read(&flags, file, text, program, err) < 0)
		return -1;
	value = manifest_flags_get(&flags, flag);
	*ret_value = value ? alloc_text(value) : NULL;
	return 0;
}

/* ---- editing ---- */

static int set_one(struct yaml *y, const struct word_flag *f, const char *value, struct error *err)
{
	struct slice word = f->item->value;
	auto_buffer struct buffer text = {0};

	if (f->value_item)
		return yaml_set(y, f->value_item, value, err);
	buffer_append(&text, word.ptr, (size_t)(f->name.ptr + f->name.len - word.ptr));
	buffer_format(&text, "=%s", value);
	return yaml_set(y, f->item, buffer_cstr(&text), err);
}

/* Behind the last flag, or at the end of args, or of command. */
static int add_flag(struct yaml *y, const struct words *w, const char *flag, const char *value,
		    struct error *err)
{
	auto_free char *text = alloc_format("--%s=%s", flag, value);
	struct yaml_value item = {.kind = YAML_SCALAR, .text = text};
	const struct yaml_node *list = yaml_get(w->container, "args");
	struct word_flag f;

	if (!list || list->kind != YAML_SEQUENCE)
		list = yaml_get(w->container, "command");
	for (size_t i = w->first; next_flag(w, &i, &f);)
		list = f.item->parent;
	if (!list || list->kind != YAML_SEQUENCE)
		return error_set(
			err, ERROR_PARSE,
			"%s:%u:%u: container has neither command nor args to add '--%s' to",
			y->file, w->container->line, w->container->column, flag);
	return yaml_add(y, list, &item, err);
}

/* One edit; *ret_more tells whether to look again, because edits move the nodes. */
static int set_step(struct yaml *y, const char *program, const char *flag, const char *value,
		    bool *ret_more, struct error *err)
{
	auto_words struct words w = {0};
	struct word_flag f;
	bool seen = false;

	*ret_more = false;
	if (find_words(&w, y, program, err) < 0)
		return -1;
	for (size_t i = w.first; next_flag(&w, &i, &f);) {
		if (!same_name(f.name, slice_of(flag)))
			continue;
		seen = true;
		if (f.value.ptr && slice_is(f.value, value))
			continue;
		*ret_more = true;
		return set_one(y, &f, value, err);
	}
	return seen ? 0 : add_flag(y, &w, flag, value, err);
}

int manifest_flag_set(const char *file, struct slice text, const char *program, const char *flag,
		      const char *value, struct buffer *ret, struct error *err)
{
	auto_yaml struct yaml y = {0};
	bool more = true;

	if (yaml_parse(&y, file, text, err) < 0)
		return -1;
	while (more)
		if (set_step(&y, program, flag, value, &more, err) < 0)
			return -1;
	buffer_slice(ret, yaml_text(&y));
	return 0;
}

static int remove_step(struct yaml *y, const char *program, const char *flag, bool *ret_more,
		       struct error *err)
{
	auto_words struct words w = {0};
	struct word_flag f;

	*ret_more = false;
	if (find_words(&w, y, program, err) < 0)
		return -1;
	for (size_t i = w.first; next_flag(&w, &i, &f);) {
		if (!same_name(f.name, slice_of(flag)))
			continue;
		*ret_more = true;
		/* the value first: without it the flag is found again as a switch */
		return yaml_remove(y, f.value_item ? f.value_item : f.item, err);
	}
	return 0;
}

int manifest_flag_remove(const char *file, struct slice text, const char *program, const char *flag,
			 struct buffer *ret, struct error *err)
{
	auto_yaml struct yaml y = {0};
	bool more = true;

	if (yaml_parse(&y, file, text, err) < 0)
		return -1;
	while (more)
		if (remove_step(&y, program, flag, &more, err) < 0)
			return -1;
	buffer_slice(ret, yaml_text(&y));
	return 0;
}
