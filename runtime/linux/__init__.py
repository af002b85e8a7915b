"""The kernel: system calls, netlink, nftables, procfs. The only home of ctypes."""
