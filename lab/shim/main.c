/* SPDX-License-Identifier: MIT */
/* What is started again and again while a lab runs, as a small program of its own: it is there in a
 * fifth of the time that renumber-lab takes. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "lab/shim.h"
#include "text/json.h"

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	json_set_alloc_funcs(alloc_bytes, free);
	if (argc > 1 && strcmp(argv[1], "as-ssh") == 0)
		return shim_ssh(argc, argv);
	if (argc > 1 && strcmp(argv[1], "as-systemctl") == 0)
		return shim_systemctl(argc, argv);
	if (argc > 1 && strcmp(argv[1], "as-control") == 0)
		return shim_control(argc, argv);
	fputs("renumber-lab-shim: it is started by renumber-lab\n", stderr);
	return 1;
}
