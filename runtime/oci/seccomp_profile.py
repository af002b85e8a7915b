"""The default seccomp profile: what a container may ask of the kernel, by theme.

An allow-list: everything else is EPERM, and what a kernel gained after this list was made is ENOSYS. In effect Docker
29's profile, but stricter on two points: only listed socket families pass (AF_ALG and AF_VSOCK are not among them), and
the 32-bit `socketcall`, which would carry them past that rule behind a pointer, is absent.
"""

from __future__ import annotations

from typing import Any

_FILES = """
    access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown
    lchown32 link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat
    openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat
    renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range
    syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev
    listmount statmount
"""
_ATTRIBUTES = """
    fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
    lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
"""
_EVENTS = """
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy
    io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect poll ppoll ppoll_time64 pselect6
    pselect6_time64 select signalfd signalfd4
"""
_SOCKETS = """
    accept accept4 bind connect getpeername getsockname getsockopt listen pipe pipe2 recv recvfrom recvmmsg
    recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketpair
"""
_MEMORY = """
    brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
    remap_file_pages
"""
_PROCESSES = """
    execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid
    getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set pause pidfd_open pidfd_send_signal prctl
    prlimit64 restart_syscall rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
    sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area set_tid_address setpgid setpriority
    setrlimit setsid ugetrlimit uretprobe vfork wait4 waitid waitpid
"""
_FUTEXES = "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake"
_SIGNALS = """
    kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill
"""
_IDENTITY = """
    capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
    getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
    setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
"""
_TIME = """
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64 times
"""
_IPC = """
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
"""
_SYSTEM = "getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp sysinfo uname"

ALWAYS = (
    _FILES,
    _ATTRIBUTES,
    _EVENTS,
    _SOCKETS,
    _MEMORY,
    _PROCESSES,
    _FUTEXES,
    _SIGNALS,
    _IDENTITY,
    _TIME,
    _IPC,
    _SYSTEM,
)

BY_KERNEL = {"4.8": "process_vm_readv process_vm_writev ptrace"}
"""Safe from the version on in which a traced process could no longer change a call after the filter had seen it."""

BY_ARCH = (
    (("amd64", "x32"), "arch_prctl"),
    (("amd64", "x32", "x86"), "modify_ldt"),
    (("arm", "arm64"), "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"),
)

BY_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount umount2 unshare
    """,
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}

SOCKET_FAMILIES_BELOW = 12
"""AF_UNIX to AF_ROSE. One-sided on purpose: a bound from above alone also refuses a family with garbage in the upper
half of the register, which the kernel would cut off (2**32 + AF_ALG is AF_ALG)."""
SOCKET_FAMILIES = (
    13,  # AF_NETBEUI
    14,  # AF_SECURITY
    15,  # AF_KEY
    16,  # AF_NETLINK
    17,  # AF_PACKET
    18,  # AF_ASH
    21,  # AF_RDS
    22,  # AF_SNA
    24,  # AF_PPPOX
    26,  # AF_LLC
    27,  # AF_IB
    28,  # AF_MPLS
    29,  # AF_CAN
    30,  # AF_TIPC
    31,  # AF_BLUETOOTH
    32,  # AF_IUCV
    33,  # AF_RXRPC
    35,  # AF_PHONET
    36,  # AF_IEEE802154
    39,  # AF_NFC
    41,  # AF_KCM
    42,  # AF_QIPCRTR
    43,  # AF_SMC
    44,  # AF_XDP
    45,  # AF_MCTP
)
"""Not among them: AF_ALG (38, CVE-2026-31431), AF_VSOCK (40, reaches other virtual machines), families long removed."""

PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, 32-bit address limit, uname as 2.6, both, and the query. ADDR_NO_RANDOMIZE and friends stay out."""

NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""

_ENOSYS = 38


def default_profile() -> dict[str, Any]:
    """The profile in Docker's JSON form, with its rules still conditional on capabilities, kernel and architecture."""
    rules = [_allow(" ".join(ALWAYS))]
    rules += [_allow(names, includes={"minKernel": version}) for version, names in BY_KERNEL.items()]
    rules += [_allow(names, includes={"arches": list(arches)}) for arches, names in BY_ARCH]
    rules += [_allow(names, includes={"caps": [cap]}) for cap, names in BY_CAPABILITY.items()]
    rules.append(_allow_if("socket", "SCMP_CMP_LT", SOCKET_FAMILIES_BELOW))
    rules += [_allow_if("socket", "SCMP_CMP_EQ", family) for family in SOCKET_FAMILIES]
    rules += [_allow_if("personality", "SCMP_CMP_EQ", value) for value in PERSONALITIES]
    unprivileged = {"excludes": {"caps": ["CAP_SYS_ADMIN"]}}
    rules.append({**_allow_if("clone", "SCMP_CMP_MASKED_EQ", NEW_NAMESPACES), **unprivileged})
    # The flags of clone3 lie behind a pointer: as if absent, so that the C library falls back to clone.
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS, **unprivileged})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": rules,
    }


def _allow(names: str, **conditions: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", **conditions}


def _allow_if(name: str, op: str, value: int) -> dict[str, Any]:
    argument = {"index": 0, "value": value, "valueTwo": 0, "op": op}
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}
