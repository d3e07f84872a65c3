/* SPDX-License-Identifier: MIT */
#ifndef STEP_KINDS_H
#define STEP_KINDS_H

#include "step/step.h"

/* One for each kind; step/table.c has them in a table. */
extern const struct step_kind step_alias;
extern const struct step_kind step_alias_trim;
extern const struct step_kind step_alias_delete;
extern const struct step_kind step_flip;
extern const struct step_kind step_aliases;
extern const struct step_kind step_flip_group;
extern const struct step_kind step_alias_trims;
extern const struct step_kind step_alias_swap;
extern const struct step_kind step_rights;
extern const struct step_kind step_canary;
extern const struct step_kind step_proxies;
extern const struct step_kind step_kubernetes_service;
extern const struct step_kind step_service_cidr;
extern const struct step_kind step_service_cidr_default;
extern const struct step_kind step_service_cidr_delete;
extern const struct step_kind step_certificate;
extern const struct step_kind step_certificate_served;
extern const struct step_kind step_kubeadm_config;
extern const struct step_kind step_manifest_flags;
extern const struct step_kind step_roll;
extern const struct step_kind step_converge_kind;
extern const struct step_kind step_allocation;
extern const struct step_kind step_hold;
extern const struct step_kind step_freeze;
extern const struct step_kind step_thaw;
extern const struct step_kind step_stray_manifest;
extern const struct step_kind step_kubelet_config;
extern const struct step_kind step_kubelet_dns;
extern const struct step_kind step_local_dns;
extern const struct step_kind step_local_dns_end;
extern const struct step_kind step_services_endpoint;
extern const struct step_kind step_restart;
extern const struct step_kind step_restart_rest;
extern const struct step_kind step_restart_back;
extern const struct step_kind step_snapshot;
extern const struct step_kind step_sweep;
extern const struct step_kind step_sweep_end;
extern const struct step_kind step_drain;
extern const struct step_kind step_forget;

#endif
