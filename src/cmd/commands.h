/* SPDX-License-Identifier: MIT */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "cmd/command.h"

/* One for each file of this folder that is a command; cmd/table.c has their order. */
extern const struct command command_doctor;
extern const struct command command_certs;
extern const struct command command_scan;
extern const struct command command_plan;
extern const struct command command_apply;
extern const struct command command_status;
extern const struct command command_resume;
extern const struct command command_rollback;
extern const struct command command_finalize;
extern const struct command command_verify;
extern const struct command command_report;
extern const struct command command_lab;
extern const struct command command_completion;
extern const struct command command_version;
extern const struct command command_help_page;

#endif
