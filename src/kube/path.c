/* SPDX-License-Identifier: MIT */
#include "kube/path.h"

#include <string.h>

/* RFC 3986: all but the unreserved characters. Names from other places must not change a path. */
static void kube_path_encode(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c))
			buffer_char(out, (char)c);
		else
			buffer_format(out, "%%%02X", c);
	}
}

static void kube_path_part(struct buffer *out, const char *text)
{
	buffer_char(out, '/');
	/* "." and ".." would be taken out of the path by clients and proxies on the way */
	if (strcmp(text, ".") == 0)
		buffer_text(out, "%2E");
	else if (strcmp(text, "..") == 0)
		buffer_text(out, "%2E%2E");
	else
		kube_path_encode(out, text);
}

char *kube_path(const struct kube_target *target)
{
	auto_buffer struct buffer out = {0};

	buffer_text(&out, target->group && *target->group ? "/apis" : "/api");
	if (target->group && *target->group)
		kube_path_part(&out, target->group);
	kube_path_part(&out, target->version);
	if (target->space) {
		buffer_text(&out, "/namespaces");
		kube_path_part(&out, target->space);
	}
	kube_path_part(&out, target->plural);
	if (target->name)
		kube_path_part(&out, target->name);
	if (target->name && target->subresource)
		kube_path_part(&out, target->subresource);
	return buffer_detach(&out);
}

bool kube_path_is_name(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 253 ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") != len || strstr(text, ".."))
		return false;
	return text[0] != '-' && text[0] != '.' && text[len - 1] != '-' && text[len - 1] != '.';
}

char *kube_path_label(const struct kube_target *target)
{
	auto_buffer struct buffer out = {0};

	buffer_text(&out, target->plural);
	if (target->subresource)
		buffer_format(&out, "/%s", target->subresource);
	if (target->space && target->name)
		buffer_format(&out, " '%s/%s'", target->space, target->name);
	else if (target->name)
		buffer_format(&out, " '%s'", target->name);
	else if (target->space)
		buffer_format(&out, " of namespace '%s'", target->space);
	return buffer_detach(&out);
}

void kube_path_query(struct buffer *path, const char *name, const char *value)
{
	buffer_char(path, strchr(buffer_cstr(path), '?') ? '&' : '?');
	kube_path_encode(path, name);
	buffer_char(path, '=');
	kube_path_encode(path, value);
}
