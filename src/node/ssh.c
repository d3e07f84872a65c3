/* SPDX-License-Identifier: MIT */
#include "node/ssh.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/process.h"
#include "net/address.h"

#define SSH_CONFIGURATION_MS 5000

void ssh_words_add(struct ssh_words *words, const char *text)
{
	ALLOC_GROW(words->items, words->count, words->capacity);
	words->items[words->count++] = alloc_text(text);
	ALLOC_GROW(words->items, words->count, words->capacity);
	words->items[words->count] = NULL;
}

void ssh_words_release(struct ssh_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->items[i]);
	free(words->items);
	*words = (struct ssh_words){0};
}

int ssh_split(const char *text, struct ssh_words *ret, struct error *err)
{
	auto_ssh_words struct ssh_words words = {0};
	auto_buffer struct buffer word = {0};
	bool in_word = false;
	char quote = '\0';

	for (const char *c = text; *c; c++) {
		bool blank = *c == ' ' || *c == '\t';

		if (quote ? *c == quote : *c == '\'' || *c == '"') {
			quote = quote ? '\0' : *c;
			in_word = true;
		} else if (!quote && blank && in_word) {
			ssh_words_add(&words, buffer_cstr(&word));
			buffer_clear(&word);
			in_word = false;
		} else if (quote || !blank) {
			if (*c == '\\' && quote != '\'' && c[1])
				c++;
			buffer_char(&word, *c);
			in_word = true;
		}
	}
	if (quote)
		return error_set(err, ERROR_USAGE, "ssh command '%s': a quote is not closed", text);
	if (in_word)
		ssh_words_add(&words, buffer_cstr(&word));
	if (words.count == 0)
		return error_set(err, ERROR_USAGE, "the ssh command is empty");
	*ret = words;
	words = (struct ssh_words){0};
	return 0;
}

/* A destination that begins with '-' would be an option to ssh; and ssh gives it, as %h, to the shell
 * of ProxyCommand and "Match exec" in the user's configuration. */
bool ssh_is_host(struct slice host)
{
	static const char signs[] = "._-:@[]%/+";

	if (host.len == 0 || host.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (!c || !strchr(signs, c)))
			return false;
	}
	return true;
}

static bool ssh_is_address(const char *text)
{
	struct net_address address;

	return net_address_read(slice_of(text), &address);
}

int ssh_map_parse(struct slice text, const char *name, struct ssh_map *ret, struct error *err)
{
	__attribute__((cleanup(ssh_map_release))) struct ssh_map map = {0};
	struct slice line;

	for (size_t number = 1; slice_next(&text, '\n', &line); number++) {
		auto_free char *node_text = NULL;
		auto_free char *host_text = NULL;
		struct slice node;

		line = slice_trim(line);
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		slice_next(&line, '=', &node);
		node = slice_trim(node);
		line = slice_trim(line);
		if (node.len == 0 || !ssh_is_host(line))
			return error_set(err, ERROR_PARSE, "%s:%zu:1: not of the form node=host",
					 name, number);
		node_text = slice_dup(node);
		host_text = slice_dup(line);
		if (ssh_map_find(&map, node_text))
			return error_set(err, ERROR_PARSE, "%s:%zu:1: node '%s' is named twice",
					 name, number, node_text);
		ssh_words_add(&map.nodes, node_text);
		ssh_words_add(&map.hosts, host_text);
	}
	*ret = map;
	map = (struct ssh_map){0};
	return 0;
}

const char *ssh_map_find(const struct ssh_map *map, const char *node)
{
	for (size_t i = 0; i < map->nodes.count; i++)
		if (strcmp(map->nodes.items[i], node) == 0)
			return map->hosts.items[i];
	return NULL;
}

void ssh_map_release(struct ssh_map *map)
{
	ssh_words_release(&map->nodes);
	ssh_words_release(&map->hosts);
}

/*
 * What the remote side runs. One line without '…' and '!', so that every login shell hands it to sh as
 * it is. The agent goes to a folder that only root can enter, on a file system from which programs may
 * be started; it removes both as soon as it runs.
 */
static char *ssh_script(size_t size, const char *machine)
{
	return alloc_format(
		"umask 077; m=$(uname -m); "
		"[ \"$m\" = %s ] || { echo \"renumber: machine $m\" >&2; exit 70; }; "
		"[ \"$(id -u)\" = 0 ] || { echo \"renumber: user $(id -un)\" >&2; exit 70; }; "
		"t=; for d in /run /var/lib /var/tmp /tmp; do "
		"t=$(mktemp -d $d/renumber-agent.XXXXXXXX 2>/dev/null) || { t=; continue; }; "
		"printf \"#%%s/bin/sh\\nexit 0\\n\" \"$(printf \"\\041\")\" >$t/try 2>/dev/null && "
		"chmod 700 $t/try && $t/try 2>/dev/null && break; "
		"rm -rf $t; t=; done; "
		"[ -n \"$t\" ] || { echo \"renumber: nowhere\" >&2; exit 70; }; rm -f $t/try; "
		"trap \"rm -rf $t; exit 70\" HUP INT TERM; "
		"head -c %zu >$t/renumber-agent && "
		"[ $(wc -c <$t/renumber-agent) -eq %zu ] && chmod 700 $t/renumber-agent && "
		"exec $t/renumber-agent --unlink; "
		"rm -rf $t; echo \"renumber: copy\" >&2; exit 70",
		machine, size, size);
}

/* True when the user's configuration has an address for the host: "ssh -G" then gives another
 * hostname than the one asked for. */
static bool ssh_is_configured(const struct ssh_words *command, const char *host)
{
	auto_ssh_words struct ssh_words words = {0};
	auto_buffer struct buffer output = {0};
	auto_buffer struct buffer errors = {0};
	auto_error struct error ignored = {0};
	struct slice rest;
	struct slice line;
	int status;

	for (size_t i = 0; i < command->count; i++)
		ssh_words_add(&words, command->items[i]);
	ssh_words_add(&words, "-G");
	ssh_words_add(&words, "--");
	ssh_words_add(&words, host);
	if (process_run((const char *const *)words.items, NULL, (struct slice){0},
			SSH_CONFIGURATION_MS, &output, &errors, &status, &ignored) < 0 ||
	    status != 0)
		return false;
	rest = buffer_as_slice(&output);
	while (slice_next(&rest, '\n', &line)) {
		struct slice name;

		if (!slice_starts(line, "hostname ") || !slice_next(&line, ' ', &name))
			continue;
		line = slice_trim(line);
		return line.len != strlen(host) || strncasecmp(line.ptr, host, line.len) != 0;
	}
	return false;
}

void ssh_arguments(const struct ssh_target *target, size_t size, const char *machine,
		   struct ssh_words *ret)
{
	static const char *const options[] = {
		"BatchMode=yes",   "ServerAliveInterval=15", "ServerAliveCountMax=4",
		"ForwardAgent=no", "ForwardX11=no",	     "ClearAllForwardings=yes",
		"EscapeChar=none", "StdinNull=no",
	};
	auto_free char *script = ssh_script(size, machine);
	auto_free char *remote = alloc_format("exec %ssh -c '%s'",
					      target->sudo ? "env LC_ALL=C sudo -n " : "", script);
	auto_free char *timeout =
		alloc_format("ConnectTimeout=%lld", (long long)(target->connect_ms + 999) / 1000);
	const char *host = target->host ? target->host : target->node;

	for (size_t i = 0; i < target->command->count; i++)
		ssh_words_add(ret, target->command->items[i]);
	ssh_words_add(ret, "-T");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		ssh_words_add(ret, "-o");
		ssh_words_add(ret, options[i]);
	}
	ssh_words_add(ret, "-o");
	ssh_words_add(ret, timeout);
	if (target->user) {
		ssh_words_add(ret, "-l");
		ssh_words_add(ret, target->user);
	}
	if (!target->host && target->address && ssh_is_address(target->address) &&
	    !ssh_is_configured(target->command, host)) {
		auto_free char *name = alloc_format("HostName=%s", target->address);

		ssh_words_add(ret, "-o");
		ssh_words_add(ret, name);
	}
	ssh_words_add(ret, "--");
	ssh_words_add(ret, host);
	ssh_words_add(ret, remote);
}

/* What stands behind the marker in its line, or nothing. */
static struct slice ssh_behind(struct slice said, const char *marker)
{
	struct slice line;
	size_t len = strlen(marker);

	while (slice_next(&said, '\n', &line))
		if (slice_starts(line, marker))
			return slice_trim((struct slice){line.ptr + len, line.len - len});
	return (struct slice){0};
}

static bool ssh_says(struct slice said, const char *text)
{
	return said.len && memmem(said.ptr, said.len, text, strlen(text)) != NULL;
}

/* The last line that says something, without what ssh adds at the end of every failure. */
static struct slice ssh_last_line(struct slice said)
{
	struct slice last = {0};
	struct slice line;

	while (slice_next(&said, '\n', &line)) {
		line = slice_trim(line);
		if (line.len && !slice_starts(line, "Warning: Permanently added"))
			last = line;
	}
	return last;
}

static int ssh_explain_remote(const struct ssh_target *target, struct slice said, bool *ret_known,
			      struct error *err)
{
	const char *host = target->host ? target->host : target->node;
	struct slice machine = ssh_behind(said, "renumber: machine ");
	struct slice user = ssh_behind(said, "renumber: user ");

	*ret_known = true;
	if (machine.len)
		return error_set(err, ERROR_API,
				 "it is a '%.*s' machine and renumber-agent was built for another; "
				 "name one for it with $KUBECTL_RENUMBER_AGENT",
				 (int)machine.len, machine.ptr);
	if (user.len)
		return error_set(err, ERROR_API,
				 "user '%.*s' is not root; use --ssh-user root, or --sudo",
				 (int)user.len, user.ptr);
	if (ssh_says(said, "renumber: nowhere"))
		return error_set(err, ERROR_API,
				 "no program can be started from /run, /var/lib, /var/tmp or /tmp "
				 "(noexec, read-only or full); run kubectl-renumber there with "
				 "--nodes-via local");
	if (ssh_says(said, "renumber: copy"))
		return error_set(err, ERROR_NETWORK,
				 "renumber-agent could not be copied to it (disk full?)");
	if (ssh_says(said, "sudo:") && (ssh_says(said, "password") || ssh_says(said, "a terminal")))
		return error_set(err, ERROR_API,
				 "sudo wants a password; allow this user NOPASSWD, or use "
				 "--ssh-user root");
	if (ssh_says(said, "sudo: sorry, you must have a tty"))
		return error_set(err, ERROR_API,
				 "sudo wants a terminal (requiretty); switch that off for this "
				 "user, or use --ssh-user root");
	if (ssh_says(said, "not in the sudoers file") || ssh_says(said, "not allowed to execute"))
		return error_set(err, ERROR_API,
				 "this user may not use sudo; name another with --ssh-user");
	if (ssh_says(said, "sudo: not found") || ssh_says(said, "sudo: command not found") ||
	    ssh_says(said, "sudo': No such file") ||
	    ssh_says(said, "sudo\342\200\231: No such file"))
		return error_set(err, ERROR_API, "there is no sudo on it; use --ssh-user root");
	if (ssh_says(said, "Permission denied ("))
		return error_set(err, ERROR_API,
				 "ssh to '%s'%s%s%s was refused (%s); name the user with "
				 "--ssh-user, or load the key into ssh-agent",
				 host, target->user ? " as '" : "",
				 target->user ? target->user : "", target->user ? "'" : "",
				 "permission denied");
	if (ssh_says(said, "Too many authentication failures"))
		return error_set(err, ERROR_API,
				 "ssh to '%s' was refused (too many keys tried); name one with "
				 "--ssh-command 'ssh -i KEY -o IdentitiesOnly=yes'",
				 host);
	if (ssh_says(said, "REMOTE HOST IDENTIFICATION HAS CHANGED"))
		return error_set(err, ERROR_API,
				 "the ssh host key of '%s' is not the one in known_hosts; see that "
				 "it is the right host, then 'ssh-keygen -R %s'",
				 host, host);
	if (ssh_says(said, "Host key verification failed"))
		return error_set(err, ERROR_API,
				 "the ssh host key of '%s' is not known; connect once by hand with "
				 "'ssh %s' and accept it",
				 host, host);
	if (ssh_says(said, "Could not resolve hostname"))
		return error_set(err, ERROR_NETWORK,
				 "the host name '%s' is not known here; name its host in a file "
				 "for --ssh-map",
				 host);
	*ret_known = false;
	return -1;
}

int ssh_explain(const struct ssh_target *target, struct slice said, int status, struct error *err)
{
	struct slice last = ssh_last_line(said);
	bool known;

	ssh_explain_remote(target, said, &known, err);
	if (known)
		return -1;
	if (ssh_says(said, "Connection refused") || ssh_says(said, "Connection timed out") ||
	    ssh_says(said, "No route to host") || ssh_says(said, "Network is unreachable") ||
	    ssh_says(said, "Operation timed out"))
		return error_set(err, ERROR_NETWORK,
				 "it cannot be reached by ssh: %.*s; where its address is another, "
				 "name it in a file for --ssh-map",
				 (int)last.len, last.ptr);
	if (last.len)
		return error_set(err, ERROR_NETWORK, "ssh ended with status %d: %.*s", status,
				 (int)(last.len > 300 ? 300 : last.len), last.ptr);
	return error_set(err, ERROR_NETWORK, "ssh ended with status %d and said nothing", status);
}
