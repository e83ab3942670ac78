/* A plug-in of QEMU's user emulation that counts instructions between calls of sched_yield, for instructions.py.

   Build: cc -shared -fPIC -O2 count_instructions.c -o count.so. Use: qemu-aarch64 -plugin ./count.so,out=FILE program.
   Each sched_yield of the program appends a line to FILE: all instructions so far, and dot and matrix products of bytes.

   The declarations are of QEMU's plug-in interface, version 1 (QEMU 4.2 to 8.2), whose header Debian does not package:
   https://www.qemu.org/docs/master/devel/tcg-plugins.html */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*syscall_t)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                          uint64_t, uint64_t, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated_t);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
enum { ADD_U64 = 0, SCHED_YIELD = 124 };

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
static uint64_t instructions, products;
static FILE *out;

static int is_product(const struct qemu_plugin_insn *instruction) {
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
    return (word & 0x9fe0fc00) == 0x0e809400     /* SDOT, UDOT of vectors */
           || (word & 0x9fc0f400) == 0x0f80e000  /* SDOT, UDOT by element */
           || (word & 0xbfe0fc00) == 0x0e809c00  /* USDOT of vectors */
           || (word & 0xdfe0f400) == 0x4e80a400; /* SMMLA, UMMLA, USMMLA */
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    size_t found = 0, count = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < count; i++) found += is_product(qemu_plugin_tb_get_insn(block, i));
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &instructions, count);
    if (found) qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &products, found);
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    if (number != SCHED_YIELD) return;
    fprintf(out, "%llu %llu\n", (unsigned long long)instructions, (unsigned long long)products);
    fflush(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count,
                                                                char **arguments) {
    if (count != 1 || strncmp(arguments[0], "out=", 4) || !(out = fopen(arguments[0] + 4, "w"))) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
