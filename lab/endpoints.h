/* SPDX-License-Identifier: MIT */
#ifndef LAB_ENDPOINTS_H
#define LAB_ENDPOINTS_H

#include "lab/lab.h"

/* The controllers of Endpoints and EndpointSlices: what a Service's selector finds. What has no
 * selector is left alone. */

/* An object has changed that they watch. */
void endpoints_changed(struct lab *lab, const struct store_event *event);

#endif
