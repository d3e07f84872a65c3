/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include "doctor/finding.h"

/* Runs every family over the cluster; sorted by severity, then code, then subject. Pure. */
void doctor_examine(const struct cluster *cluster, struct finding_list *ret);

#endif
