/* SPDX-License-Identifier: MIT */
#ifndef CMD_RECORDED_H
#define CMD_RECORDED_H

#include "model/cluster.h"

/* The cluster of an observation that was written to a file, instead of the one that is there. */
must_check int recorded_cluster(const char *path, struct cluster **ret, struct error *err);

#endif
