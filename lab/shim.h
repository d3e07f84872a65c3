/* SPDX-License-Identifier: MIT */
#ifndef LAB_SHIM_H
#define LAB_SHIM_H

/* What simulated nodes are reached through: the lab's program under other names. Each gives an exit
 * status. */

/* In ssh's place: `renumber-lab as-ssh FOLDER OPTION… -- HOST COMMAND`. It answers "-G"; otherwise
 * it takes the agent that is streamed, starts renumber-agent on the node's folder, and passes
 * requests and answers on; addresses of the simulated network are replaced by what stands for
 * them here. */
int shim_ssh(int argc, char **argv);

/* In systemctl's place: `renumber-lab as-systemctl FOLDER NODE VERB kubelet`. */
int shim_systemctl(int argc, char **argv);

/* What scripts ask the lab: `renumber-lab as-control FOLDER REQUEST` prints the answer. */
int shim_control(int argc, char **argv);

#endif
