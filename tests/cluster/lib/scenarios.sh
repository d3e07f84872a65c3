# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The scenarios: how each is brought about, and what the doctor must find.

SCENARIOS='incident-flag incident-delete incident-gone incident-pinned incident-certs-1of3
	incident-certs-all incident-half incident-walk kill-incident-delete kill-incident-half incident-procedure certs
	campaign-incident-delete campaign-migrate campaign-rollback
	migrate migrate-300 migrate-1cp migrate-procedure kill-migrate hops
	rollback-preflight rollback-certificates rollback-configuration rollback-ranges rollback-services
	rollback-defaults rollback-nodes rollback-workloads rollback-drain'

scenario_list() {
	# shellcheck disable=SC2086 # one a line
	printf '%s\n' $SCENARIOS
}

# scenario_point NAME: without what goes before it: the tool is killed a few times
# (kill-), again and again (campaign-)
scenario_point() {
	local point=${1#kill-}

	echo "${point#campaign-}"
}

# scenario_known NAME: kill- and campaign- go before any incident
scenario_known() {
	[ "$1" != campaign-rollback ] || return 0
	case $(scenario_point "$1") in
	incident-flag | incident-delete | incident-gone | incident-pinned | incident-certs-1of3 | \
		incident-certs-all | incident-half) ;;
	incident-procedure | incident-walk | certs) [ "$1" = "$(scenario_point "$1")" ] ;;
	migrate) ;;
	migrate-300 | migrate-1cp | migrate-procedure | hops) [ "$1" = "$(scenario_point "$1")" ] ;;
	rollback-*) [[ " $SCENARIOS " = *[[:space:]]"$1"[[:space:]]* ]] ;;
	*) return 1 ;;
	esac
}

# scenario_fits NAME REGIME: incident-gone needs the ServiceCIDR API; where both
# allocators are asked, default/kubernetes is gone for good, whatever is added
scenario_fits() {
	case $2:$(scenario_point "$1") in
	bitmap:incident-gone) return 1 ;;
	dual-write:incident-flag | dual-write:incident-gone | dual-write:certs) ;;
	dual-write:incident-*) return 1 ;;
	esac
}

# scenario_healthy NAME: nothing is broken beforehand
scenario_healthy() {
	case $(scenario_point "$1") in
	migrate | migrate-* | rollback | rollback-* | hops) ;;
	*) return 1 ;;
	esac
}

# scenario_cluster NAME: options of up
scenario_cluster() {
	case $1 in
	migrate-1cp) echo --control-planes 1 --workers 2 ;;
	esac
}

# scenario_proxy NAME VERSION: both kinds where a version has both
scenario_proxy() {
	case $1:$2 in
	migrate-procedure:* | incident-*) echo iptables ;;
	*:1.32.2*) ! scenario_healthy "$1" || { echo mixed; return; }; echo iptables ;;
	*) echo iptables ;;
	esac
}

# scenario_slower NAME: the probes' own work must not be what is measured
scenario_slower() {
	if [ "$(nproc)" -ge 4 ]; then
		echo 1
	elif [ "$1" = migrate-300 ]; then
		echo 4
	else
		echo 2
	fi
}

# scenario_play NAME: of those that begin on a healthy cluster
scenario_play() {
	case $1 in
	migrate) migrate ;;
	kill-migrate | campaign-migrate) migrate_killed ;;
	campaign-rollback) campaign_rollback ;;
	migrate-300) migrate_many ;;
	migrate-1cp) migrate_single ;;
	migrate-procedure) migrate_procedure ;;
	hops) migrate_hops ;;
	rollback-*) rollback_from "${1#rollback-}" ;;
	esac
}

# What containers that start after the delete say: the environment names the new
# address, which no certificate has, or nothing at all.
calico_complaint() {
	case $1 in
	incident-gone) echo 'unable to load in-cluster configuration' ;;
	*) echo 'x509: certificate is valid for .*, not 10.17.0.1' ;;
	esac
}

# scenario_step NAME: from the point before it to this one
scenario_step() {
	case $1 in
	incident-flag) incident_change_flags ;;
	incident-delete | incident-gone)
		incident_delete "${1#incident-}"
		incident_calico_fails "$(calico_complaint "$1")"
		incident_pods_stick
		;;
	incident-pinned) incident_pin_calico ;;
	incident-certs-1of3)
		incident_certificates "${CONTROL_PLANES%% *}"
		incident_calico_recovers
		;;
	incident-certs-all)
		# shellcheck disable=SC2086 # a list of nodes; the first has them already
		incident_certificates ${CONTROL_PLANES#* }
		incident_calico_recovers
		;;
	incident-half)
		incident_move_half
		incident_leave_backup "${CONTROL_PLANES##* }"
		;;
	esac
}

# scenario_points NAME: the points that an operator comes by on the way to it
scenario_points() {
	local point points='incident-flag incident-delete incident-pinned incident-certs-1of3 incident-certs-all incident-half'

	case $1 in
	certs) return ;;
	incident-gone)
		echo incident-flag incident-gone
		return
		;;
	esac
	for point in $points; do
		echo "$point"
		[ "$point" != "$1" ] || return 0
	done
}

# scenario_break NAME: to that point
scenario_break() {
	local name point

	name=$(scenario_point "$1")

	[ "$name" != incident-procedure ] || name=incident-delete
	for point in $(scenario_points "$name"); do
		scenario_step "$point"
		[ "$name" != incident-walk ] || heal_doctor "$point"
	done
}

# scenario_codes NAME REGIME: findings that the doctor must have, by code, and with
# a ! those that would be untrue
scenario_codes() {
	case $1 in
	incident-flag) echo 'KR102 KR105 KR302 KR601 !KR201 !KR203 !KR204 !KR301 !KR501 !KR503 !KR510' ;;
	incident-delete) echo 'KR105 KR203 KR204 KR301 KR501 KR502 KR507 KR510 KR601 !KR102 !KR201 !KR503' ;;
	incident-gone) echo 'KR105 KR110 KR201 KR204 KR501 KR507 KR510 KR601 !KR102 !KR203 !KR503' ;;
	incident-pinned | incident-certs-1of3)
		echo 'KR105 KR203 KR204 KR301 KR503 KR601 !KR102 !KR201 !KR501 !KR502 !KR510 !KR604'
		;;
	incident-certs-all) echo 'KR105 KR203 KR204 KR503 KR601 !KR102 !KR201 !KR301 !KR302 !KR501 !KR510 !KR604' ;;
	incident-half) echo 'KR105 KR203 KR204 KR205 KR503 KR601 KR604 !KR102 !KR201 !KR301 !KR302 !KR501 !KR510' ;;
	esac
	case $1:$2 in
	incident-flag:bitmap) echo 'KR106 !KR110' ;;
	incident-flag:*) echo 'KR107 KR110' ;;
	*:bitmap) echo 'KR106 !KR107 !KR110' ;;
	*:*) echo KR107 ;;
	esac
}
