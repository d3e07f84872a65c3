/* SPDX-License-Identifier: MIT */
#ifndef LAB_ASK_H
#define LAB_ASK_H

#include <jansson.h>
#include <sys/un.h>

#include "base/error.h"

/* The other side of lab/control.h: what runs beside the lab asks it. */

enum { ASK_LINE = 65536 };

/* FOLDER/control. */
must_check int ask_address(const char *folder, struct sockaddr_un *ret, struct error *err);

must_check int ask_connect(const char *folder, int *ret_fd, struct error *err);

/* Takes the request. NULL when the lab does not answer. */
must_check json_t *ask_lab(int fd, json_t *request, struct error *err);

#endif
