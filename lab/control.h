/* SPDX-License-Identifier: MIT */
#ifndef LAB_CONTROL_H
#define LAB_CONTROL_H

#include "lab/lab.h"

/*
 * The unix socket FOLDER/control, by which what runs beside the lab asks it. One JSON object a line,
 * one line in answer:
 *
 *	{"do":"attach","node":"cp1"} => {"root":"…","agent":"…","sparing":1} or {"error":"…"}
 *	{"do":"restart-kubelet","node":"cp1"} => {}
 *	{"do":"relay","node":"cp1","address":"10.96.0.1","port":443,"protocol":"TCP"} =>
 *		{"address":"127.0.0.1","port":34567,"answers":true}: what stands for that place
 *	{"do":"metrics","node":"cp1"} => as the agent's proxy-metrics answers
 *	{"do":"effect","before":true} => {"go":true}: an agent is about to change something
 *	{"do":"client","pid":4711} => {}: the tool, which faults kill
 *	{"do":"arm","killAt":7,"before":true,"cut":false,"every":50,"seed":1} => {"effects":…,"faults":…} since
 *		the last time; where the clock is shared, with "toolAt":9,"toolHarm":"power" (kill, torn,
 *		done, power, full, readonly, sync: see lab/hurry/page.h) and the same for "agent…", and
 *		"toolWrites", "toolHits" … in the answer
 *		"event":"delete" in the place of a kill is one of lab/actor.h; what that broke is repaired
 *		by the next, and "deeds" in the answer are actor_deeds()
 *	{"do":"guard","on":true} => {"seen":[…],"pairs":[…]}: see lab/guard.h
 *	{"do":"dump","file":"/…"} => {}: writes {plural: {key: object}} of all types there
 */
struct control;

must_check struct control *control_open(struct lab *lab, struct error *err);
/* Whoever works on that node is cut off. */
void control_cut(struct control *control, const struct lab_node *node);
void control_free(struct control *control);

#endif
