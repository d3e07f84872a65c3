/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "pki/op.h"
#include "text/json.h"

/* pki_op OP: the request on stdin, the reply on stdout; what the agent does without the agent. */
int main(int argc, char **argv)
{
	auto_error struct error err = {0};
	auto_buffer struct buffer text = {0};
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;

	if (argc != 2)
		return 64;
	if (file_read("/dev/stdin", LIMIT_AGENT_MESSAGE, &text, &err) < 0 ||
	    !(request = json_parse(buffer_as_slice(&text), "request", &err)) ||
	    pki_op(argv[1], request, &reply, &err) < 0) {
		fprintf(stderr, "%s\n", error_text(&err));
		return err.kind == ERROR_REFUSED ? 3 : 1;
	}
	json_dumpf(reply, stdout, JSON_INDENT(2));
	putchar('\n');
	return 0;
}
