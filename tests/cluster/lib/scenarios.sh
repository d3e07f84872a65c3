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

# scenario_codes NAME REGIME: findings that the doctor must have, by code, and with
# a ! those that would be untrue
scenario_codes() {
	case $1 in
	incident-flag) echo 'KR102 KR105 KR302 KR601 !KR201 !KR203 !KR204 !KR301 !KR501 !KR503' ;;
	incident-delete) echo 'KR105 KR203 KR204 KR301 KR501 KR502 KR507 KR601 !KR102 !KR201 !KR503' ;;
	incident-gone) echo 'KR105 KR110 KR201 KR204 KR501 KR507 KR509 KR601 !KR102 !KR203 !KR503' ;;
	incident-pinned | incident-certs-1of3)
		echo 'KR105 KR203 KR204 KR301 KR503 KR601 !KR102 !KR201 !KR501 !KR502 !KR604'
		;;
	incident-certs-all) echo 'KR105 KR203 KR204 KR503 KR601 !KR102 !KR201 !KR301 !KR302 !KR501 !KR604' ;;
	incident-half) echo 'KR105 KR203 KR204 KR205 KR503 KR601 KR604 !KR102 !KR201 !KR301 !KR302 !KR501' ;;
	esac
	case $1:$2 in
	incident-flag:bitmap) echo 'KR106 !KR110' ;;
	incident-flag:*) echo 'KR107 KR110' ;;
	*:bitmap) echo 'KR106 !KR107 !KR110' ;;
	*:*) echo KR107 ;;
	esac
}
