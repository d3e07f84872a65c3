# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The scenarios: how each is brought about, and what the doctor must find.

SCENARIOS='incident-flag incident-delete incident-gone incident-pinned incident-certs-1of3
	incident-certs-all incident-half kill-incident-delete kill-incident-half incident-procedure certs'

scenario_list() {
	# shellcheck disable=SC2086 # one a line
	printf '%s\n' $SCENARIOS
}

# scenario_known NAME: kill- goes before any incident
scenario_known() {
	case ${1#kill-} in
	incident-flag | incident-delete | incident-gone | incident-pinned | incident-certs-1of3 | \
		incident-certs-all | incident-half) ;;
	incident-procedure | certs) [ "$1" = "${1#kill-}" ] ;;
	*) return 1 ;;
	esac
}

# scenario_fits NAME REGIME: incident-gone needs the ServiceCIDR API
scenario_fits() {
	[ "${1#kill-}" != incident-gone ] || [ "$2" != bitmap ]
}

# What containers that start after the delete say: the environment names the new
# address, which no certificate has, or nothing at all.
calico_complaint() {
	case $1 in
	incident-gone) echo 'unable to load in-cluster configuration' ;;
	*) echo 'x509: certificate is valid for .*, not 10.17.0.1' ;;
	esac
}

# scenario_break NAME: the same steps, as far as the operator had come
scenario_break() {
	local name=${1#kill-} all=$CONTROL_PLANES

	[ "$name" != certs ] || return 0
	incident_change_flags
	[ "$name" != incident-flag ] || return 0
	incident_delete "${name#incident-}"
	incident_calico_fails "$(calico_complaint "$name")"
	incident_pods_stick
	case $name in
	incident-delete | incident-gone | incident-procedure) return ;;
	esac
	incident_pin_calico
	case $name in
	incident-certs-1of3) all=${CONTROL_PLANES%% *} ;;
	incident-pinned) return ;;
	esac
	# shellcheck disable=SC2086 # a list of nodes
	incident_certificates $all
	[ "$name" = incident-half ] || return 0
	incident_move_half
	incident_leave_backup "${CONTROL_PLANES##* }"
}

# scenario_codes NAME REGIME: findings that doctor must have, by code
scenario_codes() {
	:
}
