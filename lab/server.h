/* SPDX-License-Identifier: MIT */
#ifndef LAB_SERVER_H
#define LAB_SERVER_H

#include "lab/lab.h"

/* kube-apiserver on a control plane: its life, its certificate, and the loops that run in it. */

/* With this --service-cluster-ip-range. Ready after a while. */
void server_start(struct lab_server *server, const char *range);

/* Its endpoint goes first, then its listener. */
void server_stop(struct lab_server *server);

/* Listens, from when the lab is open. ERROR_IO when the address is taken. */
must_check int server_listen(struct lab_server *server, struct error *err);

/* Looks whether the files of the certificate have changed, as each server does. False when it has to
 * look again: they are no pair, or cannot be read. */
bool server_reload(struct lab_server *server);

/* The repair loops of the bitmap wait their three minutes anew, for tests of what holds between. */
void server_put_off_repair(struct lab *lab);

/* What the controller-manager that leads does every second or so: its Lease, finalizers and
 * conditions of ServiceCIDRs. */
void server_manage(struct lab *lab);

#endif
