/* SPDX-License-Identifier: MIT */
#ifndef PKI_OP_H
#define PKI_OP_H

#include <jansson.h>

#include "base/error.h"

/*
 * The operations that renumber-agent does with certificates, JSON in and JSON out. The caller has
 * checked that the folders (root, folder, backup, stage) are such as may be touched. Private keys
 * never stand in a request or a reply. `?` marks what may be missing.
 *
 * audit {root, expected?: [address]} => what pki_audit_to_json gives
 * names {folder, names, …} => {certificates: [{name, dnsNames: [], addresses: []}]}: what issue
 *	would put in
 * issue {folder, names: "apiserver,etcd/peer" or "all", backup, add?: [], remove?: [] (names in the
 *	API server's certificate), etcdAdd?: [], etcdRemove?: [] (in etcd's two), algorithm?, node?,
 *	address?, dnsDomain?, version?: "v1.36.3", validity?: seconds, force?: bool} =>
 *	{certificates: [{name, changed: bool, certificate: {…pki_cert…}}]}
 *	what is whole and as asked for already is left alone (changed false) unless `force`. All
 *	are made before the first one is put in place; the old ones are kept in `backup`.
 * restore {folder, names, backup} => {certificates: [{name}]}; names without a backup are passed over
 * csr {…as issue, stage instead of backup} => {requests: [{name, pem}]}; the keys are kept in `stage`
 * import {…as issue, stage, certificates: [{name, pem}]} => as issue; keys come from `stage`, which
 *	loses them
 *
 * ERROR_USAGE for a request that is not of this form; else as in pki/issue.h and pki/swap.h.
 */
must_check int pki_op(const char *op, const json_t *request, json_t **ret_reply, struct error *err);

#endif
